"""How alike two models are: the pooled cosine and its kin, beside what unrelated models of that shape give."""

from __future__ import annotations

import numpy as np

from hub_lineage.family import Family, Matrix, ranks

TURNS = 24
"""Permutations that make a null."""


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


def null(family: Family, child: int) -> tuple[Matrix, Matrix]:
    """Mean and standard deviation of the pooled cosine that unrelated models give, for each candidate: shapes [K], [K].

    The null turns each candidate's values round by whole kernels, which keeps what all networks of a shape share (the
    mean kernel, the spread) and breaks what only kin share (which channel does what).
    """
    generator = np.random.default_rng(0)
    scale = np.trace(family.grams, axis1=1, axis2=2) / (len(family) * family.sizes)
    found = np.zeros((TURNS, len(family)))
    squares = np.zeros(len(family))
    for tensor, kernel, rms in zip(family.tensors, family.kernels, scale, strict=True):
        if rms <= 0:
            continue
        squares += np.square(tensor, dtype=np.float64).sum(axis=1) / rms
        steps = max(1, tensor.shape[1] // kernel - 1)
        shifts = kernel * generator.integers(1, steps + 1, size=TURNS)
        turned = np.stack([np.roll(tensor[child], int(shift)) for shift in shifts])
        found += turned @ tensor.T / rms
    found /= np.sqrt(np.maximum(squares * squares[child], 1e-300))
    return found.mean(axis=0), np.maximum(found.std(axis=0, ddof=1), 1e-6)
