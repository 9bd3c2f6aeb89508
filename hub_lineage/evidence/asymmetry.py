"""Which of two models came first, from the shape of their joint distribution.

A child is its parent plus something independent, so the parent's large values show in the child and not the other way
round: E[p^3 c] - E[p c^3] of standardised values (as in LiNGAM, Hyvarinen and Smith 2013). Unreliable alone.
"""

from __future__ import annotations

import numpy as np

from hub_lineage.family import Family, Matrix
from hub_lineage.fingerprint import standardised


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    count = len(family)
    cubic = np.zeros((count, count))
    heavy = np.zeros(count)
    for tensor in family.raw:
        scaled = np.stack([standardised(row) for row in tensor]).astype(np.float64)  # in single, order shows in the sums
        products = (scaled * scaled * scaled) @ scaled.T
        cubic += products
        heavy += products.diagonal()
    total = family.sizes.sum()
    cubic, heavy = cubic / total, heavy / total
    tails = _increment_tails(family)
    away = np.sqrt(np.maximum(1.0 - np.square(family.cosine), 1e-4))
    return {
        "cubic": (cubic.T - cubic) / away,
        "increment_tails": tails,
        "increment_tails_share": tails
        / np.maximum((tails + np.where(np.eye(count, dtype=bool), -np.inf, 0)).max(axis=1), 1e-9)[:, None],
        "kurtosis_difference": (heavy[:, None] - heavy[None, :]) / away,
    }


def _increment_tails(family: Family) -> Matrix:
    """Logarithm of the kurtosis of c - p, pooled over tensors: one fine-tuning has heavier tails than a sum of several."""
    count = len(family)
    found = np.zeros((count, count))
    for tensor in family.tensors:
        for child in range(count):
            squares = np.square(tensor - tensor[child])
            mean = squares.mean(axis=1, dtype=np.float64)
            fourth = np.einsum("ij,ij->i", squares, squares).astype(np.float64) / tensor.shape[1]
            ratio = np.divide(fourth, mean**2, out=np.full(count, 3.0), where=mean > 0)
            found[child] += tensor.shape[1] * np.log(np.maximum(ratio, 1e-9))
    pooled: Matrix = found / family.sizes.sum()
    return pooled
