"""The cheapest directed tree over all of a graph's nodes (Chu and Liu 1965, Edmonds 1967)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub_lineage.branching import maximum_branching
from hub_lineage.family import Matrix

Parents = NDArray[np.intp]
"""The place of each model's parent, or -1 where it has none; shape [K]."""


def arborescence(cost: Matrix) -> Parents:
    """The parents that make one tree of K nodes at the least sum of costs, the root -1, whichever root is best.

    ``cost`` [K, K] holds the child in the row and its parent in the column; its diagonal isn't read. It must be finite
    elsewhere. An edge more is worth more than all costs together, so the maximum branching spans all nodes.
    """
    apart = cost[~np.eye(len(cost), dtype=bool)]
    dear = 1.0 + len(cost) * float(np.ptp(apart)) if apart.size else 1.0
    worst = float(apart.max()) if apart.size else 0.0
    return maximum_branching(worst + dear - cost)
