"""How alike two models are: the pooled cosine and its kin."""

from __future__ import annotations

import numpy as np

from hub_lineage.family import Family, Matrix, ranks


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    cosine = family.cosine
    median = np.median(family.cosines, axis=0)
    spread = family.cosines.std(axis=0)
    away = 1.0 - cosine
    np.fill_diagonal(away, np.inf)
    nearest = away.min(axis=1, keepdims=True)
    from_candidate = away.min(axis=0, keepdims=True)
    norms = np.sqrt(np.maximum(np.diagonal(family.gram), 1e-30))
    distance = np.sqrt(family.distance)
    np.fill_diagonal(distance, np.inf)
    return {
        "cosine": cosine,
        "log_away": np.log10(np.maximum(1.0 - cosine, 1e-9)),
        "median_cosine": median,
        "cosine_spread": spread,
        "times_nearest": np.log(np.maximum(away, 1e-9) / np.maximum(nearest, 1e-9)),
        "times_nearest_of_candidate": np.log(np.maximum(away, 1e-9) / np.maximum(from_candidate, 1e-9)),
        "cosine_rank": ranks(away),
        "distance_rank": ranks(distance),
        "times_nearest_distance": np.log(np.maximum(distance, 1e-9) / np.maximum(distance.min(axis=1, keepdims=True), 1e-9)),
        "relative_distance": np.where(np.isfinite(distance), distance, 0.0) / norms[:, None],
    }
