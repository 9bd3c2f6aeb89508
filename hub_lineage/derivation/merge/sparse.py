"""Merges that choose coordinate by coordinate, TIES and DARE: base and fine-tunes are found by the marks that they leave.

The child equals its base where all changes were dropped; where one fine-tune alone was kept, its change stands there times
one number, the same at every such place. That number is an atom in the distribution of quotients, of which models that
played no part have none. Beside the fine-tunes that are known, the next one's atom stands in what they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.merge.coordinates import TELLING, Change, Mask, Sparse, change_from, cover, slack_of, stabbed
from hub_lineage.derivation.merge.fitting import casts
from hub_lineage.derivation.merge.pool import Pool
from hub_lineage.family import Matrix
from hub_lineage.types import Floats

_BASES = 6  # candidates that are tried as the base
_EQUAL = 0.001  # of the values, which a child has from its base at least, where that tells a base
_NEAR = 8  # candidates near to a base that are tried in its place
_THIN = 8192  # values that base and fine-tunes are looked for in
_PLACES = 2048  # the most telling coordinates, at which atoms are looked for
_MOST = 6  # fine-tunes in one merge
_LEAST = 0.97  # of the coordinates that changed, which a merge explains
_CHANCE = 0.5  # of the coordinates that the same changes at wrong places may explain
_ALONE = 0.05  # likewise of one fine-tune alone, whose changes were dropped in part
_SPARSE = (0.02, 0.95)
_LEFT = 0.1  # of what the nearest parent leaves
_FAR = 30.0  # times a fine-tune's squared distance from the child, that the base may be away
_NEW = 0.01  # of the changed coordinates, at which a merge of several is like none of its parents
_NEW_LEAST = 0.9  # of those, which a merge explains
_TRACE = 0.5  # of changed coordinates on the atoms of some, which tells of a merge that isn't all known
_PROMISING = 0.7  # likewise, of which a closer look may make all
_BY_CHANCE = 0.25  # of those, that chance may explain
_WORTH = 0.005  # of the coordinates; no fine-tune explains fewer
_FEWEST = 12  # coordinates more than chance that stand on a fine-tune's atom
_LIKELY = 64  # candidates that are looked at closely
_LIKELIEST = 16  # likewise where each tensor has numbers of its own
_SURELY = 0.999  # of the coordinates explained, after which nothing is looked for
_FORBIDDEN = 0.02  # of the share explained, that mixed signs count against a base


def solve(pool: Pool, likely: Sequence[int] = ()) -> Sparse | None:
    """The merge by coordinates that explains the child, or that which explains most of it; None where there is no trace.

    It is looked for in a part of the values and then measured on all. ``likely`` are candidates that may be the base, beside
    those that the child equals here and there.
    """
    tried = [pool, *([pool.cast()] if casts(pool, range(len(pool))) else [])]
    best: Sparse | None = None
    for one in tried:
        found = _solve(one.thinned(_THIN), likely)
        if found is None or not _is_promising(found):
            break
        again = cover(one, change_from(one, found.base), found.members, found.atoms, even=found.even)
        if best is None or _merit(again) > _merit(best):
            best = _simplest(one, again)
        if _merit(best) > _SURELY:
            break
    return best


def _solve(pool: Pool, likely: Sequence[int]) -> Sparse | None:
    best: Sparse | None = None
    equal, others = _bases(pool, likely)
    for base, even in (*((base, True) for base in (*equal, *others)), *((base, False) for base in equal)):
        found = _from(pool, change_from(pool, base), even=even)
        if found is not None and (best is None or _merit(found) > _merit(best)):
            best = found
        if best is not None and _merit(best) > _SURELY and explained(pool, best):
            return best
    return best if best is None or not _is_promising(best) else _rebased(pool, best)


def explained(pool: Pool, found: Sparse) -> bool:
    """Whether nearly every coordinate that changed is what the method makes of the fine-tunes, and chance doesn't give that.

    It must hold where the child is like none of its parents, too; and there must be such coordinates, or of each parent's own.
    """
    nearest = float(pool.distances[list(found.members)].min())
    if found.covered < _LEAST or found.chance > _CHANCE or not _is_base(pool, found):
        return False
    if float(np.square(found.rest / pool.noise).mean()) > _LEFT * min(nearest, float(pool.distances[found.base])):
        return False
    if len(found.members) == 1:
        return found.chance < _ALONE and _SPARSE[0] < found.terms.densities[0] < _SPARSE[1]
    return found.new >= _NEW and found.new_covered >= _NEW_LEAST and found.new_chance <= _CHANCE * found.new_covered


def is_trace(pool: Pool, found: Sparse) -> bool:
    """Whether some coordinates are so explained, far beyond chance, as where some fine-tunes are not among the candidates."""
    return (
        len(found.members) > 1
        and _is_base(pool, found)
        and found.covered >= _TRACE
        and found.chance <= _BY_CHANCE * found.covered
        and found.new >= _NEW
        and found.new_covered >= _TRACE
        and found.new_chance <= _BY_CHANCE * found.new_covered
    )


def _is_base(pool: Pool, found: Sparse) -> bool:
    """Whether the base isn't far off beside the fine-tunes: from a stranger, a near copy of one seems well explained."""
    nearest = float(pool.distances[list(found.members)].min())
    return float(pool.distances[found.base]) <= _FAR * nearest


