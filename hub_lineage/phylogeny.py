"""Many odds to one acyclic graph: who comes from whom in a family, hidden ancestors included."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.branching import maximum_branching
from hub_lineage.family import Matrix
from hub_lineage.judge import Judgement
from hub_lineage.network import KINDS
from hub_lineage.types import Edge, Graph, Kinship, Node

HIDDEN = "hidden:"
"""How the id of a hidden ancestor begins; a number follows. No ID on the Hub holds a colon."""
GONE = 0.43
"""Members of a family without their parent in sight, to one that has it: in the zoo's validation families 3 in 10 have none."""
_LEAST = 1e-300  # odds that no logarithm chokes on
_ASIDE: tuple[Kinship, ...] = ("ancestor", "descendant", "sibling", "cousin", "shared_initialisation")


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

    def tops(self, model: int) -> list[int]:
        """The models of a model's component that have no known parent."""
        return [int(k) for k in np.flatnonzero((self.parent < 0) & (self.component == self.component[model]))]


def forest(judgement: Judgement, *, whole: bool = False) -> Forest:
    """The likeliest acyclic whole: the parents, or none, whose odds together are the greatest.

    A maximum branching over log odds against "none of these". A model gets a parent only where that is likelier than none;
    copies of one body count together, and the first of them is named. Odds are those of a child whose parent is as likely
    to be in sight as not; where a ``whole`` family is, more parents are, by :data:`GONE`.
    """
    none = np.maximum(judgement.none * (GONE if whole else 1.0), _LEAST)[:, None]
    odds = bodies(judgement)
    gain = np.where(odds > none, np.log(np.maximum(odds, _LEAST)) - np.log(none), -np.inf)
    return Forest(maximum_branching(gain), judgement.kin.argmax(axis=1).astype(np.intp))


def bodies(judgement: Judgement) -> Matrix:
    """The odds that a candidate or any copy of its body is the parent, shape [K, K]; of a model's own copies each alone."""
    together: Matrix = judgement.parent @ judgement.clone
    return np.where(judgement.clone, judgement.parent, together)


def kinship(family: Forest, judgement: Judgement, child: int, candidate: int) -> Kinship:
    """What a candidate is to a child: as the forest has it where one descends from the other there, else the likeliest kind."""
    if judgement.clone[child, candidate]:
        return "parent" if family.parent[child] == candidate else "duplicate"
    if not judgement.kin[child, candidate]:
        return "component" if judgement.parts is not None and judgement.parts[child, candidate] else "unrelated"
    above, below = family.ancestors(child), family.ancestors(candidate)
    if any(judgement.clone[candidate, k] for k in above):
        return "parent" if judgement.clone[candidate, above[0]] else "ancestor"
    if child in below:
        return "descendant"
    return _aside(family, judgement, child, candidate)


def _aside(family: Forest, judgement: Judgement, child: int, candidate: int) -> Kinship:
    """What two related models are of which neither descends from the other by known models.

    Siblings where their parent is known to be one, copies of one body being one parent. Else the likeliest kind, where the
    judge tells kinds: a line may lead over models that aren't known.
    """
    one, other = int(family.parent[child]), int(family.parent[candidate])
    if one >= 0 and other >= 0 and judgement.clone[one, other]:
        return "sibling"
    if judgement.kinds is not None and judgement.kinds[child, candidate].any():
        told = dict(zip(KINDS, judgement.kinds[child, candidate].tolist(), strict=True))
        return max(_ASIDE, key=told.__getitem__)
    return "cousin"


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
    tops = family.tops(focus)
    root = family.ancestors(focus)[-1] if family.parent[focus] >= 0 else focus
    hidden = len(tops) > 1 and root in shown
    if hidden:
        likeness = judgement.cues.get("cosine", judgement.parent)
        shown |= {root, *sorted(tops, key=lambda k: -likeness[focus, k])[:siblings]}
    return _drawn(family, judgement, nodes, shown, {f"{HIDDEN}1": tops} if hidden else {})


def whole(
    family: Forest, judgement: Judgement, nodes: Sequence[Node], members: Sequence[int] | None = None, *, first: int = 1
) -> Graph:
    """Whole families as one acyclic graph in which each hangs from one root, and who has no kin stands alone.

    ``members`` are all models of the families that are shown; every model where they are left out.

    The root is the one model without a known parent, copies of one body counting as one; where there are several, they
    hang from a hidden ancestor: related models come from something. Hidden ancestors are numbered from ``first``.
    """
    family = _copies_joined(family, judgement)
    shown = list(range(len(nodes)) if members is None else members)
    several = [tops for one in np.unique(family.component[shown]) if len(tops := family.tops(int(one))) > 1]
    hidden = {f"{HIDDEN}{number}": tops for number, tops in enumerate(several, first)}
    return _drawn(family, judgement, nodes, shown, hidden)


def _drawn(
    family: Forest, judgement: Judgement, nodes: Sequence[Node], shown: Collection[int], hidden: Mapping[str, Sequence[int]]
) -> Graph:
    """The graph of some of the models, with hidden ancestors above tops; an edge is as sure as the odds that it stands for."""
    odds = bodies(judgement)
    edges = [
        Edge(nodes[p].id, nodes[c].id, judgement.relation(c, int(p)), round(float(odds[c, p]), 4))
        for c in sorted(shown)
        if (p := family.parent[c]) in shown and p >= 0
    ]
    for name, tops in hidden.items():
        edges += [Edge(name, nodes[k].id, None, round(float(judgement.none[k]), 4)) for k in sorted(shown) if k in tops]
    return Graph((*(nodes[k] for k in sorted(shown)), *(Node(name, kind="hidden") for name in hidden)), tuple(edges))


def _copies_joined(family: Forest, judgement: Judgement, focus: int | None = None) -> Forest:
    """The forest with copies of one body that have no known parent below the first of them, the focus last."""
    parent = family.parent.copy()
    tops = [int(k) for k in np.flatnonzero(parent < 0)]
    for top in tops:
        first = min((k for k in tops if judgement.clone[top, k]), key=lambda k: (k == focus, k))
        if first != top:
            parent[top] = first
    return Forest(parent, family.component)


def _below(family: Forest, judgement: Judgement, top: int, generations: int, most: int) -> set[int]:
    """Descendants of a model down to so many generations, the likest to it first where there are too many."""
    found: set[int] = set()
    level = [top]
    for _ in range(generations):
        level = [k for k in range(len(family.parent)) if family.parent[k] in level]
        level = sorted(level, key=lambda k: -judgement.parent[k, family.parent[k]])[:most]
        found |= set(level)
    return found
