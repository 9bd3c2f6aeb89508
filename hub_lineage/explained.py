"""An answer once a derivation explains the child: its verdict, its candidates and its graph say what it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hub_lineage.derivation import LEAST
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.graph import descendants
from hub_lineage.types import Candidate, Edge, Evidence, Graph, Model, Node, Parent, Verdict


def verdict(before: Verdict, derivation: Derivation) -> Verdict:
    """The verdict that names the parents of a derivation, in place of the one that the odds of the family gave."""
    several = len(derivation.parents) > 1
    settle = None if derivation.probability >= LEAST else before.settle
    probability = round(derivation.probability, 9)
    none = round(1.0 - probability, 9)
    said = derivation.summary if derivation.summary[0].isupper() else f"By its weights, {derivation.summary}"
    parents = tuple(replace(parent, probability=probability) for parent in derivation.parents)
    return Verdict("merge" if several else "parent", probability, none, said, settle, parents)


def candidates(listed: Sequence[Candidate], derivation: Derivation, models: Sequence[Model], top: int) -> tuple[Candidate, ...]:
    """The candidates with the parents of a derivation first; what odds it leaves are none's, and no other's.

    ``models`` are those that the child was compared with: a parent may be one that wasn't listed.
    """
    named = {(parent.id, parent.revision): parent for parent in derivation.parents}
    rows = {(row.id, row.revision): row for row in listed}
    known = {(model.id, model.revision): model for model in models}
    first = [_parent(parent, rows.get(key), derivation) for key, parent in named.items() if key in rows or key in known]
    others = [row for row in listed if (row.id, row.revision) not in named]
    rest = [_other(row) for row in others]
    return tuple(replace(row, rank=rank) for rank, row in enumerate([*first, *rest][:top], 1))


def _parent(parent: Parent, row: Candidate | None, derivation: Derivation) -> Candidate:
    found = row or Candidate(0, parent.id, parent.revision, 0.0, 0.0, None, "unknown")
    evidence = Evidence(f"derivation.{derivation.method}", derivation.unexplained, derivation.null, None, len(derivation.layers))
    told = [_told(parent.id, layer.tensor, dict(layer.origins), layer.unexplained) for layer in derivation.layers]
    return replace(
        found,
        probability=round(derivation.probability, 9),
        family_probability=max(found.family_probability, round(derivation.probability, 4)),
        relation=parent.relation,
        kinship="parent",
        evidence=(evidence, *found.evidence),
        layers=tuple(told) or found.layers,
    )


def _told(parent: str, tensor: str, origins: dict[str, float], unexplained: float) -> dict[str, Any]:
    return {"tensor": tensor, "coefficient": round(origins.get(parent, 0.0), 4), "unexplained": round(unexplained, 6)}


def _other(row: Candidate) -> Candidate:
    """A candidate that isn't what the child was made of, though odds may have said so: then it is kin of some other kind."""
    taken = row.kinship == "parent"
    return replace(row, probability=0.0, relation=None, kinship="sibling" if taken else row.kinship)


def graph(found: Graph, child: str, derivation: Derivation, nodes: Sequence[Node]) -> Graph:
    """The graph with the child below the parents of a derivation alone; ``nodes`` are those that a parent may be among."""
    parents = {parent.id: parent for parent in derivation.parents}
    below = descendants(found, child)
    kept = [edge for edge in found.edges if edge.child != child and not (edge.child in parents and edge.child in below)]
    drawn = {node.id: node for node in found.nodes}
    drawn |= {node.id: node for node in nodes if node.id in parents and node.id not in drawn}
    drawn |= {name: Node(name, parent.revision) for name, parent in parents.items() if name not in drawn}
    edges = [Edge(p.id, child, p.relation, round(p.probability, 4), p.coefficient) for p in derivation.parents]
    ends = {end for edge in (*kept, *edges) for end in (edge.parent, edge.child)}
    return Graph(tuple(n for n in drawn.values() if n.kind == "model" or n.id in ends), (*kept, *edges))
