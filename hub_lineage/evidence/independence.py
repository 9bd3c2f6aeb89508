"""Conditional independence: a true parent separates its child from the rest of the family, and nothing else does.

On a tree of increments that know nothing of each other, the partial correlation of child and any kin outside the child's
line vanishes given the parent, whatever uniform shrinkage weight decay applied; given anything else it doesn't.
"""

from __future__ import annotations

import numpy as np

from hub_lineage.family import Family, Matrix

_RIDGE = 1e-6
_LEAST_REST = 1e-7  # below this share of unexplained variance, a partial correlation is rounding


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    count = len(family)
    pooled = _pooled_partial(family)  # [i, j, given]
    weight = _closeness(family.cosine)  # how much a third model tells of i
    names = ("kept_given_candidate", "kept_worst", "least_given_other", "second_least_given_other", "candidate_given_child")
    found = {name: np.zeros((count, count)) for name in names}
    for child in range(count):
        for candidate in range(count):
            others = [o for o in range(count) if o not in (child, candidate)]
            if child == candidate or not others:
                continue
            importance = weight[child, others]
            given_candidate = pooled[child, others, candidate]
            given_others = np.sort(pooled[child, candidate, others])
            given_child = pooled[candidate, others, child]
            total = importance.sum()
            found["kept_given_candidate"][child, candidate] = (given_candidate * importance).sum() / total
            found["kept_worst"][child, candidate] = given_candidate.max()
            found["least_given_other"][child, candidate] = given_others[0]
            found["second_least_given_other"][child, candidate] = given_others[min(1, len(given_others) - 1)]
            found["candidate_given_child"][child, candidate] = (given_child * weight[candidate, others]).sum() / max(
                weight[candidate, others].sum(), 1e-12
            )
    found |= _neighbours(family.cosine)
    found["asymmetry_of_separation"] = found["candidate_given_child"] - found["kept_given_candidate"]
    return found


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
