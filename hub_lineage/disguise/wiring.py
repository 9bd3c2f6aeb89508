"""Which matrix of a source a child's matrix is, and in what order its units stand, found along the network's wires.

A wire is what one layer hands the next: an axis that two or more matrices share. Where the order of a wire is known (pixels,
vocabulary, a residual stream that nobody permuted), the units of a matrix on it can be told by their weights alone, however
they are ordered, and their order is that of the next wire, as in the weight matching of Git Re-Basin (Ainsworth et al.
2023). No name is read: matrices are found by what their units hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hub_lineage.disguise.assignment import assign
from hub_lineage.disguise.balance import Matrix, Places, centred, directions, part, segments
from hub_lineage.types import Floats

SAMPLED = 24
"""Units of a matrix that vote for where it comes from."""
WIDEST = 512
"""Weights of a unit that are compared; of longer ones so many, evenly spread."""
_BY_CHANCE = 8  # of them, with their wire shuffled
_MOST_WIRES = 128  # orders of one size that are tried
_MOST_PARTS = 8  # source tensors in one fused tensor
_ROUNDS = 40
_CLEAR = 0.25  # of the way from what shuffled channels reach to 1: a matrix below isn't followed
_SETTLED = 0.9  # likewise: a matrix above isn't looked for any more; below, another order may show it more clearly
_BETTER = 0.02
_SAME = 0.8  # share of places in which two orders of a wire are one
_LARGEST_ASSIGNMENT = 2048
_AT_ONCE = 1024
_AS_WELL = 0.97  # of the sum of correlations
_FEW = 4  # channels of a wire whose order alone makes no null


@dataclass(frozen=True, eq=False)
class Joint:
    """A child's matrix, or a part of it, laid upon a matrix of the source, or a part of that.

    ``units`` are the child's units along ``axis`` and ``places`` those of the source along ``source_axis`` that they are,
    in pairs; ``wire`` has for every place of the source's other axis the child's. ``correlation`` is that of all values.
    """

    child: int
    axis: int
    units: Places
    source: int
    source_axis: int
    places: Places
    wire: Places
    correlation: float
    size: int


@dataclass(frozen=True, eq=False)
class _View:
    """The units of one matrix along one axis."""

    matrix: int
    axis: int
    units: Floats  # [units, wire, kernel]


@dataclass(eq=False)
class _Pool:
    """All units of a source on wires of one size: ``ends`` tells the views apart."""

    views: list[_View]
    ends: list[slice]
    directions: Floats


@dataclass(eq=False)
class _Wires:
    """The orders in which wires of a size may stand, the source's own first; ``fresh`` are those not tried yet."""

    known: dict[int, list[Places]] = field(default_factory=dict)

    def orders(self, size: int) -> list[Places]:
        return self.known.setdefault(size, [np.arange(size)])

    def learn(self, order: Places) -> None:
        orders = self.orders(len(order))
        if len(orders) < _MOST_WIRES and all(np.mean(order == other) < _SAME for other in orders):
            orders.append(order)


def joints(child: Sequence[Matrix], source: Sequence[Matrix], seed: int = 0) -> list[Joint]:
    """Every matrix of the child that is found in the source, best first along the wires; none where none is.

    Matrices of the source may serve several times (weights untied) and together (fused); those of the child once.
    """
    search = _Search(child, source, seed)
    for _ in range(_ROUNDS):
        if not search.advance():
            break
    return [joint for made in search.found.values() for joint in made]


class _Vote(NamedTuple):
    """Where a view comes from, if its wire stands in that order: how clearly, and the pool's views that have its units."""

    score: float
    view: _View
    order: Places
    owners: list[_View]


