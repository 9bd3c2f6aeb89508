"""Matrices quantised in blocks along their rows, as the operation MatMulNBits of ONNX Runtime has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.read import dtypes
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.read.onnx_files.places import Place
from hub_lineage.types import ByteRange

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Whole numbers of four or eight bits, low bits first, in blocks of ``size`` values with a scale each.

    A row of ``columns`` values has ``count`` blocks, the last of them filled up. Zero points are packed like values, each
    row of them filled up to whole bytes; where there are none, zero is the middle.
    """

    place: Place
    scale: Place
    zero: Place | None
    columns: int
    count: int
    size: int
    bits: int

    @property
    def word(self) -> str:
        """What it is called."""
        return f"INT{self.bits}"

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The bytes of the values ``first <= i < last``, of their scales and of their zero points."""
        if last <= first:
            return ()
        found = [self._span(self.place, self._values(first, last), self.bits)]
        found.append(self._span(self.scale, self._blocks(first, last), FORMATS[self.scale.dtype].bits))
        if self.zero is not None:
            found.append(self._span(self.zero, self._zeros(first, last), self.bits))
        return tuple(found)

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values, in the scales' dtype."""
        if last <= first:
            return b""
        numbers = self._unpacked(parts[0], self._values(first, last)).astype(np.float32)
        blocks = self._blocks(first, last)
        scales = dtypes.decode(self.scale.dtype, parts[1])[blocks - blocks.min()]
        zeros = np.float32(1 << (self.bits - 1)) if self.zero is None else self._unpacked(parts[2], self._zeros(first, last))
        with np.errstate(over="ignore", invalid="ignore"):
            return dtypes.encode(self.scale.dtype, ((numbers - zeros) * scales).astype(np.float32))

    def _blocks(self, first: int, last: int) -> Places:
        """The block of each value."""
        row, column = np.divmod(np.arange(first, last, dtype=np.int64), self.columns)
        return np.asarray(row * self.count + column // self.size, dtype=np.int64)

    def _values(self, first: int, last: int) -> Places:
        """Where each value stands among the stored ones, filling included."""
        row, column = np.divmod(np.arange(first, last, dtype=np.int64), self.columns)
        return row * self.count * self.size + column

    def _zeros(self, first: int, last: int) -> Places:
        """Where each value's zero point stands among those stored, filling included."""
        row, column = np.divmod(np.arange(first, last, dtype=np.int64), self.columns)
        stored = -(-self.count * self.bits // 8) * 8 // self.bits
        return np.asarray(row * stored + column // self.size, dtype=np.int64)

    def _span(self, place: Place, places: Places, bits: int) -> ByteRange:
        start, stop = int(places.min()) * bits // 8, -(-(int(places.max()) + 1) * bits // 8)
        return ByteRange(place.path, place.start + start, place.start + stop)

    def _unpacked(self, raw: bytes, places: Places) -> NDArray[np.uint8]:
        """The numbers at those places, out of the bytes that hold them."""
        bit = places * self.bits
        octets = np.frombuffer(raw, np.uint8)[bit // 8 - int(bit.min()) // 8]
        return (octets >> (bit % 8).astype(np.uint8)) & np.uint8((1 << self.bits) - 1)
