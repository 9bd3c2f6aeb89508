"""An answer as plain text for the terminal: the verdict, ranked parents, the ancestry, and what it cost.

Pure: it returns text. ``bold`` wraps the few words that stand out, where the caller's terminal can show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hub_lineage.graph import tree_lines
from hub_lineage.types import Candidate, Cost, Evidence, Graph, Trace
from hub_lineage.words import AGREEMENTS, amount, figure, kinship, one_line, percent, relation, short, source

Bold = Callable[[str], str]
FIGURES = 2  # pieces of evidence in a row of the table
NAME = 44  # characters of an ID in the table


def render(trace: Trace, bold: Bold = str) -> str:
    """The whole answer, for people; it ends in a line break."""
    parts = [
        verdict(trace, bold),
        table(trace.candidates, bold),
        ancestry(trace.graph, trace.child.id, bold),
        declared(trace),
        settle(trace),
        cost(trace.cost),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(trace: Trace, bold: Bold = str) -> str:
    """The sentence of the verdict with its odds."""
    answer = trace.verdict
    odds = percent(answer.probability)
    lines = [bold(one_line(answer.summary, 600))]
    if answer.kind != "unknown":
        lines.append(f"Probability of this answer: {odds}.")
    if answer.kind in {"parent", "one_of"}:
        lines[-1] += f" That the parent is none of the candidates: {percent(answer.none_probability)}."
    return "\n".join(lines)


def table(candidates: Sequence[Candidate], bold: Bold = str) -> str:
    """The candidates by rank, with their odds, kinship and strongest figures beside their null."""
    if not candidates:
        return ""
    head = ("#", "model", "parent", "kinship", "relation", "evidence (what unrelated models give)")
    rows = [_row(candidate) for candidate in candidates]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    first, *rest = (_line(row, widths) for row in (head, *rows))
    return "\n".join([bold(first), *rest])


def _row(candidate: Candidate) -> tuple[str, ...]:
    return (
        str(candidate.rank),
        short(candidate.id, NAME),
        percent(candidate.probability),
        kinship(candidate.kinship),
        relation(candidate.relation) if candidate.relation else "",
        ", ".join(map(_figure, _telling(candidate.evidence)[:FIGURES])),
    )


def _line(cells: Iterable[str], widths: Sequence[int]) -> str:
    """Cells under each other; the rank to the right, the rest to the left."""
    rank, *rest = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([rank.strip().rjust(widths[0]), *rest]).rstrip()


def _telling(evidence: Iterable[Evidence]) -> list[Evidence]:
    """The figures that stand for themselves; ``correlation.median`` only adds to ``correlation``."""
    return [each for each in evidence if "." not in each.source]


def _figure(evidence: Evidence) -> str:
    null = f" ({figure(evidence.null.mean)} ± {figure(evidence.null.sd)})" if evidence.null else ""
    return f"{source(evidence.source)} {figure(evidence.value)}{null}"


def ancestry(graph: Graph, focus: str, bold: Bold = str) -> str:
    """The tree of the lineage, the model asked about in bold."""
    lines = tree_lines(graph, focus)
    if not graph.edges:
        return ""
    return "\n".join([bold("Ancestry"), *(bold(line) if line.endswith("this model") else line for line in lines)])


def declared(trace: Trace) -> str:
    """What the repository says of itself, and whether the weights agree."""
    said = [f"{one_line(d.id)} ({relation(d.relation) + ', ' if d.relation else ''}{one_line(d.where)})" for d in trace.declared]
    return "\n".join([AGREEMENTS[trace.agreement], *(f"  declared: {line}" for line in said)])


def settle(trace: Trace) -> str:
    """What would settle an open answer."""
    return f"What would settle it: {one_line(trace.verdict.settle, 600)}" if trace.verdict.settle else ""


def cost(spent: Cost) -> str:
    """What the answer asked of time and network."""
    of_all = f" of {amount(spent.bytes_total)}" if spent.bytes_total else ""
    requests = f"{spent.requests} request{'' if spent.requests == 1 else 's'}"
    time = f"{spent.seconds:{'.1f' if spent.seconds >= 1 else '.2g'}} s, " if spent.seconds else ""
    return f"Cost: {time}{requests}, {amount(spent.bytes_read)} read{of_all}."
