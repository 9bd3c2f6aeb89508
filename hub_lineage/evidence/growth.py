"""Which of two models was trained longer, from its gains and biases, and how alike those are.

Networks start with gains of one and small biases, and training carries both away from there, further with every
generation unless decay turns them round. What a vector is for is told from its values, never from its name.
"""

from __future__ import annotations

import numpy as np

from hub_lineage.family import Family, Matrix, ranks
from hub_lineage.types import Floats

_GAIN = 0.5  # vectors whose mean lies above this in most of the family are gains


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]; 0 without vectors."""
    count = len(family)
    gains = [v - np.float32(1.0) for v in family.vectors if np.median(v.mean(axis=1)) > _GAIN]
    biases = [v for v in family.vectors if np.median(v.mean(axis=1)) <= _GAIN]
    both = [*gains, *biases]
    if not both:
        nothing = np.zeros((count, count))
        return dict.fromkeys(("gain_growth", "bias_growth", "vector_votes", "vector_cosine", "vector_rank"), nothing)
    moved = np.stack([_size(vector) for vector in both])  # [V, K]
    votes = np.sign(moved[:, :, None] - moved[:, None, :]).mean(axis=0)
    cosine = _cosine(both)
    away = 1.0 - cosine
    np.fill_diagonal(away, np.inf)
    return {
        "gain_growth": _growth(moved[: len(gains)]),
        "bias_growth": _growth(moved[len(gains) :]),
        "vector_votes": votes,
        "vector_cosine": cosine,
        "vector_rank": ranks(away),
    }


def _size(vector: Floats) -> Matrix:
    """How far a vector lies from where training starts, shape [K]: a root mean square."""
    size: Matrix = np.sqrt(np.square(vector, dtype=np.float64).mean(axis=1))
    return size


def _growth(moved: Matrix) -> Matrix:
    """Mean logarithm of how much further the child's vectors went than the candidate's, from sizes [V, K]: shape [K, K]."""
    if not len(moved):
        return np.zeros((moved.shape[1], moved.shape[1]))
    logs = np.log(np.maximum(moved, 1e-6))
    growth: Matrix = (logs[:, :, None] - logs[:, None, :]).mean(axis=0)
    return growth


def _cosine(vectors: list[Floats]) -> Matrix:
    """The cosine pooled over vectors of equal root mean square, not centred: shape [K, K]."""
    grams = np.stack([vector.astype(np.float64) @ vector.astype(np.float64).T / vector.shape[1] for vector in vectors])
    scale = np.trace(grams, axis1=1, axis2=2)
    weights = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    gram = np.einsum("v,vij->ij", weights, grams)
    norms = np.sqrt(np.maximum(np.diagonal(gram), 1e-300))
    cosine: Matrix = np.clip(gram / norms[:, None] / norms[None, :], -1.0, 1.0)
    return cosine
