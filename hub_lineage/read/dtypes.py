"""The number formats of safetensors, decoded to float32 by numpy and ml_dtypes."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from hub_lineage.types import Floats


@dataclass(frozen=True, slots=True)
class Format:
    """One dtype word: bits a value, the numpy type of one stored value, and its significand bits (0 for whole numbers)."""

    bits: int
    numpy: np.dtype[np.generic]
    significand: int


def _format(bits: int, numpy: str | type[np.generic], significand: int = 0) -> Format:
    return Format(bits, np.dtype(numpy), significand)


FORMATS: dict[str, Format] = {
    "F64": _format(64, "<f8", 53),
    "F32": _format(32, "<f4", 24),
    "F16": _format(16, "<f2", 11),
    "BF16": _format(16, ml_dtypes.bfloat16, 8),
    "F8_E4M3": _format(8, ml_dtypes.float8_e4m3fn, 4),
    "F8_E5M2": _format(8, ml_dtypes.float8_e5m2, 3),
    "F8_E4M3FNUZ": _format(8, ml_dtypes.float8_e4m3fnuz, 4),
    "F8_E5M2FNUZ": _format(8, ml_dtypes.float8_e5m2fnuz, 3),
    "F8_E8M0": _format(8, ml_dtypes.float8_e8m0fnu, 1),
    "F6_E2M3": _format(6, ml_dtypes.float6_e2m3fn, 4),
    "F6_E3M2": _format(6, ml_dtypes.float6_e3m2fn, 3),
    "F4": _format(4, ml_dtypes.float4_e2m1fn, 2),
    "C64": _format(64, "<c8", 24),
    "I64": _format(64, "<i8"),
    "U64": _format(64, "<u8"),
    "I32": _format(32, "<i4"),
    "U32": _format(32, "<u4"),
    "I16": _format(16, "<i2"),
    "U16": _format(16, "<u2"),
    "I8": _format(8, "i1"),
    "U8": _format(8, "u1"),
    "BOOL": _format(8, "?"),
}
"""Every dtype that the safetensors format has, by its word."""

FLOATS = frozenset(word for word, form in FORMATS.items() if form.significand > 1 and word != "C64")
"""The words of the dtypes in which weights are trained or stored, scales and whole numbers left out."""


def byte_span(dtype: str, first: int, last: int) -> tuple[int, int]:
    """The bytes that hold values ``first <= i < last`` of a tensor, counted from its own first byte.

    Values of less than a byte share bytes, so the span may hold up to a few values more on each side.
    """
    bits = FORMATS[dtype].bits
    return first * bits // 8, -(-last * bits // 8)


def decode(dtype: str, raw: bytes) -> Floats:
    """The values in ``raw`` as float32, shape [n]; complex numbers give their real parts."""
    form = FORMATS[dtype]
    if form.bits < 8:
        return _unpack(raw, form.bits).view(form.numpy).astype(np.float32)
    values = np.frombuffer(raw, dtype=form.numpy)
    if form.numpy.kind == "c":
        values = values.real
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)


def encode(dtype: str, values: Floats) -> bytes:
    """The values stored as ``dtype`` would store them; only for dtypes of whole bytes."""
    form = FORMATS[dtype]
    if form.bits < 8:
        raise ValueError(f"{dtype} packs several values in a byte")
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(form.numpy).tobytes()


def round_to(dtype: str, values: Floats) -> Floats:
    """The values rounded as storing them in ``dtype`` would round them, again as float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(FORMATS[dtype].numpy).astype(np.float32)


def coarser(one: str, other: str) -> str:
    """Of two float dtypes the one with fewer significand bits; the first where they have as many."""
    return other if FORMATS[other].significand < FORMATS[one].significand else one


def _unpack(raw: bytes, bits: int) -> NDArray[np.uint8]:
    """The values of ``bits`` bits each, low bits first, one a byte in the result."""
    stream = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), bitorder="little")
    groups = stream[: len(stream) // bits * bits].reshape(-1, bits)
    return np.packbits(groups, axis=1, bitorder="little").reshape(-1)
