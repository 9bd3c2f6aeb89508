"""A judged family in the nouns that people and programs read: ranked candidates, evidence beside nulls, nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hub_lineage.evidence import correlation
from hub_lineage.family import Family, Matrix
from hub_lineage.graph import descendants
from hub_lineage.judge import Judgement
from hub_lineage.phylogeny import Forest, kinship
from hub_lineage.types import Candidate, Declaration, Edge, Evidence, Graph, Model, Node, Null, Relation

EXPLAINED = 3
"""For so many of the first candidates the tensors are listed one by one."""


def nodes(models: Sequence[Model]) -> list[Node]:
    """The models as nodes of a graph; further revisions of one ID are told apart as ``ID@revision``."""
    seen: set[str] = set()
    listed = []
    for model in models:
        name = f"{model.id}@{model.revision}" if model.id in seen else model.id
        seen.add(name)
        listed.append(Node(name, model.revision, "model", model.license))
    return listed


def candidates(models: Sequence[Model], family: Family, judgement: Judgement, forest: Forest, top: int) -> tuple[Candidate, ...]:
    """The candidates of model 0, ranked: by odds, then by likeness; each with its kinship and evidence."""
    mean, spread = correlation.null(family, 0)
    order = sorted(range(1, len(models)), key=lambda k: (-judgement.parent[0, k], -family.cosine[0, k], models[k].id))
    listed = []
    for rank, k in enumerate(order[:top], 1):
        what = kinship(forest, judgement, 0, k)
        relation: Relation | None = None
        if what == "parent":
            relation = "duplicate" if judgement.clone[0, k] else "finetune"
        null = Null(round(float(mean[k]), 5), round(float(spread[k]), 5), correlation.TURNS, "its own channels, turned round")
        listed.append(
            Candidate(
                rank=rank,
                id=models[k].id,
                revision=models[k].revision,
                probability=round(float(judgement.parent[0, k]), 9),  # finely, so that all sum to 1
                family_probability=_kin_probability(family.cosine[0, k], null, len(models) - 1),
                relation=relation,
                kinship=what,
                evidence=_evidence(family, judgement, k, null),
                layers=_layers(models[0], family, k) if rank <= EXPLAINED else (),
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


def _evidence(family: Family, judgement: Judgement, k: int, null: Null) -> tuple[Evidence, ...]:
    """The figures that carry most, for people: likeness, separation, place in the tree, direction, equal values."""
    tensors = len(family.raw)
    cosine = float(family.cosine[0, k])
    found = [Evidence("correlation", _figure(cosine), null, _p_value(cosine, null), tensors)]
    shown = {
        "correlation.median": "median_cosine",
        "separation": "kept_given_candidate",
        "separation.least": "least_given_other",
        "tree.branch": "pendant_share",
        "origin.cosine": "increment_along_candidate",
        "norm.ratio": "log_norm_ratio",
        "equal_values": "equal_share",
        "sites.votes": "votes_for_child",
    }
    cues: dict[str, Matrix] = judgement.cues if judgement.kin[0, k] else {}
    found += [Evidence(source, _figure(cues[name][0, k]), None, None, tensors) for source, name in shown.items() if name in cues]
    return tuple(found)


def _layers(child: Model, family: Family, k: int) -> tuple[dict[str, Any], ...]:
    """The correlation of every sampled tensor with the candidate's."""
    labels = [sample.label for sample in child.fingerprint.samples]
    return tuple(
        {"tensor": label, "correlation": _figure(family.cosines[t, 0, k]), "samples": int(family.sizes[t])}
        for t, label in enumerate(labels)
    )


def _p_value(value: float, null: Null) -> float:
    """One-sided, by Student's t with the null's degrees of freedom, turned into a normal score (Wallace 1959).

    At or below the null's mean it is 1.
    """
    free = null.n - 1
    score = (value - null.mean) / (null.sd * math.sqrt(1 + 1 / null.n))
    if score <= 0:
        return 1.0
    normal = (8 * free + 1) / (8 * free + 3) * math.sqrt(free * math.log1p(score * score / free))
    return float(f"{max(0.5 * math.erfc(normal / math.sqrt(2)), 1e-300):.3g}")


def _kin_probability(value: float, null: Null, compared: int) -> float:
    """How sure kinship is, with many candidates corrected for (Bonferroni)."""
    return _figure(max(0.0, 1.0 - _p_value(value, null) * max(compared, 1)))


def _figure(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)
