"""Many odds to one acyclic graph: who comes from whom in a family, hidden ancestors included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.judge import Judgement
from hub_lineage.types import Edge, Graph, Kinship, Node, Relation

HIDDEN = "hidden:"
"""How the id of a hidden ancestor begins; a number follows. No ID on the Hub holds a colon."""


@dataclass(frozen=True, eq=False)
class Forest:
    """The likeliest parent of each of K models, -1 for none, and the component of kin in which each stands."""

    parent: NDArray[np.intp]
    component: NDArray[np.intp]

    def ancestors(self, model: int) -> list[int]:
        """Known ancestors, the parent first."""
        found: list[int] = []
        while (model := int(self.parent[model])) >= 0:
            found.append(model)
        return found


def forest(judgement: Judgement) -> Forest:
    """The likeliest parents that together make no cycle, the surest first.

    A model gets a parent only where its best candidate is likelier than none of them.
    """
    count = len(judgement.none)
    parent = np.full(count, -1, dtype=np.intp)
    pairs = sorted((-judgement.parent[c, p], c, p) for c in range(count) for p in range(count) if c != p)
    for odds, child, candidate in pairs:
        line = Forest(parent, parent).ancestors(candidate)
        if parent[child] < 0 and -odds > judgement.none[child] and child not in line:
            parent[child] = candidate
    return Forest(parent, judgement.kin.argmax(axis=1).astype(np.intp))


def kinship(family: Forest, judgement: Judgement, child: int, candidate: int) -> Kinship:
    """What a candidate is to a child, as the forest has it."""
    if judgement.clone[child, candidate]:
        return "parent" if family.parent[child] == candidate else "duplicate"
    if not judgement.kin[child, candidate]:
        return "unrelated"
    above, below = family.ancestors(child), family.ancestors(candidate)
    if candidate in above:
        return "parent" if above[0] == candidate else "ancestor"
    if child in below:
        return "descendant"
    return "sibling" if family.parent[child] == family.parent[candidate] else "cousin"


def graph(
    family: Forest, judgement: Judgement, nodes: Sequence[Node], focus: int, *, generations: int = 4, siblings: int = 24
) -> Graph:
    """The ancestry of one model: ancestors, siblings and descendants up to so many generations, as an acyclic graph.

    Where several models of one family have no known parent, a hidden ancestor stands above them; copies of one body count
    as one.
    """
    family = _copies_joined(family, judgement, focus)
    above = family.ancestors(focus)[:generations]
    shown = {focus, *above}
    for line in (focus, *above[:1]):
        shown |= _below(family, judgement, line, generations, siblings)
    tops = [k for k in range(len(nodes)) if family.parent[k] < 0 and family.component[k] == family.component[focus]]
    root = family.ancestors(focus)[-1] if family.parent[focus] >= 0 else focus
    hidden = len(tops) > 1 and root in shown
    if hidden:
        likeness = judgement.cues.get("cosine", judgement.parent)
        shown |= {root, *sorted(tops, key=lambda k: -likeness[focus, k])[:siblings]}
    edges = [
        Edge(nodes[p].id, nodes[c].id, _relation(judgement, c, int(p)), round(float(judgement.parent[c, p]), 4))
        for c in sorted(shown)
        if (p := family.parent[c]) in shown and p >= 0
    ]
    listed = [nodes[k] for k in sorted(shown)]
    if hidden:
        listed.append(Node(f"{HIDDEN}1", kind="hidden"))
        edges += [Edge(f"{HIDDEN}1", nodes[k].id, None, round(float(judgement.none[k]), 4)) for k in sorted(shown) if k in tops]
    return Graph(tuple(listed), tuple(edges))


def _copies_joined(family: Forest, judgement: Judgement, focus: int) -> Forest:
    """The forest with copies of one body that have no known parent below the first of them, the focus last."""
    parent = family.parent.copy()
    tops = [int(k) for k in np.flatnonzero(parent < 0)]
    for top in tops:
        first = min((k for k in tops if judgement.clone[top, k]), key=lambda k: (k == focus, k))
        if first != top:
            parent[top] = first
    return Forest(parent, family.component)


def _relation(judgement: Judgement, child: int, parent: int) -> Relation:
    return "duplicate" if judgement.clone[child, parent] else "finetune"


def _below(family: Forest, judgement: Judgement, top: int, generations: int, most: int) -> set[int]:
    """Descendants of a model down to so many generations, the likest to it first where there are too many."""
    found: set[int] = set()
    level = [top]
    for _ in range(generations):
        level = [k for k in range(len(family.parent)) if family.parent[k] in level]
        level = sorted(level, key=lambda k: -judgement.parent[k, family.parent[k]])[:most]
        found |= set(level)
    return found
