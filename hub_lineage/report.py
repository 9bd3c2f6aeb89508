"""A judged family in the nouns that people and programs read: ranked candidates, evidence beside nulls, nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hub_lineage.evidence import null
from hub_lineage.evidence.null import Strangers
from hub_lineage.family import Family, gather
from hub_lineage.fingerprint import is_blank
from hub_lineage.graph import descendants
from hub_lineage.judge import Judgement, kin_cut, shipped
from hub_lineage.phylogeny import Forest, kinship
from hub_lineage.types import Candidate, Declaration, Edge, Evidence, Fingerprint, Graph, Model, Node, Null

EXPLAINED = 3
"""For so many of the first candidates the tensors are listed one by one."""
SHOWN = {
    "correlation": "cosine",
    "correlation.median": "median_cosine",
    "separation": "kept_given_candidate",
    "separation.least": "least_given_other",
    "tree.branch": "pendant_share",
    "origin.cosine": "increment_along_candidate",
    "norm.ratio": "log_norm_ratio",
    "equal_values": "equal_share",
    "sites.votes": "votes_for_child",
}
"""The sources of evidence that people see, in order, and the cue that each shows."""


def nodes(models: Sequence[Model]) -> list[Node]:
    """The models as nodes of a graph; further revisions of one ID are told apart as ``ID@revision``."""
    seen: set[str] = set()
    listed = []
    for model in models:
        name = f"{model.id}@{model.revision}" if model.id in seen else model.id
        seen.add(name)
        listed.append(Node(name, model.revision, "model", model.license))
    return listed


def candidates(
    models: Sequence[Model],
    family: Family,
    judgement: Judgement,
    forest: Forest,
    top: int,
    *,
    strangers: Sequence[Fingerprint] = (),
    ruled_out: int = 0,
    soft: Sequence[Sequence[Evidence]] = (),
) -> tuple[Candidate, ...]:
    """The candidates of model 0, ranked: by odds, then by likeness; each with its kinship and evidence.

    Args:
        models: The K models of the family, the child first.
        family: Their fingerprints side by side.
        judgement: What was made of them.
        forest: Who comes from whom.
        top: How many candidates are listed at the most.
        strangers: Further models of the architecture, drawn with no regard to their likeness to the child. They are no
            candidates; figures stand beside what those of them give that are unrelated to the child.
        ruled_out: Models found to be no kin before the family was judged; p-values are corrected for them too.
        soft: For each model the evidence that isn't of weights, where it was asked for.
    """
    order = sorted(range(1, len(models)), key=lambda k: (-judgement.parent[0, k], -family.cosine[0, k], models[k].id))
    beside = null.measured(
        family, 0, judgement.kin, _aligned(models[0], family, strangers), kin_cut(family, shipped().kin_cosine)
    )
    corrected = _p_values(family, judgement, beside, ruled_out)
    blank = is_blank(models[0].fingerprint)
    listed = []
    for rank, k in enumerate(order[:top], 1):
        what = "unknown" if blank or is_blank(models[k].fingerprint) else kinship(forest, judgement, 0, k)
        found = _evidence(family, judgement, beside, corrected, k)
        listed.append(
            Candidate(
                rank=rank,
                id=models[k].id,
                revision=models[k].revision,
                probability=round(float(judgement.parent[0, k]), 9),  # finely, so that all sum to 1
                family_probability=_figure(1.0 - corrected.get(("correlation", k), 1.0)),
                relation=judgement.relation(0, k) if what == "parent" else None,
                kinship=what,
                evidence=(*found, *(soft[k] if soft else ())),
                layers=_layers(family, k) if rank <= EXPLAINED else (),
            )
        )
    return tuple(listed)


def incomparable(models: Sequence[Model], unread: Sequence[str], after: int, top: int) -> tuple[Candidate, ...]:
    """Candidates of another architecture, or that couldn't be read: nothing can be said of them by these means."""
    named = [(model.id, model.revision) for model in models] + [(name, None) for name in unread]
    rows = [Candidate(after + i, name, revision, 0.0, 0.0, None, "unknown") for i, (name, revision) in enumerate(named, 1)]
    return tuple(rows[: max(0, top - after)])


