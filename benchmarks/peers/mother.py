"""MoTHer: Horwitz, Shul and Hoshen, Unsupervised Model Tree Heritage Recovery, ICLR 2025.

Models are parted into trees by Ward's clustering of their distances. In each tree an edge costs the distance of its ends,
and .3 of the mean distance more where the weights' kurtosis changes the wrong way; the cheapest directed tree is the answer.

As in the published code: Ward's clustering, excess kurtosis summed over layers, its use as yes or no, the .3, and the mean
that counts a model's distance to itself. Not so: all tensors of the body are read, in samples, where that code picks square
ones by name. And the distance of full fine-tunes is Euclidean, every tensor in its own scale: the largest difference of a
single weight, which that code takes for edges, ranks parents worse on samples. For low-rank adapters the distance would be
the rank of the difference, which samples can't tell.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform

from benchmarks.peers.arborescence import Parents, arborescence
from hub_lineage.family import Family, Matrix

Stage = Literal["generalisation", "specialisation"]
"""Whether kurtosis grows along an edge, as where training makes a model more general, or shrinks.

The paper is told which. The published code has it shrink in fine-tuned ViTs and Llama 2, and grow in Stable Diffusion.
"""
STAGE: Stage = "generalisation"
"""The stage by which more of the zoo's validation edges point the right way."""
_SHARE_OF_MEAN = 0.3
_TIE = 1e-6  # of the dearest edge: trees of one cost are many where direction is a yes or no


def distances(family: Family) -> Matrix:
    """The root mean square difference, each tensor scaled to a unit root mean square, the mean over tensors; shape [K, K]."""
    apart = np.zeros((len(family), len(family)))
    for tensor in family.raw:
        exact = tensor.astype(np.float64)
        length = float(np.linalg.norm(exact)) / np.sqrt(len(family))
        apart += squareform(pdist(exact)) / (length or 1.0)
    found: Matrix = apart / max(len(family.raw), 1)
    return found


def kurtosis(family: Family) -> Matrix:
    """The excess kurtosis of every model's weights, summed over tensors; shape [K]. A constant tensor adds nothing."""
    total = np.zeros(len(family))
    for tensor in family.raw:
        exact = tensor.astype(np.float64)
        squares = np.square(exact - exact.mean(axis=1, keepdims=True))
        variance = squares.mean(axis=1)
        excess = np.square(squares).mean(axis=1) - 3 * variance**2
        total += np.divide(excess, variance**2, out=np.zeros_like(variance), where=variance > 0)
    return total


def edge_weights(distance: Matrix, kurtosis: Matrix, stage: Stage = STAGE) -> Matrix:
    """What an edge from the column to the row costs in one tree, shape [K, K]."""
    growth = kurtosis[:, None] - kurtosis[None, :]
    wrong = growth < 0 if stage == "generalisation" else growth > 0
    weights: Matrix = distance + _SHARE_OF_MEAN * distance.mean() * wrong
    return weights


def clusters(distance: Matrix, trees: int) -> NDArray[np.intp]:
    """The tree in which each model stands, by Ward's hierarchical clustering cut into so many trees; shape [K]."""
    if len(distance) < 2:
        return np.zeros(len(distance), dtype=np.intp)
    joined = linkage(squareform(distance, checks=False), "ward")
    return np.asarray(fcluster(joined, trees, "maxclust"), dtype=np.intp)


def scores(family: Family, trees: int = 1, stage: Stage = STAGE) -> Matrix:
    """Minus the cost of an edge, shape [K, K]; models of other trees come after all of the child's own, by distance."""
    distance, kurtoses = distances(family), kurtosis(family)
    place = clusters(distance, trees)
    cost = distance + (1 + _SHARE_OF_MEAN) * distance.max()  # what no edge within a tree costs
    for tree in np.unique(place):
        inside = np.flatnonzero(place == tree)
        square = np.ix_(inside, inside)
        cost[square] = edge_weights(distance[square], kurtoses[inside], stage)
    np.fill_diagonal(cost, np.inf)
    found: Matrix = -cost
    return found


def forest(family: Family, trees: int, stage: Stage = STAGE) -> Parents:
    """The parents in the cheapest directed tree of each cluster, shape [K]; -1 for roots.

    Of trees at one cost the published code takes any; here that with the root of least (or greatest) kurtosis, so that the
    order of models tells nothing.
    """
    distance, kurtoses = distances(family), kurtosis(family)
    place = clusters(distance, trees)
    growth = (kurtoses[:, None] - kurtoses[None, :]) / (np.ptp(kurtoses) or 1.0)
    tie = _TIE * distance.max() * (-growth if stage == "generalisation" else growth)
    parents = np.full(len(family), -1, dtype=np.intp)
    for tree in np.unique(place):
        inside = np.flatnonzero(place == tree)
        square = np.ix_(inside, inside)
        found = arborescence(edge_weights(distance[square], kurtoses[inside], stage) + tie[square])
        parents[inside] = np.where(found < 0, -1, inside[found])
    return parents