class _Search:
    """Matrices found so far and how clearly, the orders of wires that they tell, and the views that are still open."""

    def __init__(self, child: Sequence[Matrix], source: Sequence[Matrix], seed: int) -> None:
        self.child, self.source = child, source
        self.found: dict[int, list[Joint]] = {}
        self._scores: dict[int, float] = {}
        self._random = np.random.default_rng(seed)
        self._pools, self._wires = _pools(source), _Wires()
        self._open = [view for view in _views(child) if view.units.shape[1:] in self._pools]
        self._tried: dict[tuple[int, int], int] = {}

    def advance(self) -> bool:
        """One step further along the wires: whether anything new was found and anything is left to be."""
        votes: dict[int, _Vote] = {}
        for view in self._open:
            for vote in self._votes(view):
                least = self._scores[view.matrix] + _BETTER if view.matrix in self._scores else _CLEAR
                if vote.score > (votes[view.matrix].score if view.matrix in votes else least):
                    votes[view.matrix] = vote
        for vote in sorted(votes.values(), key=lambda vote: -vote.score):
            self._lay(vote)
        self._open = [view for view in self._open if self._scores.get(view.matrix, 0.0) < _SETTLED]
        return bool(votes and self._open)

    def _votes(self, view: _View) -> Iterator[_Vote]:
        """One vote for each order of the view's wire that wasn't tried yet."""
        orders, pool = self._wires.orders(view.units.shape[1]), self._pools[view.units.shape[1:]]
        for order in orders[self._tried.get((view.matrix, view.axis), 0) :]:
            score, owners = _vote(view, order, pool, self._random)
            yield _Vote(score, view, order, [pool.views[owner] for owner in owners])
        self._tried[view.matrix, view.axis] = len(orders)

    def _lay(self, vote: _Vote) -> None:
        made = _laid(self.child, self.source, vote.view, vote.order, vote.owners)
        if made:
            self.found[vote.view.matrix], self._scores[vote.view.matrix] = made, vote.score
        for joint in made:
            self._wires.learn(_order(joint))


def _views(matrices: Sequence[Matrix]) -> Iterator[_View]:
    for number, matrix in enumerate(matrices):
        for axis, units in enumerate(matrix.sides):
            if min(units.shape[:2]) > 1 or units.shape[1] * units.shape[2] > 4:
                yield _View(number, axis, units)


def _pools(source: Sequence[Matrix]) -> dict[tuple[int, ...], _Pool]:
    groups: dict[tuple[int, ...], list[_View]] = {}
    for view in _views(source):
        groups.setdefault(view.units.shape[1:], []).append(view)
    return {key: _pool(views) for key, views in groups.items()}


def _pool(views: list[_View]) -> _Pool:
    kept = np.concatenate([directions(_narrowed(view.units)) for view in views])
    return _Pool(views, segments([len(view.units) for view in views]), kept)


