"""The levels that quantised values lie on, block by block, told from the values alone: how far each level's cell reaches.

Whatever the format, rounding to the nearest level leaves the source within the cell of the level that was stored. Where the
levels of a block are evenly spaced, their step is worked out; elsewhere the levels that are seen in a block are taken, of
which neighbours may be missing, so that a cell is rather too wide than too narrow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub_lineage.read.dtypes import FORMATS
from hub_lineage.types import Floats

Matrix = NDArray[np.float64]
MOST_CODE = 128
"""The largest whole number that a level is a multiple of its block's step by."""
_TOLERANCE = 0.02  # of a step, by which levels miss an even grid for lack of digits in their scales
_TELLING = 0.25  # of a step: values known less well than this tell nothing of a grid
_CROWDED = 0.7  # different values a value, below which all levels are few
_SPARSE = 3  # codes a level that is seen, where they are few
_EQUAL = 1e-5  # of a block's largest value, by which equal levels may differ in arithmetic
_PROBE = 8  # values of a block that are tried first
_SLICES = tuple(np.arange(first, min(2 * first, MOST_CODE + 1), dtype=np.float64) for first in (2, 4, 8, 16, 32, 64, 128))
_FEWEST = 5  # different levels in a block, fewer of which lie on many a grid by chance


def blocked(values: Floats, places: NDArray[np.int64], size: int) -> tuple[Matrix, NDArray[np.int64], NDArray[np.int64]]:
    """The values of a tensor laid out by block, shape [B, size], NaN where none was sampled; and each value's row and column."""
    block, column = np.divmod(places, size)
    numbers, row = np.unique(block, return_inverse=True)
    table = np.full((len(numbers), size), np.nan)
    table[row, column] = values
    return table, row.astype(np.int64), column


def cells(table: Matrix, dtype: str, *, even: bool) -> tuple[Matrix, Matrix]:
    """How far the cell of each level reaches below and above it, shapes [B, n]; infinite where no level lies beyond.

    Args:
        table: Values block by block, shape [B, n], NaN where there is none.
        dtype: What they are stored in, which bounds how well they are known.
        even: Whether levels may be evenly spaced.
    """
    below, above = _seen(table)
    if even:
        half = steps(table, dtype)[:, None] / 2
        known = np.isfinite(half)
        below = np.where(known & np.isfinite(below), half, below)
        above = np.where(known & np.isfinite(above), half, above)
    return below, above


def steps(table: Matrix, dtype: str) -> Matrix:
    """The step of each block's levels where they are evenly spaced, from zero or from the least of them, shape [B]; else NaN."""
    with np.errstate(invalid="ignore"):
        least = np.nanmin(table, axis=1, keepdims=True)
        several = distinct(table) >= _FEWEST
        found = np.full(len(table), np.nan)
        for origin in (np.zeros_like(least), least):  # the wider step of the two, as half of it fits as well
            found[several] = np.fmax(found[several], _even((table - origin)[several], FORMATS[dtype].significand))
    return found


def distinct(table: Matrix) -> NDArray[np.int64]:
    """Different values in each block, zeros left out, shape [B]."""
    ordered = np.sort(np.where(table == 0, np.nan, table), axis=1)
    fresh = np.isfinite(ordered)
    fresh[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    counts: NDArray[np.int64] = fresh.sum(axis=1)
    return counts


def _even(table: Matrix, significand: int) -> Matrix:
    """The widest step of which all values of a block are whole multiples, shape [B]; NaN where there is none."""
    largest = np.nanmax(np.abs(table), axis=1, keepdims=True, initial=0.0)
    scaled = np.divide(table, largest, out=np.zeros_like(table), where=largest > 0)
    blur = 2.0 ** (1 - significand)
    levels, held = distinct(table), np.isfinite(table).sum(axis=1)
    most = np.where(levels < _CROWDED * held, _SPARSE * levels, MOST_CODE)
    most[largest[:, 0] <= 0] = 0
    found = np.full(len(table), np.nan)
    for codes in _SLICES:
        left = np.flatnonzero(np.isnan(found) & (most >= codes[0]))
        rows, places = _perhaps(scaled[left, :_PROBE], codes, most[left], blur)
        fits, telling = _fits(scaled[left[rows]] * codes[places, None], blur)
        good = fits & (telling >= _FEWEST)
        # Codes ascend within a block, and the least is the widest step.
        blocks, widest = np.unique(left[rows[good]], return_index=True)
        found[blocks] = largest[blocks, 0] / codes[places[good][widest]]
    return found


def _perhaps(probed: Matrix, codes: Matrix, most: NDArray[np.int64], blur: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Blocks, and codes by place, that a block's first values fit: most grids fail on them, so the rest is spared."""
    fits, _ = _fits(probed[:, None, :] * codes[:, None], blur)
    rows, places = np.nonzero(fits & (codes <= most[:, None]))
    return rows, places


def _fits(codes: Matrix, blur: float) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether all values, shape [..., n], are whole numbers as well as that is known, and of how many it is known."""
    slack = _TOLERANCE + blur * np.abs(codes)
    telling = slack < _TELLING  # never of values that aren't known
    missed = np.any(telling & (np.abs(codes - np.rint(codes)) > slack), axis=-1)
    return np.asarray(~missed), np.asarray(telling.sum(axis=-1), dtype=np.int64)


def _seen(table: Matrix) -> tuple[Matrix, Matrix]:
    """Half the way to the next lower and the next higher value that the block holds, shapes [B, n]."""
    order = np.argsort(table, axis=1)
    ordered = np.take_along_axis(table, order, axis=1)
    gap = _EQUAL * np.nanmax(np.abs(table), axis=1, initial=0.0)
    lower, higher = np.full_like(ordered, -np.inf), np.full_like(ordered, np.inf)
    for j in range(1, table.shape[1]):
        risen = ordered[:, j] > ordered[:, j - 1] + gap
        lower[:, j] = np.where(risen, ordered[:, j - 1], lower[:, j - 1])
        i = table.shape[1] - 1 - j
        risen = ordered[:, i + 1] > ordered[:, i] + gap
        higher[:, i] = np.where(risen, ordered[:, i + 1], higher[:, i + 1])
    below, above = np.empty_like(table), np.empty_like(table)
    np.put_along_axis(below, order, (ordered - lower) / 2, axis=1)
    np.put_along_axis(above, order, (higher - ordered) / 2, axis=1)
    return below, above