def _is_promising(found: Sparse) -> bool:
    """Whether a closer look may make a merge of it: there is much that it explains, and chance doesn't explain as much."""
    return found.covered >= _PROMISING and found.chance <= _CHANCE


def _merit(found: Sparse) -> float:
    """Of bases that explain as much, that is right under which signs agree as in an election."""
    return found.covered - _FORBIDDEN * found.mixed


def _bases(pool: Pool, likely: Sequence[int]) -> tuple[list[int], list[int]]:
    """Those that the child equals in more places than their distance lets expect; and the likely ones and the nearest.

    All in all as many as are worth a try.
    """
    slack = slack_of(pool)
    equal = np.array([float((np.abs(row - pool.own) <= slack).mean()) for row in pool.others])
    beyond = equal * np.sqrt(pool.distances)
    chance = 2 * float(np.median(beyond))
    order = [k for k in np.argsort(-beyond, kind="stable").tolist() if beyond[k] > chance and equal[k] > _EQUAL][: _BASES // 2]
    nearest = np.argsort(pool.distances, kind="stable").tolist()
    others = [k for k in dict.fromkeys([*list(likely)[:4], *nearest]) if k not in order]
    return order, others[: _BASES + (2 if likely else 0) - len(order)]


def _from(pool: Pool, change: Change, known: Sparse | None = None, *, even: bool = True) -> Sparse | None:
    """Fine-tunes one after another, each that which has most of its atom in what the others leave; then none too many."""
    best = known
    while best is None or (len(best.members) < _MOST and best.covered <= _SURELY):
        left = change.moved if best is None else change.missed(best.rest)
        open_places = left & (np.abs(change.away) > TELLING * change.slack)
        if open_places.sum() < _FEWEST:
            break
        new = _next(pool, change, best, _telling(change, open_places, len(best.members) if best else 0), even=even)
        if new is None:
            break
        members = (*(best.members if best else ()), new[0])
        atoms = np.vstack([*(best.atoms if best else ()), new[1]])
        found = cover(pool, change, members, atoms, even=even)
        if best is not None and found.covered < best.covered + _WORTH:
            break
        best = found
    return None if best is None else _pruned(pool, change, best)


def _pruned(pool: Pool, change: Change, found: Sparse) -> Sparse:
    """The merge without the fine-tunes that it explains as much without: kin that came first, and now have no part."""
    while len(found.members) > 1:
        without = []
        for j in range(len(found.members)):
            kept = [i for i in range(len(found.members)) if i != j]
            without.append(cover(pool, change, [found.members[i] for i in kept], found.atoms[kept], even=found.even))
        best = max(without, key=lambda one: one.covered)
        if best.covered < found.covered - _WORTH:
            break
        found = best
    return found


def _rebased(pool: Pool, found: Sparse) -> Sparse:
    """The merge from another candidate near its base, where that explains more: kin are hard to tell by few places."""
    for _ in range(_NEAR):
        row = pool.others[found.base].astype(np.float64)
        away = np.array([float(np.square((other - row) / pool.noise).mean()) for other in pool.others])
        near = [int(k) for k in np.argsort(away, kind="stable") if k != found.base][:_NEAR]
        tried = [_settled(pool, found, base) for base in near if set(found.members) - {base}]
        best = max(tried, key=_merit, default=found)
        if _merit(best) <= _merit(found) + 1 - _SURELY:
            break
        found = _from(pool, change_from(pool, best.base), best, even=best.even) or best
    return found


def _simplest(pool: Pool, found: Sparse) -> Sparse:
    """The merge with one of its fine-tunes as the base, where that explains as much: then no other base is needed.

    A mean of models is the same from any base; only where nothing was kept the true one shows, and it then seems a fine-tune.
    """
    for member in found.members if len(found.members) > 1 else ():
        again = _settled(pool, found, member)
        if _merit(again) >= _merit(found) - (1 - _SURELY):
            return again
    return found


def _settled(pool: Pool, found: Sparse, base: int) -> Sparse:
    """The same fine-tunes from another base, their numbers estimated anew until they explain no more."""
    change = change_from(pool, base)
    kept = [j for j, member in enumerate(found.members) if member != base]
    best = cover(pool, change, [found.members[j] for j in kept], found.atoms[kept], even=found.even)
    for _ in range(_NEAR):
        again = cover(pool, change, best.members, best.atoms, even=best.even)
        if again.covered <= best.covered + 1 - _SURELY:
            break
        best = again
    return best


def _telling(change: Change, where: Mask, members: int) -> NDArray[np.intp]:
    """The coordinates whose changes are known best, spread over those that are well known."""
    places = np.flatnonzero(where)
    most = max(_PLACES >> members, _PLACES // 8)
    sharp = np.abs(change.away[places]) / change.slack[places]
    good = np.sort(places[np.argsort(-sharp, kind="stable")[: max(most, len(places) // 2)]])
    return good[np.arange(min(most, len(good))) * len(good) // min(most, len(good))]


def _next(pool: Pool, change: Change, found: Sparse | None, at: NDArray[np.intp], *, even: bool) -> tuple[int, Matrix] | None:
    """The candidate with the largest atoms at some coordinates, and its numbers, shape [T]; None where all is chance."""
    taken = {change.base, *(found.members if found else ())}
    likely = [k for k in _correlated(pool, change, found, at) if k not in taken][: _LIKELY if even else _LIKELIEST]
    deltas = pool.others[likely][:, at].astype(np.float64) - pool.others[change.base, at]
    tensors = np.searchsorted(pool.starts, at, side="right") - 1
    best, row, numbers = 0.0, -1, np.ones(len(pool.labels))
    for goals, slacks in _goals(pool, change, found, at, even=even) if likely else ():
        spots = [_spot(goals, slacks, delta, None if even else tensors, len(pool.labels)) for delta in deltas]
        counts = np.array([count for count, _ in spots])
        first = int(counts.argmax())
        chance = float(np.median(counts)) if len(counts) > 2 else 0.0
        beyond = float(counts[first]) - chance
        if beyond >= max(_FEWEST, 5 * np.sqrt(chance + 1)) and beyond > best:
            best, row, numbers = beyond, likely[first], spots[first][1]
    return (row, numbers) if row >= 0 else None


def _spot(goals: Matrix, slacks: Matrix, delta: Matrix, tensors: NDArray[np.intp] | None, count: int) -> tuple[float, Matrix]:
    """How many coordinates stand on one candidate's atom, and its number in each tensor, shape [T]; one for all, or each one."""
    if tensors is None:
        hits, number = stabbed(goals, slacks, delta)
        return hits, np.full(count, number)
    total, numbers = 0.0, np.full(count, np.nan)
    for tensor in np.unique(tensors):
        where = tensors == tensor
        hits, numbers[tensor] = stabbed(goals[:, where], slacks[:, where], delta[where])
        total += hits
    return total, np.where(np.isfinite(numbers), numbers, np.nanmedian(numbers))


def _correlated(pool: Pool, change: Change, found: Sparse | None, at: NDArray[np.intp]) -> list[int]:
    """All candidates, those first whose changes go most with the child's, what goes with the known ones' taken off both."""
    deltas = pool.others[:, at] - pool.others[change.base, at]
    away = change.away[at].astype(np.float32)
    if found is not None:
        known: Floats = np.linalg.qr(deltas[list(found.members)].T)[0]
        away = away - known @ (known.T @ away)
        deltas -= (deltas @ known) @ known.T
    scale = np.linalg.norm(deltas, axis=1)
    least = 1e-6 * float(scale.max(initial=0.0))
    inner = np.abs(deltas @ away) / np.where(scale > least, scale, np.inf)
    order: list[int] = np.argsort(-inner, kind="stable").tolist()
    return order


def _goals(pool: Pool, change: Change, found: Sparse | None, at: NDArray[np.intp], *, even: bool) -> list[tuple[Matrix, Matrix]]:
    """What one more fine-tune would have to be at some coordinates, with the slack of it, shapes [subsets, n].

    Beside any subset of those that are known: as what is missing in their sum, and as what turns their mean into the child's.
    """
    away, slack = change.away[at], change.slack[at]
    if found is None:
        return [(away[None], slack[None])]
    parts = change.of(pool, found.members)[:, at] * np.repeat(found.atoms, pool.lengths, axis=1)[:, at]
    subsets = np.array(list(product((0.0, 1.0), repeat=len(parts))))
    sizes = 1 + subsets.sum(axis=1)
    sums = (away - subsets @ parts, np.tile(slack, (len(subsets), 1)))
    means = (sizes[:, None] * away - subsets @ parts, sizes[:, None] * slack)
    return [sums, means] if even else [sums]
