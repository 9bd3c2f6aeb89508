"""Conditional independence: a true parent separates its child from the rest of the family, and nothing else does.

On a tree of increments that know nothing of each other, the partial correlation of child and any kin outside the child's
line vanishes given the parent, whatever uniform shrinkage weight decay applied; given anything else it doesn't.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Family, Matrix

_RIDGE = 1e-6
_FAINT = 0.05  # a third model below this cosine tells more noise than path
_LEAST_REST = 1e-7  # below this share of unexplained variance, a partial correlation is rounding


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    pooled = _pooled_partial(family)  # [i, j, given]
    weight = _closeness(family.cosine)  # how much a third model tells of i
    third = _third(len(family))  # [child, candidate, o]
    given_candidate = pooled.transpose(0, 2, 1)  # [child, candidate, o]: child and o given the candidate
    given_child = pooled.transpose(2, 0, 1)  # candidate and o given the child
    given_other = np.sort(np.where(third, pooled, np.inf), axis=2)  # child and candidate given o
    kept = _mean(given_candidate, third * weight[:, None, :])
    from_candidate = _mean(given_child, third * weight[None, :, :])
    found = {
        "kept_given_candidate": kept,
        "kept_worst": np.where(third, given_candidate, -np.inf).max(axis=2, initial=-np.inf),
        "least_given_other": given_other[:, :, 0],
        "second_least_given_other": given_other[:, :, min(1, max(len(family) - 3, 0))],
        "candidate_given_child": from_candidate,
        "asymmetry_of_separation": from_candidate - kept,
    }
    found = {name: np.where(np.isfinite(value), value, 0.0) for name, value in found.items()}
    return found | _neighbours(family.cosine) | _detours(family.cosine)


def _third(count: int) -> NDArray[np.bool_]:
    """Which o is neither child nor candidate, and the two aren't one: shape [K, K, K]."""
    apart = ~np.eye(count, dtype=bool)
    third: NDArray[np.bool_] = apart[:, :, None] & apart[:, None, :] & apart[None, :, :]
    return third


def _mean(values: Matrix, weights: Matrix) -> Matrix:
    """Weighted mean over the last axis, 0 where nothing weighs."""
    total = weights.sum(axis=2)
    mean: Matrix = np.divide((values * weights).sum(axis=2), total, out=np.zeros_like(total), where=total > 0)
    return mean


def _neighbours(cosine: Matrix) -> dict[str, Matrix]:
    """Partial correlations given the whole rest of the family, and the regression of each child on all others.

    Both come from the inverse of the matrix of correlations, in which only true neighbours of a tree have entries.
    """
    count = len(cosine)
    inverse = np.linalg.inv(cosine + _RIDGE * np.eye(count))
    scale = np.sqrt(np.diagonal(inverse))
    whole = -inverse / scale[:, None] / scale[None, :]
    np.fill_diagonal(whole, 0.0)
    weights = -inverse / np.diagonal(inverse)[:, None]
    np.fill_diagonal(weights, 0.0)
    best = np.maximum(whole.max(axis=1, keepdims=True), 1e-9)
    return {"given_all": whole, "given_all_share": whole / best, "regression_weight": weights}


def _detours(cosine: Matrix) -> dict[str, Matrix]:
    """How much of the way from a child to third models does not lead past the candidate, each of shape [K, K].

    With increments that know nothing of each other, cosines multiply along paths, so 1 - cos(c, p) cos(p, o) / cos(c, o)
    is 0 for the parent p of c and every o outside c's line, whatever the shrinkage; for a sibling it is the square sine of
    the sibling's own branch, for all o alike. Low quantiles over o pass over descendants and siblings on like data.
    """
    third = _third(len(cosine)) & (cosine > _FAINT)[:, None, :]
    straight = np.where(third, cosine[:, None, :], 1.0)
    share = np.clip(1.0 - cosine[:, :, None] * cosine[None, :, :] / straight, -1.0, 1.0)
    least, low, middle = (_quantile(share, third, q) for q in (0.0, 0.25, 0.5))
    mean = _mean(share, np.where(third, np.square(straight), 0.0))
    found = {"detour_least": least, "detour_low": low, "detour_middle": middle, "detour_mean": mean}
    away = np.maximum(1.0 - np.square(cosine), 1e-9)  # the candidate's own share of the way to the child
    shares = {f"{name}_share": np.clip(value / away, -5.0, 5.0) for name, value in found.items()}
    return found | shares


def _quantile(values: Matrix, chosen: NDArray[np.bool_], share: float) -> Matrix:
    """A quantile of the chosen values along the last axis, linear between two of them; 0 where none is chosen."""
    ordered = np.sort(np.where(chosen, values, np.inf), axis=2)
    place = share * np.maximum(chosen.sum(axis=2) - 1, 0)
    below = np.take_along_axis(ordered, np.floor(place).astype(np.intp)[:, :, None], axis=2)[:, :, 0]
    above = np.take_along_axis(ordered, np.ceil(place).astype(np.intp)[:, :, None], axis=2)[:, :, 0]
    some = chosen.any(axis=2)
    below, above = np.where(some, below, 0.0), np.where(some, above, 0.0)
    found: Matrix = below + (above - below) * (place - np.floor(place))
    return found


def _closeness(cosine: Matrix) -> Matrix:
    """Weights of third models, shape [K, K]: nearer ones tell more, and strangers nothing."""
    weights: Matrix = np.clip(cosine, 0.01, 1.0) ** 2
    return weights


def _pooled_partial(family: Family) -> Matrix:
    """Partial correlations of i and j given k, shape [K, K, K], pooled over tensors by their sizes."""
    count = len(family)
    total = np.zeros((count, count, count))
    for cosine, size in zip(family.cosines, family.sizes, strict=True):
        total += size * partial_correlations(cosine)
    pooled: Matrix = total / family.sizes.sum()
    return pooled


def partial_correlations(cosine: Matrix) -> Matrix:
    """The partial correlation of i and j given k for every triple, from correlations: shape [K, K] to [K, K, K].

    Zero where k is i or j, or explains either of them but for rounding.
    """
    rest = 1.0 - np.square(cosine)  # [i, k]
    numerator = cosine[:, :, None] - cosine[:, None, :] * cosine[None, :, :]
    scale = np.sqrt(np.maximum(rest[:, None, :] * rest[None, :, :], 0.0))
    known = (rest[:, None, :] > _LEAST_REST) & (rest[None, :, :] > _LEAST_REST)
    partial: Matrix = np.divide(numerator, scale, out=np.zeros_like(numerator), where=known)
    clipped: Matrix = np.clip(partial, -1.0, 1.0)
    return clipped
