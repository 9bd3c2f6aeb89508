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
        scaled = np.stack([standardised(row) for row in tensor]).astype(np.float64)
        cubes = scaled**3
        cubic += cubes @ scaled.T
        heavy += (cubes * scaled).sum(axis=1)
    total = family.sizes.sum()
    cubic, heavy = cubic / total, heavy / total
    away = np.sqrt(np.maximum(1.0 - np.square(family.cosine), 1e-4))
    return {
        "cubic": (cubic.T - cubic) / away,
        "kurtosis_difference": (heavy[:, None] - heavy[None, :]) / away,
    }
