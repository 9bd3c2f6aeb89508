"""Which family an adapter was trained in, where no merge is known: what it adds leans on its base's strongest outputs.

The columns of what an adapter adds are sums of gradients, and those lie along the outputs that the base's own matrix is
strongest in. So the leading left singular vectors of both share more than those of strangers do. Fine-tunes of one root
share them as well: this tells a family, never a member. Subspaces drawn at random are the null, of known mean and variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
RELATED = 6.0
"""Standard deviations above random subspaces, from which an adapter is of a model's family."""
UNRELATED = 3.0
"""Below this it isn't, where another model reaches :data:`RELATED`."""
_FEWEST = 24  # rows that must be known of a matrix
_PART = 6  # rows to a direction, at the least


def shared(pairs: Iterable[tuple[Matrix, Matrix]], rank: int) -> float | None:
    """How much leading outputs are shared, in standard deviations above random subspaces; None where too little is known.

    Args:
        pairs: What the adapter adds and the model's own, of the same whole rows of one matrix each, shapes [rows, in].
        rank: Of the adapter.
    """
    above = variance = 0.0
    for adds, own in pairs:
        rows, columns = adds.shape
        directions = min(rank, rows // _PART, columns // _PART)
        if rows >= _FEWEST and directions > 0 and adds.any() and own.any():
            mine, theirs = (np.linalg.svd(side, full_matrices=False)[0][:, :directions] for side in (adds, own))
            above += float(np.square(mine.T @ theirs).sum()) - directions**2 / rows
            variance += _variance(directions, rows)
    return above / math.sqrt(variance) if variance else None


def _variance(directions: int, rows: int) -> float:
    """Of the squared overlap of two random subspaces (moments of Haar-distributed projections)."""
    return 2 * directions**2 * (rows - directions) ** 2 / (rows**2 * (rows - 1) * (rows + 2))
