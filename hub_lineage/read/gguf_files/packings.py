"""How a tensor lies in a GGUF file: in blocks, and with the rows of its heads in another order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hub_lineage.read.dtypes import FORMATS
from hub_lineage.read.gguf_files.kinds import Kind
from hub_lineage.types import ByteRange

WIDE = 256
"""Rows of as many values are read one by one; narrower ones with those between them."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Values one after another in blocks of one type; the first block lies ``start`` bytes into the file."""

    path: str
    start: int
    kind: Kind

    @property
    def word(self) -> str:
        """The name of the type."""
        return self.kind.word

    @property
    def bits(self) -> int:
        """Bits of a value without its scales."""
        return self.kind.bits

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The blocks in which the values ``first <= i < last`` lie."""
        if first >= last:
            return ()
        begin, end = first // self.kind.values, -(-last // self.kind.values)
        return (ByteRange(self.path, self.start + begin * self.kind.size, self.start + end * self.kind.size),)

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values in the dtype of the type."""
        if first >= last:
            return b""
        item = FORMATS[self.kind.dtype].numpy.itemsize
        before = first % self.kind.values
        return self.kind.decode(parts[0])[before * item : (before + last - first) * item]


class _Piece(NamedTuple):
    """Rows that follow one another in the tensor, and the places in the file that enclose them: every other row there."""

    first: int  # the first value in the tensor
    start: int  # and in the file
    stop: int
    rows: int


@dataclass(frozen=True, slots=True)
class Rotary:
    """The rows of Q and K as transformers has them, which llama.cpp puts in another order.

    A rotary embedding turns pairs of rows in each head. In transformers the second rows of all pairs follow the first; in
    the file the two rows of a pair are neighbours. A head has ``2 * half`` rows of ``width`` values.
    """

    stored: Stored
    half: int
    width: int

    @property
    def word(self) -> str:
        """The name of the type where that rounds; the order of rows loses nothing."""
        return self.stored.word if self.stored.bits else "rotary"

    @property
    def bits(self) -> int:
        """Bits of a value without its scales, 0 where values are stored as they are."""
        return self.stored.bits

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The blocks that hold the values ``first <= i < last``, with some between them."""
        return tuple(span for piece in self._pieces(first, last) for span in self.stored.ranges(piece.start, piece.stop))

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values in the dtype of the type."""
        item = FORMATS[self.stored.kind.dtype].numpy.itemsize
        found = []
        for piece, part in zip(self._pieces(first, last), parts, strict=True):
            raw = self.stored.values(piece.start, piece.stop, [part])
            if piece.rows > 1:
                rows = np.frombuffer(raw, np.uint8).reshape(-1, self.width * item)
                raw = rows[::2].tobytes()
            found.append(raw[max(0, first - piece.first) * item : max(0, last - piece.first) * item])
        return b"".join(found)

    def _pieces(self, first: int, last: int) -> Iterator[_Piece]:
        row, stop = first // self.width, -(-last // self.width)
        while first < last and row < stop:
            head, within = divmod(row, 2 * self.half)
            second, pair = divmod(within, self.half)
            place = (2 * (head * self.half + pair) + second) * self.width
            if self.width >= WIDE:
                begin, end = max(first - row * self.width, 0), min(last - row * self.width, self.width)
                yield _Piece(row * self.width + begin, place + begin, place + end, 1)
                row += 1
            else:
                rows = min(self.half - pair, stop - row)
                yield _Piece(row * self.width, place, place + (2 * rows - 1) * self.width, rows)
                row += rows