def _narrowed(units: Floats, order: Places | None = None) -> Floats:
    """Units with their wire in the source's order, no more than some of its places, as many for every unit."""
    size, kernel = units.shape[1:]
    kept = max(1, WIDEST // kernel)
    places = np.arange(size) if size <= kept else np.arange(kept) * size // kept
    if order is None and size <= kept:
        return units
    return units[:, places if order is None else order[places]]


def _vote(view: _View, order: Places, pool: _Pool, generator: np.random.Generator) -> tuple[float, list[int]]:
    """How far the view's units are found in the pool, from what shuffled ones reach (0) to 1, and the views that have them."""
    count = len(view.units)
    units = np.arange(count) if count <= SAMPLED else np.arange(SAMPLED) * count // SAMPLED
    held = directions(_narrowed(view.units, order))[units]
    like = held @ pool.directions.T
    by_chance = float((shuffled(held[:_BY_CHANCE], view.units.shape[2], generator) @ pool.directions.T).max(axis=1).mean())
    best = like.argmax(axis=1)
    reached = float(like[np.arange(len(held)), best].mean())
    starts = [end.start for end in pool.ends]
    owners = np.searchsorted(starts, best, side="right") - 1
    kinds, counts = np.unique(owners, return_counts=True)
    least = min(2, count)  # votes: one unit of many may be alike by chance
    ranked = [int(kind) for kind, times in sorted(zip(kinds, counts, strict=True), key=lambda pair: -pair[1]) if times >= least]
    return (reached - by_chance) / max(1 - by_chance, 1e-6), ranked[:_MOST_PARTS]


def shuffled(units: Floats, kernel: int, generator: np.random.Generator) -> Floats:
    """Units [n, d] with the channels of their wire in another order, kernels whole; a wire of few has its values shuffled."""
    count = units.shape[1] // kernel
    if count < _FEW:
        return units[:, generator.permutation(units.shape[1])]
    return units.reshape(len(units), count, kernel)[:, generator.permutation(count)].reshape(len(units), -1)


def _laid(child: Sequence[Matrix], source: Sequence[Matrix], view: _View, order: Places, owners: list[_View]) -> list[Joint]:
    """The view's units assigned to those of one view of the source or, where it is as large as several, of all of these."""
    chosen = _filling(len(view.units), owners)
    if not chosen:
        return []
    mine = directions(_narrowed(view.units, order))
    theirs = np.concatenate([directions(_narrowed(owner.units)) for owner in chosen])
    units, places = matched(mine, theirs)
    made = []
    for owner, end in zip(chosen, segments([len(owner.units) for owner in chosen]), strict=True):
        inside = (places >= end.start) & (places < end.stop)
        if inside.sum() > 1 or len(view.units) == 1:
            pairs = (view, units[inside]), (owner, places[inside] - end.start)
            made.append(_joint(child, source, *pairs, order))
    return made


def _filling(count: int, owners: list[_View]) -> list[_View]:
    """The views of the source, of most votes first, that together have no more units than the child's view; at least one."""
    chosen = owners[:1]
    total = sum(len(owner.units) for owner in chosen)
    for owner in owners[1:]:
        if total + len(owner.units) <= count:
            chosen.append(owner)
            total += len(owner.units)
    return chosen


def matched(mine: Floats, theirs: Floats) -> tuple[Places, Places]:
    """Directions [n, d] and [m, d] in pairs: places in the one and in the other, the best assignment as far as that is cheap.

    Of very many, those are paired that are each other's best match, and what is left over then by assignment. Where they lie
    about as well in the order in which they stand, they are left in it: dead units fit anywhere.
    """
    units, places = _paired(mine, theirs)
    if len(mine) == len(theirs):
        in_place = float(np.vdot(mine, theirs))
        if in_place >= _AS_WELL * float(np.vdot(mine[units], theirs[places])):
            return np.arange(len(mine)), np.arange(len(mine))
    return units, places


def _paired(mine: Floats, theirs: Floats) -> tuple[Places, Places]:
    if max(len(mine), len(theirs)) <= _LARGEST_ASSIGNMENT:
        if len(mine) > len(theirs):
            return assign(theirs @ mine.T), np.arange(len(theirs))
        return np.arange(len(mine)), assign(mine @ theirs.T)
    forth, back = _nearest(mine, theirs), _nearest(theirs, mine)
    units = np.flatnonzero(back[forth] == np.arange(len(mine)))
    left, free = np.delete(np.arange(len(mine)), units), np.delete(np.arange(len(theirs)), forth[units])
    if max(len(left), len(free)) > _LARGEST_ASSIGNMENT:
        return units, forth[units]
    more, others = _paired(mine[left], theirs[free])
    return np.concatenate([units, left[more]]), np.concatenate([forth[units], free[others]])


def _nearest(mine: Floats, theirs: Floats) -> Places:
    """For each direction the place of the nearest other one, without all pairs in memory at once."""
    parts = [(mine[start : start + _AT_ONCE] @ theirs.T).argmax(axis=1) for start in range(0, len(mine), _AT_ONCE)]
    return np.concatenate(parts)


def _joint(
    child: Sequence[Matrix], source: Sequence[Matrix], mine: tuple[_View, Places], theirs: tuple[_View, Places], order: Places
) -> Joint:
    (view, units), (owner, places) = mine, theirs
    ours = centred(_side(child[view.matrix], view.axis, units)[:, order])
    others = centred(_side(source[owner.matrix], owner.axis, places))
    value = float(np.vdot(ours, others)) / max(float(np.linalg.norm(ours) * np.linalg.norm(others)), 1e-12)
    return Joint(view.matrix, view.axis, units, owner.matrix, owner.axis, places, order, value, ours.size)


def _side(matrix: Matrix, axis: int, units: Places) -> Floats:
    """Some units of a matrix, balanced among themselves: [units, wire, kernel]."""
    if len(units) == matrix.values.shape[axis]:
        return matrix.sides[axis][units]
    return part(matrix, axis, units).sides[axis]


def _order(joint: Joint) -> Places:
    """The order of the wire that leaves the joint's units: for each place of the source, the child's, both counted from 0."""
    by_source = joint.units[np.argsort(joint.places)]
    return np.argsort(np.argsort(by_source)).astype(np.intp)