def with_declared(graph: Graph, child: str, declared: Sequence[Declaration]) -> Graph:
    """The graph with what the child's card declares: on an edge that was found, or as an edge of its own.

    A declaration that would close a cycle is left out; it is listed among the declarations all the same.
    """
    named = {declaration.id: declaration for declaration in declared if declaration.id != child}
    edges = [
        Edge(e.parent, e.child, e.relation, e.probability, e.coefficient, declared=e.child == child and e.parent in named)
        for e in graph.edges
    ]
    nodes = list(graph.nodes)
    below = {child, *descendants(graph, child)}
    for name, declaration in named.items():
        if name in below or any(e.child == child and e.parent == name for e in edges):
            continue
        if all(known.id != name for known in nodes):
            nodes.append(Node(name))
        relation: Any = declaration.relation
        edges.append(Edge(name, child, relation, None, declared=True, detected=False))
    return Graph(tuple(nodes), tuple(edges))


def _aligned(child: Model, family: Family, strangers: Sequence[Fingerprint]) -> Family | None:
    """The strangers of the child's architecture with their tensors in the family's order; None where there are none."""
    mine = child.fingerprint
    comparable = [f for f in strangers if (f.scheme, f.architecture) == (mine.scheme, mine.architecture)]
    if not comparable:
        return None
    gathered = gather([mine, *comparable])
    place = {label: t for t, label in enumerate(gathered.labels)}
    if len(place) < len(gathered.labels) or not place.keys() >= set(family.labels):
        return None  # tensors that can't be told apart by name, or that some stranger lacks
    others = gathered.only(np.arange(1, len(gathered)))
    return Family(tuple(others.raw[place[label]] for label in family.labels), others.storage, family.kernels)


def _cue(family: Family, judgement: Judgement, name: str, k: int) -> float | None:
    """A figure of model 0 and a candidate; None where it isn't measured, as most aren't between strangers."""
    if name == "cosine":
        return float(family.cosine[0, k])
    return float(judgement.cues[name][0, k]) if judgement.kin[0, k] and name in judgement.cues else None


def _p_values(family: Family, judgement: Judgement, beside: Strangers, ruled_out: int) -> dict[tuple[str, int], float]:
    """By source and candidate, corrected for all models that were compared."""
    others = range(1, len(family))
    bodies = judgement.clone.argmax(axis=1).tolist()
    compared = len({bodies[k] for k in others}) + ruled_out
    found: dict[tuple[str, int], float] = {}
    for source, cue in SHOWN.items():
        values = {k: _cue(family, judgement, cue, k) for k in others}
        nulls = {k: beside.null(cue, k) for k in others if cue in null.LIKENESS}
        raw = {k: null.p_value(v, n) for k, v in values.items() if v is not None and (n := nulls.get(k)) is not None}
        corrected = null.holm(list(raw.values()), [bodies[k] for k in raw], compared)
        found |= {(source, k): p for k, p in zip(raw, corrected, strict=True)}
    return found


def _evidence(
    family: Family, judgement: Judgement, beside: Strangers, corrected: dict[tuple[str, int], float], k: int
) -> tuple[Evidence, ...]:
    """The figures that carry most, for people: likeness, separation, place in the tree, direction, equal values."""
    found = []
    for source, cue in SHOWN.items():
        value = _cue(family, judgement, cue, k)
        if value is None:
            continue
        strangers = beside.null(cue, k)
        shown = strangers and Null(round(strangers.mean, 5), round(strangers.sd, 5), strangers.n, strangers.source)
        p = corrected.get((source, k))
        found.append(Evidence(source, _figure(value), shown, None if p is None else float(f"{p:.3g}"), len(family.raw)))
    return tuple(found)


def _layers(family: Family, k: int) -> tuple[dict[str, Any], ...]:
    """The correlation of every compared tensor with the candidate's, by the name that it has in model 0."""
    return tuple(
        {"tensor": label, "correlation": _figure(family.cosines[t, 0, k]), "samples": int(family.sizes[t])}
        for t, label in enumerate(family.labels)
    )


def _figure(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)
