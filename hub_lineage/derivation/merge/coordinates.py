"""What a base, some fine-tunes and a number each explain of a child, coordinate by coordinate, and which method that is.

TIES (Yadav 2023) trims each fine-tune's changes to the largest, elects a sign and averages those that agree; DARE (Yu 2024)
drops changes at random and enlarges the others. Either way a coordinate is the base's value and a sum, or a mean, over some
subset of the fine-tunes; which subsets occur tells the methods apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.merge.pool import Pool, steps
from hub_lineage.family import Matrix
from hub_lineage.read.dtypes import FORMATS

TELLING = 4.0
"""Times its slack that a change has, to tell anything."""
_TOLERANCE = {"BF16": 1.0, "F16": 1.0}  # steps that arithmetic and the last cast leave
_FINE = 6.0  # likewise in single precision
_LARGE = 0.8  # how often what was kept is larger than what wasn't, where that was trimming; chance gives a half
_ELECTED = 0.1  # of coordinates with mixed signs, below which there was an election; chance gives a half
_QUANTILE = 0.02
_AGREE = 0.1  # of coordinates that one quotient of weights explains; fewer do by chance
_MOST_PLACES = 16_384
_Z = 1.96

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Change:
    """What a child has beyond a base, shape [N], how far it may be off, and where it has moved at all."""

    base: int
    away: Matrix
    slack: Matrix
    moved: Mask

    def of(self, pool: Pool, members: Sequence[int]) -> Matrix:
        """What fine-tunes have beyond the base, shape [M, N]."""
        deltas: Matrix = pool.others[list(members)].astype(np.float64) - pool.others[self.base]
        return deltas

    def missed(self, rest: Matrix) -> Mask:
        """The coordinates that moved and aren't explained, shape [N]."""
        return self.moved & (np.abs(rest) > self.slack)

    def share_missed(self, rest: Matrix) -> float:
        """Their share of those that moved."""
        return float(self.missed(rest).sum()) / max(1, int(self.moved.sum()))


@dataclass(frozen=True, eq=False)
class Parts:
    """The changes of M fine-tunes, shape [M, N], the numbers of each at every coordinate, and where each has a part.

    ``rest`` [N] is what is left over. Where there are ``shares`` [M], parts are averaged by them, not summed.
    """

    change: Change
    deltas: Matrix
    numbers: Matrix
    rest: Matrix
    kept: Mask
    shares: Matrix | None

    @cached_property
    def new(self) -> Mask:
        """The coordinates at which the child is like none of its parents, shape [N]."""
        change = self.change
        like_none: Mask = change.moved & (np.abs(change.away - self.deltas) > change.slack).all(axis=0)
        return like_none

    def covered(self, rest: Matrix, where: Mask) -> float:
        """The share of some coordinates that are explained where so much is left over."""
        return float((~self.change.missed(rest))[where].mean()) if where.any() else 0.0


