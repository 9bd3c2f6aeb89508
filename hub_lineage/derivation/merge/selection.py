"""Which candidates a child is a combination of: forward selection by exact least squares, then all that is not needed goes.

Each step takes the candidate that lowers what is left the most (orthogonal least squares: Chen, Cowan and Grant 1991), with
weights of their own for every tensor, so that what is merged layer by layer is found as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hub_lineage.derivation.merge.fitting import Fit, by_tensor
from hub_lineage.derivation.merge.pool import BLOCK, Pool
from hub_lineage.family import Matrix
from hub_lineage.types import Floats

MOST = 16
"""Candidates that are taken together at the most."""
EXPLAINED = 8.0
"""The mean square in units of rounding that arithmetic in low precision may leave."""
_GAIN = 0.01  # a share of what is left; less than this no step is worth
_NEEDED = 1.05  # how much worse it may get without a candidate that isn't needed
_ALL = 1.03  # the mean square in units of rounding at which nothing is left to explain
_COLLINEAR = 1e-5  # of a squared norm, beyond which a candidate is no combination of others
_SAME = 1e-9  # likewise, beyond which it is a copy: two revisions of a model may be as near as a thousandth
_LITTLE = 0.01  # a weight that counts as none
_BETTER = 0.997  # times what is left, which another candidate must stay below to take the place of one
_TRIED = 16  # candidates within the span of members, that are tried in the place of each
_PART = 8192  # values in which candidates are looked for
_OF_TENSOR = 64  # of each tensor, on average, if there are many


def select(pool: Pool, most: int = MOST) -> Fit:
    """The fewest candidates that explain the child, or those that explain most of it, the nearest first."""
    return refined(pool, likeliest(pool, most))


def likeliest(pool: Pool, most: int = MOST) -> Fit:
    """The candidates that forward selection takes, in its order; some of them may not be needed.

    Which they are is looked for in a part of the values; their weights are those of all.
    """
    part = thinned(pool)
    found = by_tensor(pool, _Forward.of(part).members(most))
    if not _ALL < found.left <= EXPLAINED or len(pool) == 1:
        return found
    first = found.members[0]  # perhaps a sister of the child, rounded on its own, which hides what both were made of
    rest = [k for k in range(len(pool)) if k != first]
    again = by_tensor(pool, [rest[k] for k in _Forward.of(part.without([first])).members(most)])
    return again if again.left < _BETTER * found.left else found


def refined(pool: Pool, found: Fit) -> Fit:
    """The fit without what it doesn't need, with the best of near copies, and without what lies between others."""
    return primitive(pool, exchanged(pool, pruned(pool, found)))


@dataclass(eq=False)
class _Forward:
    """Forward selection: what is left of the child, and of every candidate's difference from the first, shape [K, n].

    Both in units of rounding and, tensor by tensor, at right angles to the candidates taken (modified Gram and Schmidt).
    """

    pool: Pool
    taken: list[int]
    rest: Floats
    apart: Floats
    norms: Matrix  # squared, of the differences as they were, shape [K, T]

    @classmethod
    def of(cls, pool: Pool) -> _Forward:
        """From the nearest candidate, whose weight is what the others leave of 1 but for one more number."""
        first = int(pool.distances.argmin())
        scale = pool.noise.astype(np.float32)
        apart = (pool.others - pool.others[first]) / scale
        apart[first] = pool.others[first] / scale
        rest = ((pool.own.astype(np.float64) - pool.others[first]) / pool.noise).astype(np.float32)
        found = cls(pool, [first], rest, apart, np.zeros((len(pool), len(pool.labels))))
        found.norms = found.sums(np.square(apart))
        found.take(first)
        return found

    def sums(self, found: Floats) -> Matrix:
        """Tensor by tensor, shape [K, T]."""
        sums: Matrix = np.add.reduceat(found, self.pool.starts, axis=-1).astype(np.float64)
        return sums

    def take(self, row: int) -> None:
        """Turns everything to right angles to one candidate."""
        lengths, square = self.pool.lengths, self.sums(np.square(self.apart[row]))
        scale = np.divide(1.0, np.sqrt(square), out=np.zeros_like(square), where=square > _SAME * self.norms[row])
        unit = self.apart[row] * np.repeat(scale, lengths).astype(np.float32)
        self.rest -= np.repeat(self.sums(self.rest * unit), lengths).astype(np.float32) * unit
        self.apart -= np.repeat(self.sums(self.apart * unit), lengths, axis=1).astype(np.float32) * unit

    def gains(self) -> Matrix:
        """What each candidate would lower the squares left by, shape [K]."""
        squares, inner = self.sums(np.square(self.apart)), self.sums(self.apart * self.rest)
        new = squares > _SAME * self.norms
        gains: Matrix = np.divide(np.square(inner), squares, out=np.zeros_like(inner), where=new).sum(axis=1)
        gains[self.taken] = -np.inf
        return gains

    @property
    def left(self) -> float:
        """The mean square of what is left."""
        freedom = len(self.rest) - len(self.taken) * len(self.pool.labels)
        return float(np.square(self.rest, dtype=np.float64).sum()) / max(1, freedom)

    def members(self, most: int) -> list[int]:
        """Candidates one by one until nothing is left, or no further one helps."""
        while len(self.taken) < min(most, len(self.pool)) and (before := self.left) > 1.0 + _GAIN:
            best = int(self.gains().argmax())
            self.taken.append(best)
            self.take(best)
            if self.left > (1.0 - _GAIN) * before or (before <= EXPLAINED and before <= _NEEDED * self.left):
                return self.taken[:-1]
        return self.taken


