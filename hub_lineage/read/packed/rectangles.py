"""Rectangles: the rows and columns of a matrix from which a run of its values is worked out, and where they lie in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hub_lineage.errors import BadWeights
from hub_lineage.read import dtypes
from hub_lineage.read.weights import REFETCH
from hub_lineage.types import ByteRange, Floats, Tensor

Span = tuple[int, int]
Stored = NDArray[np.generic]


class Rectangle(NamedTuple):
    """The values ``rows[0] <= row < rows[1]`` and ``columns[0] <= column < columns[1]`` of a matrix."""

    rows: Span
    columns: Span


class Unpacked(ABC):
    """A packing whose values are worked out rectangle by rectangle; a kernel's values count as columns."""

    shape: tuple[int, ...]
    dtype: str

    @abstractmethod
    def pieces(self, rectangle: Rectangle) -> tuple[ByteRange, ...]:
        """The bytes from which a rectangle can be worked out."""

    @abstractmethod
    def worked_out(self, rectangle: Rectangle, parts: Sequence[bytes]) -> Floats:
        """Its values, shape [rows, columns], from those bytes."""

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The bytes from which the values ``first <= i < last`` can be worked out."""
        return tuple(piece for rectangle, _, _ in self._rectangles(first, last) for piece in self.pieces(rectangle))

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values in the tensor's dtype."""
        left = iter(parts)
        found = []
        for rectangle, skip, count in self._rectangles(first, last):
            part = list(islice(left, len(self.pieces(rectangle))))
            with np.errstate(over="ignore", invalid="ignore"):
                flat = np.ascontiguousarray(self.worked_out(rectangle, part)).reshape(-1)
            found.append(dtypes.encode(self.dtype, flat[skip : skip + count].astype(np.float32)))
        return b"".join(found)

    def _rectangles(self, first: int, last: int) -> Iterator[tuple[Rectangle, int, int]]:
        """What a run takes, with the values to skip and to keep in each: parts of one row or two, or several whole rows."""
        if first >= last:
            return
        width = int(np.prod(self.shape[1:], dtype=np.int64))
        top, bottom = first // width, -(-last // width)
        if bottom - top > 2 or (first, last) == (top * width, bottom * width):
            yield Rectangle((top, bottom), (0, width)), first - top * width, last - first
            return
        for row in range(top, bottom):
            start, stop = max(first, row * width), min(last, (row + 1) * width)
            yield Rectangle((row, row + 1), (start - row * width, stop - row * width)), 0, stop - start


def enclosing(stored: Tensor, rectangle: Rectangle) -> ByteRange:
    """The one range that holds a rectangle of a matrix stored row by row."""
    width = int(np.prod(stored.shape[1:], dtype=np.int64))
    (top, bottom), (left, right) = rectangle
    return values_at(stored, top * width + left, (bottom - 1) * width + right)


def values_at(stored: Tensor, first: int, last: int) -> ByteRange:
    """The bytes of the values ``first <= i < last`` of a stored tensor."""
    start, stop = dtypes.byte_span(stored.dtype, first, last)
    return ByteRange(stored.path, stored.start + start, stored.start + stop)


def cut_out(stored: Tensor, rectangle: Rectangle, part: bytes) -> Stored:
    """A rectangle out of the bytes of :func:`enclosing`, shape [rows, columns], in the numpy type of its dtype."""
    width = int(np.prod(stored.shape[1:], dtype=np.int64))
    (top, bottom), (left, right) = rectangle
    kind = dtypes.FORMATS[stored.dtype].numpy
    if (left, right) == (0, width):
        return np.frombuffer(part, kind).reshape(bottom - top, width)
    held = np.zeros((bottom - top) * width, kind)
    held[left : left + len(part) // kind.itemsize] = np.frombuffer(part, kind)
    return held.reshape(bottom - top, width)[:, left:right]


def bitwise(words: Stored, bits: int) -> NDArray[np.int32]:
    """Whole numbers of so many bits each, low bits first, out of rows of 32-bit words: shape [n, words * 32 / bits]."""
    raw = np.ascontiguousarray(words).view(np.uint8)
    stream = np.unpackbits(raw, axis=1, bitorder="little").reshape(len(words), -1, bits)
    return np.packbits(stream, axis=2, bitorder="little")[:, :, 0].astype(np.int32)


def contradiction(name: str, what: str) -> BadWeights:
    """The error for a quantised matrix whose parts don't belong together."""
    return BadWeights(f"The quantised tensor {name[:80]!r} {what}.", REFETCH)
