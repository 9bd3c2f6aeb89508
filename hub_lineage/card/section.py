"""What goes on a card and into the text of a pull request, from an answer: parents, relation, a drawing, the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hub_lineage.graph import ancestors, to_mermaid
from hub_lineage.read.declared import names
from hub_lineage.types import Candidate, Evidence, Graph, Parent, Trace
from hub_lineage.words import AGREEMENTS, chance, coefficient, expected, figure, one_line, percent, source

WRITTEN: Final = {
    "finetune": "Fine-tuned from",
    "adapter": "An adapter of",
    "merge": "Merged from",
    "quantized": "Quantised from",
}
MARK: Final = "hub-lineage"
"""Stands in the title of every pull request from here, so that an open one is found."""
TITLE: Final = f"Add the model's parents to its card ({MARK})"
_REASONS: Final = {
    "one_of": "The weights leave it open which of several models is the parent, so none is written.",
    "family": "Its parent is not among the known models, so none is written.",
    "independent": "It is related to none of the models that it was compared with, so no parent is written.",
    "unknown": "There was nothing to compare it with, so no parent is written.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What an answer gives to write: parents with one relation, or none and the reason."""

    parents: tuple[Parent, ...] = ()
    relation: str | None = None
    reason: str | None = None

    @property
    def ids(self) -> list[str]:
        """The parents' IDs."""
        return [parent.id for parent in self.parents]


def finding(trace: Trace) -> Finding:
    """What of an answer may be written: one parent of a verdict that is sure of it, or the parents of a merge."""
    verdict = trace.verdict
    if verdict.kind not in {"parent", "merge"}:
        return Finding(reason=_REASONS[verdict.kind])
    if verdict.kind == "parent" and verdict.settle is not None:  # likely, but the answer is still open
        return Finding(reason=f"The parent is likely ({percent(verdict.probability)}), but not sure enough to write it.")
    relations = {parent.relation for parent in verdict.parents}
    relation = "merge" if verdict.kind == "merge" else next(iter(relations), None)
    if relation not in WRITTEN or (verdict.kind == "parent" and len(verdict.parents) != 1):
        return Finding(reason="It is a copy of its parent, for which cards have no word, so none is written.")
    for parent in verdict.parents:
        if not names.is_id(parent.id):
            return Finding(reason=f"The parent {one_line(parent.id)} is not on the Hub under that name, so none is written.")
    return Finding(verdict.parents, relation) if verdict.parents else Finding(reason=_REASONS["unknown"])


def section(trace: Trace, found: Finding, endpoint: str) -> str:
    """The section of the card: a sentence and the ancestry as a Mermaid drawing."""
    return "\n".join(
        [
            "## Lineage",
            "",
            f"{_sentence(found, endpoint)} This was told from the weights by hub-lineage.",
            "",
            "```mermaid",
            to_mermaid(_line(trace.graph, trace.child.id)).rstrip("\n"),
            "```",
        ]
    )


def description(trace: Trace, found: Finding, endpoint: str, declared: str | None = None) -> str:
    """The text of the pull request: the claim, the figures beside their nulls, and how to check or refuse it."""
    among = " ".join(found.ids)
    lines = [
        f"{_sentence(found, endpoint)} That the parent is another model: {percent(trace.verdict.none_probability)}.",
        "",
        "Only `base_model`, `base_model_relation` and the section between two markers are touched; all else stays as it is.",
        "",
        "## Evidence",
        "",
        *[line for candidate in _chosen(trace, found) for line in _table(candidate)],
        f"Compared with {len(trace.candidates)} models. {AGREEMENTS[trace.agreement]}",
    ]
    if declared:
        lines += ["", f"This replaces what the card declares now (`{declared.replace('`', ' ')}`), as was asked for explicitly."]
    lines += [
        "",
        f"Read at commit {trace.child.revision}. To check it: `hub-lineage trace {trace.child.id} --among {among}`.",
        "",
        "If you want no such pull requests, put `hub_lineage: false` into the card's front matter.",
    ]
    return "\n".join(lines)


def _sentence(found: Finding, endpoint: str) -> str:
    linked = [f"[{parent.id}]({endpoint}/{parent.id}){_share(parent)}" for parent in found.parents]
    last = linked.pop()
    named = f"{', '.join(linked)} and {last}" if linked else last
    odds = min(parent.probability for parent in found.parents)
    return f"{WRITTEN[found.relation or '']} {named}, with a probability of {percent(odds)}."


def _share(parent: Parent) -> str:
    return f" ({coefficient(parent.coefficient)})" if parent.coefficient is not None else ""


def _line(graph: Graph, child: str) -> Graph:
    """The child and its ancestors, as the weights show them: a card's own words prove nothing on that card."""
    kept = ancestors(replace(graph, edges=tuple(edge for edge in graph.edges if edge.detected)), child) | {child}
    nodes = tuple(node for node in graph.nodes if node.id in kept)
    edges = [edge for edge in graph.edges if edge.detected and edge.parent in kept and edge.child in kept]
    return Graph(nodes, tuple(replace(edge, declared=False) for edge in edges))


def _chosen(trace: Trace, found: Finding) -> list[Candidate]:
    return [candidate for candidate in trace.candidates if candidate.id in found.ids]


def _table(candidate: Candidate) -> list[str]:
    rows = [_row(each) for each in candidate.evidence]
    head = ["| figure | value | unrelated models give | p | the true parent gives |", "|---|---|---|---|---|"]
    return [f"{candidate.id} (probability {percent(candidate.probability)}):", "", *head, *rows, ""] if rows else []


def _row(evidence: Evidence) -> str:
    null = f"{figure(evidence.null.mean)} ± {figure(evidence.null.sd)}" if evidence.null else ""
    odds = chance(evidence.p_value) if evidence.p_value is not None else ""
    return _cells([source(evidence.source), figure(evidence.value), null, odds, expected(evidence.source)])


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