@dataclass(frozen=True, eq=False)
class Sparse:
    """A merge by coordinates: its fine-tunes, and what the changes of each were multiplied by: ``atoms`` [M, T].

    Where it is ``even``, that is the same for all tensors; ``spans`` are theirs.
    """

    members: tuple[int, ...]
    atoms: Matrix
    even: bool
    parts: Parts
    spans: Sequence[slice]

    @property
    def base(self) -> int:
        """The candidate that all changes are from."""
        return self.parts.change.base

    @property
    def rest(self) -> Matrix:
        """What is left over, shape [N]."""
        return self.parts.rest

    @cached_property
    def covered(self) -> float:
        """The share of changed coordinates that are explained."""
        return self.parts.covered(self.rest, self.parts.change.moved)

    @cached_property
    def mixed(self) -> float:
        """How often those with a part in one coordinate differ in sign there, which an election forbids."""
        return _mixed(self.parts)

    @cached_property
    def by_chance(self) -> Matrix:
        """What the same changes at wrong places leave over, shape [N]."""
        parts = self.parts
        turned = [np.roll(parts.deltas[:, s], 1 + (s.stop - s.start) // 3, axis=1) for s in self.spans]
        return _matched(parts.change, np.concatenate(turned, axis=1), parts.numbers, parts.shares).rest

    @cached_property
    def chance(self) -> float:
        """The share of changed coordinates that those explain."""
        return self.parts.covered(self.by_chance, self.parts.change.moved)

    @property
    def new(self) -> float:
        """The share of changed coordinates at which the child is like none of its parents.

        They have shares of their own, :attr:`new_covered` and :attr:`new_chance`, for a near copy of one parent says little.
        """
        return float(self.parts.new.sum()) / max(1, int(self.parts.change.moved.sum()))

    @property
    def new_covered(self) -> float:
        """The share of those that are explained."""
        return self.parts.covered(self.rest, self.parts.new)

    @property
    def new_chance(self) -> float:
        """The share of those that the same changes at wrong places explain."""
        return self.parts.covered(self.by_chance, self.parts.new)

    @cached_property
    def terms(self) -> Terms:
        """The method with its numbers."""
        return _terms(self)


@dataclass(frozen=True, eq=False)
class Terms:
    """A merge by coordinates in the terms of its method, which ``densities`` of the changes it kept, at which ``weights``."""

    method: str
    weights: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    densities: tuple[float, ...]


def slack_of(pool: Pool) -> Matrix:
    """How far arithmetic and rounding may be off at the child's values, shape [N]."""
    return _TOLERANCE.get(pool.dtype, _FINE) * pool.step


def change_from(pool: Pool, base: int) -> Change:
    """What the child has beyond a candidate."""
    row = pool.others[base]
    # A sum is no surer than what was added.
    slack = np.maximum(slack_of(pool), _TOLERANCE.get(pool.dtype, _FINE) * steps(row, pool.dtype) / 2)
    away = pool.own.astype(np.float64) - row
    slack += np.abs(away) * 2.0 ** -FORMATS[pool.dtype].significand  # nor than what was multiplied
    return Change(base, away, slack, np.abs(away) > slack)


def cover(pool: Pool, change: Change, members: Sequence[int], atoms: Matrix, *, even: bool = True) -> Sparse:
    """How much the fine-tunes explain, as sums or as means of those that agree, whichever is more.

    Where it isn't ``even``, each tensor has numbers of its own, as where what was kept was enlarged to the old norm.
    """
    deltas = change.of(pool, members)
    refined = _refined(pool, change, deltas, atoms, even=even)
    numbers = np.repeat(refined, pool.lengths, axis=1)
    parts = _matched(change, deltas, numbers, None)
    if even and len(members) > 1:
        alike, weighed = np.ones(len(members)), _mean_weights(change, deltas, numbers)
        shares = [alike] if np.array_equal(alike, weighed) else [alike, weighed]
        means = [_matched(change, deltas, numbers, each) for each in shares]
        parts = min((parts, *means), key=lambda each: change.share_missed(each.rest))
    return Sparse(tuple(members), refined, even, parts, pool.spans)


def _matched(change: Change, deltas: Matrix, numbers: Matrix, shares: Matrix | None) -> Parts:
    """Each coordinate as the sum of the best subset of the fine-tunes or, where they have ``shares``, their weighted mean."""
    if shares is None:
        parts = deltas * numbers
        rest, kept = _nearest(change, lambda chosen: parts[chosen].sum(axis=0), len(deltas))
    else:
        weighed = deltas * shares[:, None] * float(np.median(numbers))
        rest, kept = _nearest(change, lambda chosen: weighed[chosen].sum(axis=0) / shares[chosen].sum(), len(deltas))
    return Parts(change, deltas, numbers, rest, kept, shares)


def _nearest(change: Change, made: Callable[[Mask], Matrix], count: int) -> tuple[Matrix, Mask]:
    """What is left, shape [N], beside the smallest subset that explains each coordinate, shape [M, N]."""
    rest, kept = change.away.copy(), np.zeros((count, len(change.away)), dtype=bool)
    for subset in sorted(product((False, True), repeat=count), key=sum)[1:]:
        chosen = np.array(subset)
        left = change.away - made(chosen)
        better = (np.abs(rest) > change.slack) & (np.abs(left) < np.abs(rest))
        rest[better] = left[better]
        kept[:, better] = chosen[:, None]
    return rest, kept


def _refined(pool: Pool, change: Change, deltas: Matrix, atoms: Matrix, *, even: bool) -> Matrix:
    """The numbers by least squares over the coordinates at which each stands alone, shape [M, T]."""
    found = atoms.copy()
    numbers = np.repeat(atoms, pool.lengths, axis=1)
    for j, delta in enumerate(deltas):
        on = change.moved & (np.abs(numbers[j] * delta - change.away) <= change.slack)
        weight = on / np.square(change.slack)
        sums = [np.add.reduceat(weight * delta * other, pool.starts) for other in (delta, change.away)]
        scale, product_ = (np.full_like(each, each.sum()) if even else each for each in sums)
        found[j] = np.where(scale > 0, product_ / np.where(scale > 0, scale, 1.0), found[j])
    return found


def _mean_weights(change: Change, deltas: Matrix, numbers: Matrix) -> Matrix:
    """Weights in the means of those that agree, shape [M], the first 1: where two are averaged, their quotient is an atom.

    It is looked for where all others have the other sign, so that the vote left them out.
    """
    goal, slack = (values / float(np.median(numbers)) for values in (change.away, change.slack))
    alone = (np.abs(deltas * numbers - change.away) <= change.slack).any(axis=0)
    shares = np.ones(len(deltas))
    open_places = change.moved & ~alone & (np.abs(change.away) > TELLING * change.slack)
    for j in range(1, len(deltas)):
        out = [k for k in range(len(deltas)) if k not in {0, j}]
        alike = open_places & (deltas[0] * deltas[j] > 0) & (deltas[out] * change.away <= 0).all(axis=0)
        at = np.flatnonzero(alike)[:_MOST_PLACES]
        if len(at):
            count, ratio = stabbed(deltas[0, at] - goal[at], slack[at] * 2, goal[at] - deltas[j, at])
            shares[j] = ratio if count > _AGREE * len(at) else 1.0
    return shares


def stabbed(goals: Matrix, slacks: Matrix, delta: Matrix) -> tuple[float, float]:
    """In how many of the intervals (goal +- slack) / delta the number lies that lies in most, and that number.

    Intervals that hold nearly any number tell nothing and are left out.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(goals - slacks) / delta, (goals + slacks) / delta]).reshape(2, -1)
    low, high = ends.min(axis=0), ends.max(axis=0)
    good = np.isfinite(low) & np.isfinite(high) & (low > 0) & (high < _STEEPEST) & (high < _WIDEST * low)
    if not good.any():
        return 0.0, 1.0
    low, high = np.sort(low[good]), np.sort(high[good])
    inside = np.arange(1, len(low) + 1) - np.searchsorted(high, low, side="left")
    place = int(inside.argmax())
    above = high[np.searchsorted(high, low[place], side="left")]
    return float(inside[place]), float((low[place] + above) / 2)


_STEEPEST = 50.0  # no change is enlarged so much
_WIDEST = 4.0


def _terms(found: Sparse) -> Terms:
    """TIES or DARE, by whether what was kept is what is large; the numbers are turned into weights and densities."""
    parts, spans, members = found.parts, found.spans, len(found.members)
    sizes, numbers = np.abs(parts.deltas), np.median(found.atoms, axis=1)
    large = [_larger(sizes[j, span], parts.kept[j, span]) for j in range(members) for span in spans]
    if parts.shares is not None or float(np.median(large)) > _LARGE:
        shares = np.ones(members) if parts.shares is None else parts.shares / parts.shares.max()
        method, weights, doubts = "ties", numbers * shares, np.zeros(members)
        densities = np.array([_trimmed(size, own, spans) for size, own in zip(sizes, parts.kept, strict=True)])
    else:
        method = "dare_ties" if found.mixed < _ELECTED and members > 1 else "dare_linear"
        densities, doubts = _drawn(parts)
        weights, doubts = numbers * densities, doubts * numbers
    reach = _Z * np.hypot(_errors(parts) * weights, doubts)
    intervals = tuple((float(w - r), float(w + r)) for w, r in zip(weights, reach, strict=True))
    return Terms(method, tuple(map(float, weights)), intervals, tuple(map(float, densities)))


def _mixed(parts: Parts) -> float:
    """How often those with a part in one coordinate differ in sign there, which an election forbids."""
    kept = parts.kept
    clear = (np.abs(parts.deltas) > TELLING * parts.change.slack) | ~kept
    several = (kept.sum(axis=0) > 1) & clear.all(axis=0)
    if not several.any():
        return 0.0
    signs = np.where(kept, np.sign(parts.deltas), 0)[:, several]
    return float(((signs.max(axis=0) > 0) & (signs.min(axis=0) < 0)).mean())


def _larger(sizes: Matrix, kept: Mask) -> float:
    """The probability that a change that was kept is larger than one that wasn't: the statistic of Mann and Whitney."""
    count = int(kept.sum())
    if count in {0, len(kept)}:
        return 0.5
    order = np.empty(len(sizes))
    order[np.argsort(sizes)] = np.arange(1, len(sizes) + 1)
    return float((order[kept].sum() - count * (count + 1) / 2) / (count * (len(sizes) - count)))


def _trimmed(sizes: Matrix, kept: Mask, spans: Sequence[slice]) -> float:
    """The share of changes that trimming kept: those above the least that has a part, tensor by tensor; chance aside."""
    shares = []
    for span in spans:
        inside = kept[span]
        if inside.sum() >= 1 / _QUANTILE:
            least = np.quantile(sizes[span][inside], _QUANTILE)
            shares.append(float((sizes[span] >= least).mean()) / (1 - _QUANTILE))
    return min(1.0, float(np.median(shares))) if shares else 1.0


def _drawn(parts: Parts) -> tuple[Matrix, Matrix]:
    """The share of changes that chance kept, and its standard error, shapes [M]: where all agree, so that no vote took any."""
    telling = (np.abs(parts.deltas) > TELLING * parts.change.slack).all(axis=0)
    telling &= np.abs(np.sign(parts.deltas).sum(axis=0)) == len(parts.deltas)
    count = max(1, int(telling.sum()))
    shares = parts.kept[:, telling].mean(axis=1) if telling.any() else parts.kept.mean(axis=1)
    return shares, np.sqrt(np.maximum(shares * (1 - shares), 1 / count) / count)


def _errors(parts: Parts) -> Matrix:
    """The relative error of each number, shape [M]: what rounding leaves at the coordinates that it stands at."""
    found = []
    for delta, number, own in zip(parts.deltas, parts.numbers, parts.kept, strict=True):
        scale = float(np.square((delta * number / parts.change.slack)[own]).sum())
        found.append(1 / np.sqrt(3 * scale) if scale > 0 else 1.0)
    return np.array(found)
