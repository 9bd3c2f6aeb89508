"""Least squares of a child on some of its candidates, tensor by tensor and over all of them.

Candidates are kin whose cosines may exceed .999. So what is fitted are differences: from one of them, which has the weight
that is left, and that one itself, whose coefficient is how far the weights sum from 1. All is counted in units of rounding,
so that an exact combination leaves a mean square of 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hub_lineage.derivation.merge.pool import Pool
from hub_lineage.family import Matrix
from hub_lineage.read.dtypes import coarser, round_to


@dataclass(frozen=True, eq=False)
class Fit:
    """M candidates with their weights: ``weights`` and ``errors`` [T, M] of every tensor, ``rest`` [N] in units of rounding.

    Where one fit was made of all tensors, its weights stand in every row. ``freedom`` is how many numbers were fitted;
    ``exact`` whether the weights were held to a sum of 1.
    """

    members: tuple[int, ...]
    weights: Matrix
    errors: Matrix  # standard errors
    rest: Matrix
    freedom: int
    exact: bool = False

    @property
    def left(self) -> float:
        """The mean square of what is left in units of rounding: 1 where rounding is all there is."""
        return float(np.square(self.rest).sum()) / max(1, len(self.rest) - self.freedom)


def by_tensor(pool: Pool, members: Sequence[int], *, rounded: bool = False) -> Fit:
    """Weights of their own for each tensor."""
    target, columns = _differences(pool, members, rounded=rounded)
    parts = [_solved(target[span], columns[:, span], exact=False) for span in pool.spans]
    weights, errors, rests = zip(*parts, strict=True)
    freedom = len(parts) * len(members)
    return Fit(tuple(members), np.stack(weights), np.stack(errors), np.concatenate(rests), freedom)


def over_all(pool: Pool, members: Sequence[int], *, exact: bool = False, rounded: bool = False) -> Fit:
    """The same weights for all tensors; ``exact`` holds their sum to 1."""
    target, columns = _differences(pool, members, rounded=rounded)
    weights, errors, rest = _solved(target, columns, exact=exact)
    shape = (len(pool.labels), 1)
    return Fit(tuple(members), np.tile(weights, shape), np.tile(errors, shape), rest, len(members) - exact, exact)


def _differences(pool: Pool, members: Sequence[int], *, rounded: bool) -> tuple[Matrix, Matrix]:
    """The child less the first member, shape [N], and the first with the others less it, shape [M, N]."""
    raw = pool.others[list(members)]
    if rounded:  # as a merge that casts its parents before it adds them
        raw = round_to(pool.dtype, raw)
    rows = raw.astype(np.float64)
    rows[1:] -= rows[0]
    target = pool.own.astype(np.float64) - rows[0]
    return target / pool.noise, rows / pool.noise


def _solved(target: Matrix, columns: Matrix, *, exact: bool) -> tuple[Matrix, Matrix, Matrix]:
    """Weights and standard errors of the members, shapes [M], and what is left, shape [n].

    Rounding is not even, so errors are those of White (1980).
    """
    used = columns[1:] if exact else columns
    scale = np.sqrt(np.square(used).sum(axis=1))
    scaled = used / np.where(scale > 0, scale, 1.0)[:, None]
    found = np.linalg.lstsq(scaled.T, target, rcond=1e-13)[0] if len(used) else np.zeros(0)
    rest: Matrix = target - found @ scaled
    inverse = np.linalg.pinv(scaled @ scaled.T, rcond=1e-13, hermitian=True)
    spread = inverse @ ((scaled * np.square(rest)) @ scaled.T) @ inverse
    turn = _to_weights(len(columns), exact=exact) / np.where(scale > 0, scale, 1.0)
    weights = turn @ found
    weights[0] += 1.0
    errors = np.sqrt(np.maximum(np.diagonal(turn @ spread @ turn.T), 0.0))
    return weights, errors, rest


def _to_weights(members: int, *, exact: bool) -> Matrix:
    """From coefficients of differences to weights of the members, shape [M, coefficients]; the first gets what is left."""
    turn = np.eye(members)
    turn[0, 1:] = -1.0
    return turn[:, 1:] if exact else turn


def casts(pool: Pool, members: Iterable[int]) -> bool:
    """Whether some member is stored in more than the child, so that it may have been rounded before it was merged."""
    finer = [pool.models[k][0].fingerprint.dtype for k in members]
    return any(dtype != pool.dtype and coarser(dtype, pool.dtype) == pool.dtype for dtype in finer)
