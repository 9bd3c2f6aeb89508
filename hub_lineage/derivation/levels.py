"""What a tensor was rounded to: by the word of its packing, else by the few levels that its plain values lie on."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.grid import Matrix, blocked, distinct, steps
from hub_lineage.derivation.matched import is_rounded, places_of
from hub_lineage.fingerprint import values
from hub_lineage.types import Floats, Sample

UNPACKED: Final = "-bit"
"""How the word ends that is told of plain values on even levels."""
_FLOATING = "FP8"
_SIXTEEN = frozenset({"Q2_K", "Q3_K", "Q6_K", "Q3_K_S", "NVFP4", "IQ2_XS", "IQ2_S"})
_BLOCK = 32
_SHORT, _LONG = 8, 128
_FEW = 0.8  # different values a value in a block, below which they lie on few levels; plain ones give .9 and more
_FITTED = 0.5  # of a sample's blocks that lie on even levels
_EVEN_LEVELS = 16  # sizes of levels, from which on even ones have more than twice as many significands as floating ones
_SIGNIFICANDS = 9  # of three bits, and some of what is too small for them


def word(sample: Sample) -> tuple[str, int]:
    """What a sample was rounded to, and over how many neighbours its levels are shared; an empty word for plain values."""
    columns = math.prod(sample.shape[1:])
    if is_rounded(sample.packed):
        return sample.packed, _block(sample.packed, columns)
    if sample.dtype.startswith("F8"):
        return "FP8", _block("FP8", columns)
    return _unpacked(sample)


def _block(word: str, columns: int) -> int:
    """Neighbouring values that surely share their levels: no block spans two rows unless rows are odd."""
    if word.startswith("FP8") and columns <= _LONG:
        return columns
    size = _LONG if word.startswith("FP8") else 64 if word.startswith(("NF4", "FP4")) else 16 if word in _SIXTEEN else _BLOCK
    shared = math.gcd(size, columns)
    return shared if shared >= _SHORT else size


def _unpacked(sample: Sample) -> tuple[str, int]:
    """How many bits the levels of plain values take, and how many neighbours share them."""
    held = values(sample)
    where = places_of(sample, len(held))
    columns = math.prod(sample.shape[1:])
    if _is_floating(held, where, columns if columns <= _LONG else _LONG // 2):
        return _FLOATING, _block(_FLOATING, columns)
    tables = {size: blocked(held, where, size)[0] for size in (16, 32)}
    seen = {size: _levels(table) for size, table in tables.items()}
    size = 32 if seen[32] * 2 < 1.7 * seen[16] else 16
    if seen[16] > _FEW and float(np.isfinite(steps(tables[16], sample.dtype)).mean()) < _FITTED:
        return "", 0
    codes = min(255.0, _codes(tables[size], sample.dtype))
    return f"{max(2, math.ceil(math.log2(max(codes, 2))))}{UNPACKED}", size


def _is_floating(held: Floats, places: NDArray[np.int64], size: int) -> bool:
    """Whether plain values are those of a floating-point format of eight bits: many levels a block, and few significands."""
    table = np.abs(blocked(held, places, size)[0])
    several = distinct(table) > _EVEN_LEVELS
    return bool(several.mean() > _FITTED and np.median(distinct(np.frexp(table[several])[0])) <= _SIGNIFICANDS)


def _levels(table: Matrix) -> float:
    """Different values a value in each block, zeros left out; 1 where all are zero."""
    full = int(np.isfinite(np.where(table == 0, np.nan, table)).sum())
    return float(distinct(table).sum()) / full if full else 1.0


def _codes(table: Matrix, dtype: str) -> float:
    """About how many levels a block has: those between its ends where they are evenly spaced, else those seen."""
    step = steps(table, dtype)
    known = np.isfinite(step)
    if float(known.mean()) < _FITTED:
        return float(np.quantile(distinct(table), 0.9))
    return float(np.quantile((np.nanmax(table[known], axis=1) - np.nanmin(table[known], axis=1)) / step[known], 0.9)) + 0.5
