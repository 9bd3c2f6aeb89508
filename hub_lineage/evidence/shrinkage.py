"""Whether one model is another, shrunk and moved: Brownian motion with weight decay along a single edge, origin at zero.

Weight decay shrinks all weights of a parent by one factor, whatever the tensor and however large the weight. A later
revision of the parent is too long as well, but unevenly: more in the tensors and in the large weights that its own training
moved. So the likelihood of one factor for the whole body, against a factor for each tensor, tells a parent from a model that
went on beyond the parent (a likelihood ratio of two Gaussian regressions through the origin, sizes of increments free).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Family, Matrix

_ROUNDS = 4
_SMALL, _LARGE = 0.7, 2.0  # in root mean squares of the candidate's tensor: half of all weights, and one in twenty
_LEAST_REST = 1e-9  # an increment below this share of the child is rounding
_MOST = 50.0


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    squares = np.diagonal(family.grams, axis1=1, axis2=2)
    live: NDArray[np.bool_] = np.all(squares > 0, axis=1)
    if not live.any():
        nothing = np.zeros((len(family), len(family)))
        return dict.fromkeys(_NAMES, nothing)
    found = _uniform(family.grams[live], squares[live], family.sizes[live]) | _by_size(family, live)
    found = {name: np.clip(value, -_MOST, _MOST) for name, value in found.items()}
    for value in found.values():
        np.fill_diagonal(value, 0.0)
    differences = {f"{name}_difference": found[name] - found[name].T for name in _DIRECTED}
    return found | {f"{name}_reversed": value.T.copy() for name, value in found.items()} | differences


_DIRECTED = ("shrinkage_uneven", "shrinkage_any", "shrinkage_bend_share")
_FOUND = (
    "shrinkage_factor",
    "shrinkage_uneven",
    "shrinkage_any",
    "shrinkage_spread",
    "shrinkage_moved",
    "shrinkage_share",
    "shrinkage_of_large",
    "shrinkage_bend",
    "shrinkage_bend_share",
)
_NAMES = (*_FOUND, *(f"{name}_reversed" for name in _FOUND), *(f"{name}_difference" for name in _DIRECTED))


def _uniform(grams: Matrix, squares: Matrix, sizes: Matrix) -> dict[str, Matrix]:
    """The likeliest factor for all tensors alike, and what it costs: from Gram matrices [T, K, K]."""
    factors = grams / squares[:, None, :]  # of each tensor, [T, child, candidate]
    rest = np.maximum(squares[:, :, None] - grams * factors, _LEAST_REST * squares[:, :, None])
    weights = (sizes / sizes.sum())[:, None, None]
    factor = one_factor(factors, rest, squares, weights)
    uneven = rest + np.square(factors - factor) * squares[:, None, :]
    unshrunk = rest + np.square(factors - 1.0) * squares[:, None, :]
    lost = 1.0 - factors
    moved = np.log(rest / squares[:, :, None])
    return {
        "shrinkage_factor": factor,
        "shrinkage_uneven": (weights * np.log(uneven / rest)).sum(axis=0),
        "shrinkage_any": (weights * np.log(unshrunk / rest)).sum(axis=0),
        "shrinkage_spread": np.sqrt((weights * np.square(factors - factor)).sum(axis=0)),
        "shrinkage_moved": _correlation(lost, moved, weights),
        "shrinkage_share": (weights * lost).sum(axis=0) / np.maximum((weights * rest / squares[:, :, None]).sum(axis=0), 1e-6),
    }


def one_factor(factors: Matrix, rest: Matrix, squares: Matrix, weights: Matrix) -> Matrix:
    """The likeliest common factor [K, K] of tensors whose increments are of unknown size, by reweighting."""
    spent = rest
    for _ in range(_ROUNDS):
        precision = weights * squares[:, None, :] / spent
        factor: Matrix = (precision * factors).sum(axis=0) / precision.sum(axis=0)
        spent = rest + np.square(factors - factor) * squares[:, None, :]
    return factor


def _correlation(one: Matrix, other: Matrix, weights: Matrix) -> Matrix:
    """Over tensors, by weight: whether tensors that moved more seem to have shrunk more."""
    one, other = (each - (weights * each).sum(axis=0) for each in (one, other))
    scale = np.sqrt((weights * np.square(one)).sum(axis=0) * (weights * np.square(other)).sum(axis=0))
    product = (weights * one * other).sum(axis=0)
    correlation: Matrix = np.divide(product, scale, out=np.zeros_like(product), where=scale > 1e-9)
    return correlation


def _by_size(family: Family, live: NDArray[np.bool_]) -> dict[str, Matrix]:
    """Factors of the candidate's small and of its large weights, tensors scaled to one root mean square."""
    count = len(family)
    found: list[Matrix] = []
    products, lengths = np.zeros((2, count, count)), np.zeros((2, count))
    for tensor, lives in zip(family.tensors, live, strict=True):
        if lives:
            scaled = tensor.astype(np.float64)
            own = np.sqrt(np.square(scaled).mean(axis=1, keepdims=True))
            scaled /= np.sqrt(np.square(own).mean())
            size = np.abs(tensor / own)
            for k, chosen in enumerate((size < _SMALL, size >= _LARGE)):
                part = np.where(chosen, scaled, 0.0)
                products[k] += scaled @ part.T
                lengths[k] += np.square(part).sum(axis=1)
    for product, length in zip(products, lengths, strict=True):
        found.append(np.divide(product, length[None, :], out=np.ones_like(product), where=length[None, :] > 0))
    small, large = found
    away = np.maximum(1.0 - np.square(family.cosine), 1e-4)
    bend = large - small
    return {"shrinkage_of_large": large, "shrinkage_bend": bend, "shrinkage_bend_share": bend / away}