def _does_as_well(one: Fit, other: Fit) -> bool:
    """Whether a fit leaves hardly more than another, or nothing but rounding."""
    return one.left <= max(_NEEDED * other.left, _ALL)


def pruned(pool: Pool, found: Fit) -> Fit:
    """The fit without the members that it does as well without, the least needed first."""
    while len(found.members) > 1:
        without = [by_tensor(pool, [m for m in found.members if m != k]) for k in found.members]
        least = min(without, key=lambda fit: fit.left)
        if not _does_as_well(least, found):
            break
        found = least
    return found


def primitive(pool: Pool, found: Fit) -> Fit:
    """The fit with a member that is itself between another candidate and the other members replaced by that candidate.

    Beside a merge of the same parents its sister may be nearer than any of them, and would do in the place of one.
    """
    for _ in range(len(found.members)):
        better = _primitive(pool, found)
        if better is None:
            break
        found = better
    return found


def exchanged(pool: Pool, found: Fit) -> Fit:
    """The fit with each member replaced by the candidate that does best beside the others, as another revision of it may."""
    if len(found.members) < 2 or found.left > EXPLAINED:
        return found
    part = thinned(pool)
    for place in range(len(found.members)):
        others = [m for j, m in enumerate(found.members) if j != place]
        gains = _gains(part, by_tensor(part, others))[0]
        gains[others] = -np.inf
        best = int(gains.argmax())
        if best != found.members[place]:
            swapped = by_tensor(pool, [*found.members[:place], best, *found.members[place + 1 :]])
            found = swapped if swapped.left < _BETTER * found.left else found
    return found


def thinned(pool: Pool) -> Pool:
    """The pool with as many values as tell who is in a combination."""
    return pool.thinned(max(_PART, _OF_TENSOR * len(pool.labels)))


def _primitive(pool: Pool, found: Fit) -> Fit | None:
    members = list(found.members)
    if len(members) < 2 or found.left > EXPLAINED:
        return None
    outside, shares = _gains(pool, found)[1:]
    within = np.flatnonzero((shares <= _COLLINEAR) | (outside <= EXPLAINED))  # to within the rounding of the members
    for k in [int(k) for k in within[np.argsort(shares[within], kind="stable")] if k not in members][:_TRIED]:
        for place in range(len(members)):
            swapped = by_tensor(pool, [*members[:place], k, *members[place + 1 :]])
            if _does_as_well(swapped, found) and _between(found.weights, swapped.weights, place):
                return swapped
    return None


def _between(before: Matrix, after: Matrix, place: int) -> bool:
    """Whether the member that went lies between the one in its place and the others, by the weights that both fits give."""
    share = np.median(after - before, axis=0)
    share[place] = np.median(after[:, place])
    share /= np.median(before[:, place])
    return bool((share >= -_LITTLE).all() and share.max() <= 1 - _LITTLE and np.isfinite(share).all())


def _gains(pool: Pool, found: Fit) -> tuple[Matrix, Matrix, Matrix]:
    """What each candidate would lower the squares left by, what of it lies outside the members' span, and its share, shapes [K].

    What lies outside is a mean square in units of rounding.
    """
    first = pool.others[found.members[0]].astype(np.float64)
    noise = pool.noise
    bases = [_basis(pool, found.members, span) for span in pool.spans]
    gains, outside, norms = np.zeros((3, len(pool)))
    for start in range(0, len(pool), BLOCK):
        rows = slice(start, start + BLOCK)
        apart = ((pool.others[rows] - first) / noise).astype(np.float32)
        for span, basis in zip(pool.spans, bases, strict=True):
            part = apart[:, span]
            inner = part @ found.rest[span].astype(np.float32)
            norm = np.einsum("kn,kn->k", part, part, dtype=np.float64)
            beyond = norm - np.square(part @ basis, dtype=np.float64).sum(axis=1)
            new = beyond > _COLLINEAR * norm
            gains[rows] += np.divide(np.square(inner, dtype=np.float64), beyond, out=np.zeros_like(norm), where=new)
            outside[rows] += np.maximum(beyond, 0.0)
            norms[rows] += norm
    return gains, outside / len(pool.own), outside / np.maximum(norms, 1e-300)


def _basis(pool: Pool, members: Sequence[int], span: slice) -> Matrix:
    """Orthonormal columns that span the members in one tensor, shape [n, M], as float32."""
    rows = pool.others[list(members), span].astype(np.float64)
    rows[1:] -= rows[0]
    scaled = rows / pool.noise[span]
    scaled /= np.maximum(np.sqrt(np.square(scaled).sum(axis=1, keepdims=True)), 1e-300)
    basis: Matrix = np.linalg.qr(scaled.T)[0].astype(np.float32)
    return basis
