"""Neural Phylogeny without learning: Yu and Wang, Neural Phylogeny: Fine-Tuning Relationship Detection, ICLR 2025.

Models are clustered, by K-means among others, and of two models in a cluster the parent is the one nearer to a fake
initialisation: random weights in place of the true first ones, which nobody has.

A draw of mean zero knows nothing of a model's weights, so its squared distance from them is, but for noise, the sum of both
squared norms: the origin gives the order that many draws give in the mean. So the origin stands for it here, every tensor
in its own scale and with its mean off, as in a family's Gram matrix.

No code was published, and this follows the abstract: clusters first and direction after them, where the paper also has a
K-means that finds both along one another. In several generations, a model's parent is the likest of those nearer to the start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from benchmarks.peers.arborescence import Parents
from hub_lineage.family import Family, Matrix

_BEGINNINGS = 50


def from_start(family: Family) -> Matrix:
    """The squared distance a coordinate from the origin, shape [K]."""
    squares: Matrix = np.diagonal(family.gram).copy()
    return squares


def clusters(family: Family, trees: int) -> NDArray[np.intp]:
    """The tree in which each model stands, by K-means, shape [K]; begun in the order of norms, so that none else matters."""
    values, vectors = np.linalg.eigh(family.gram)
    points = vectors * np.sqrt(np.maximum(values, 0.0))  # K models span K dimensions at most: same distances, few numbers
    order = np.argsort(from_start(family))
    place = np.empty(len(family), dtype=np.intp)
    place[order] = KMeans(min(trees, len(family)), n_init=_BEGINNINGS, random_state=0).fit_predict(points[order])
    return place


def scores(family: Family, trees: int = 1) -> Matrix:
    """Shape [K, K]: models of the child's own tree first, then those nearer to the start, then by distance."""
    place, start = clusters(family, trees), from_start(family)
    other_tree = place[:, None] != place[None, :]
    later = start[None, :] >= start[:, None]
    far = 1.0 + family.distance.max()
    found: Matrix = -(family.distance + far * later + 2 * far * other_tree)
    np.fill_diagonal(found, -np.inf)
    return found


def forest(family: Family, trees: int) -> Parents:
    """The likest model of the same tree that is nearer to the start, shape [K]; -1 for the nearest of all."""
    place, start = clusters(family, trees), from_start(family)
    earlier = (place[:, None] == place[None, :]) & (start[None, :] < start[:, None])
    likest = np.where(earlier, family.distance, np.inf).argmin(axis=1)
    return np.where(earlier.any(axis=1), likest, -1)
