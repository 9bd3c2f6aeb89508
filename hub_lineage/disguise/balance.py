"""Matrices freed of scale: what is left of a tensor once no gain can be told from any other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hub_lineage.types import Floats

Places = NDArray[np.intp]
Weights = Sequence[tuple[str, Floats]]
_SWEEPS = 6
_TINY = 1e-20
_LARGEST = 1e8  # no weight comes near


@dataclass(frozen=True, eq=False)
class Matrix:
    """One weight tensor as ``values`` [rows, columns, kernel], its places in the kernel last, whatever its layout was.

    Values are balanced: rows and columns have a root mean square of 1 each. ``gains`` are the logarithms of what rows and
    of what columns were divided by, shapes [rows] and [columns]; ``raw`` are the values as they were, shape of ``values``.
    """

    name: str
    values: Floats
    gains: tuple[Floats, Floats]
    shape: tuple[int, ...]
    raw: Floats

    @cached_property
    def sides(self) -> tuple[Floats, Floats]:
        """The units of each axis as [units, wire, kernel]: rows over the columns' wire, and columns over that of the rows."""
        return self.values, np.ascontiguousarray(self.values.transpose(1, 0, 2))

    @property
    def size(self) -> int:
        """Number of values."""
        return self.values.size


def matrices(weights: Weights) -> list[Matrix]:
    """All tensors of two dimensions above 1 or more, balanced; vectors, gains and biases are left out."""
    return [balanced(name, shaped(array), array.shape) for name, array in weights if is_matrix(array.shape)]


def is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether a tensor has rows and columns, so that units can be told apart in it."""
    return len(shape) in {2, 3, 4, 5} and sum(size > 1 for size in shape) > 1 and 0 not in shape


def shaped(array: Floats) -> Floats:
    """A tensor as [rows, columns, kernel]: of two neighbouring pairs of axes the smaller one is taken for the kernel."""
    if array.ndim == 2:
        return array[:, :, None]
    kernel = kernel_axes(array.shape)
    others = [axis for axis in range(array.ndim) if axis not in kernel]
    turned = array.transpose(*others, *kernel)
    rows, columns = turned.shape[:2]
    return turned.reshape(rows, columns, -1)


def kernel_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The neighbouring axes of a convolution over which its kernel lies: all but two, of one size if some are, rather small."""
    length = len(shape) - 2

    def oddness(start: int) -> tuple[bool, int, int]:
        sizes = shape[start : start + length]
        return len(set(sizes)) > 1, math.prod(sizes), -start

    first = min(range(3), key=oddness)
    return tuple(range(first, first + length))


def balanced(name: str, values: Floats, shape: tuple[int, ...], sweeps: int = _SWEEPS) -> Matrix:
    """A matrix [rows, columns, kernel] with rows and columns of one root mean square, by dividing them in turn.

    Gains of rows and columns leave no trace in it, folded or not (scaling to equal margins, Sinkhorn 1967, of the squares).
    What is no number counts as 0.
    """
    x = np.where(np.abs(values) < _LARGEST, values, 0.0).astype(np.float32)
    squares = np.square(x, dtype=np.float64).mean(axis=2)
    rows, columns = np.ones(squares.shape[0]), np.ones(squares.shape[1])
    for _ in range(sweeps):
        rows = _root(squares @ (1 / np.square(columns)) / squares.shape[1])
        columns = _root((1 / np.square(rows)) @ squares / squares.shape[0])
    even = x / rows[:, None, None].astype(np.float32) / columns[None, :, None].astype(np.float32)
    return Matrix(name, even.astype(np.float32), (np.log(rows).astype(np.float32), np.log(columns).astype(np.float32)), shape, x)


def _root(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Square roots, 1 for rows without any weight."""
    return np.sqrt(np.where(power > _TINY, power, 1.0))


def part(matrix: Matrix, axis: int, units: Places) -> Matrix:
    """Some of the rows (axis 0) or columns (axis 1) of a matrix, balanced anew among themselves."""
    chosen = matrix.raw[units] if axis == 0 else matrix.raw[:, units]
    return balanced(matrix.name, chosen, chosen.shape)


def directions(units: Floats) -> Floats:
    """Units [n, ...] as directions [n, d]: what they have in common taken off, each of norm 1; all 0 where nothing is left."""
    flat = centred(units).reshape(len(units), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    found: Floats = flat / np.maximum(norms, np.float32(1e-12))
    return found


def centred(units: Floats) -> Floats:
    """Units [n, ...] with what they have in common taken off, as units of any network on the same data do; two are left alone."""
    return units - units.mean(axis=0, dtype=np.float64).astype(np.float32) if len(units) > 2 else units


def segments(counts: Sequence[int]) -> list[slice]:
    """Where each of some runs of so many lies, one after another."""
    ends = np.concatenate([[0], np.cumsum(counts)]).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]


def unshaped(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Values [rows, columns, kernel] in the layout of a tensor of that shape; what :func:`shaped` undoes."""
    if len(shape) == 2:
        return values[:, :, 0]
    kernel = kernel_axes(shape)
    others = [axis for axis in range(len(shape)) if axis not in kernel]
    order = (*others, *kernel)
    apart = values.reshape([shape[axis] for axis in order])
    found: Floats = apart.transpose(np.argsort(order))
    return found
