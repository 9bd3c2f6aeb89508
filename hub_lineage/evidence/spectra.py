"""Spectral structure of weights, child against candidate: effective rank, spread of rows, smoothness of kernels.

Training moves it one way, so it tells which of two models came later. Only a tensor whose sample is whole has a spectrum:
where a family has none, as that of a large network, all is 0.
"""

from __future__ import annotations

import math

import numpy as np

from hub_lineage.family import Family, Matrix

_NAMES = ("rank_growth", "stable_rank_growth", "row_spread_growth", "smoothness_growth")


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K].

    Each is the logarithm of how many times more of something the child has, pooled over whole tensors by their sizes. With
    s the squares of singular values: ``rank_growth`` of the participation ratio (sum s)^2 / sum s^2, an effective rank;
    ``stable_rank_growth`` of sum s over the fourth root of sum s^4, which is near the largest of them;
    ``row_spread_growth`` of the mean square of row norms over their squared mean; ``smoothness_growth`` of a kernel's
    energy over that of the steps between its neighbours.
    """
    count = len(family)
    told = np.zeros((len(_NAMES), count))
    whole = [t for t, shape in enumerate(family.shapes) if len(shape) > 1 and math.prod(shape) == family.raw[t].shape[1]]
    total = sum(family.raw[t].shape[1] for t in whole)
    for t in whole:
        matrices = family.raw[t].astype(np.float64).reshape(count, family.shapes[t][0], -1)
        told += matrices[0].size / total * _structure(matrices, family.kernels[t])
    return {name: figure[:, None] - figure[None, :] for name, figure in zip(_NAMES, told, strict=True)}


def _structure(matrices: Matrix, kernel: int) -> Matrix:
    """The logarithms of the four figures of every model's matrix, from [K, rows, columns] to [4, K]."""
    squares = np.square(matrices)
    energy = squares.sum(axis=(1, 2))
    turned = matrices.transpose(0, 2, 1)
    gram = matrices @ turned if matrices.shape[1] <= matrices.shape[2] else turned @ matrices
    second, fourth = (np.square(power).sum(axis=(1, 2)) for power in (gram, gram @ gram))
    rows = squares.sum(axis=2)
    steps = np.square(np.diff(matrices.reshape(len(matrices), -1, kernel), axis=2)).sum(axis=(1, 2))
    return np.stack(
        [
            2 * _log(energy) - _log(second),
            _log(energy) - _log(fourth) / 4,
            _log(np.square(rows).mean(axis=1)) - 2 * _log(rows.mean(axis=1)),
            _log(energy) - _log(steps) if kernel > 1 else np.zeros(len(matrices)),
        ]
    )


def _log(figure: Matrix) -> Matrix:
    """The logarithm, 0 of what is 0."""
    logarithm: Matrix = np.log(figure, out=np.zeros_like(figure), where=figure > 0)
    return logarithm
