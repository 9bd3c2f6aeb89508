"""Packings of ONNX: matrices that stand the other way round, and whole numbers with scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.read import dtypes
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.read.onnx_files.places import Place, varints
from hub_lineage.read.spans import GAP
from hub_lineage.types import ByteRange, Floats

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Values that lie one after another, row by row."""

    place: Place
    itemsize: int

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The bytes of the values ``first <= i < last``."""
        start = self.place.start
        return (ByteRange(self.place.path, start + first * self.itemsize, start + last * self.itemsize),)

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those bytes."""
        return parts[0][: (last - first) * self.itemsize]


@dataclass(frozen=True, slots=True)
class Transposed:
    """A matrix of ``rows`` by ``columns`` that stands column by column, as a right operand does; it loses nothing.

    A run along a row touches a value in each stored row, so that about as much of the matrix is read as the run is of a
    row. Values come in one range where a source would read across what lies between them anyway.
    """

    place: Place
    itemsize: int
    rows: int
    columns: int

    @property
    def word(self) -> str:
        """What it is called."""
        return "transposed"

    @property
    def bits(self) -> int:
        """No value is rounded."""
        return 0

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The bytes of the values ``first <= i < last``, row by row, with some between them."""
        _, starts, stops = self._spans(first, last)
        base, size, path = self.place.start, self.itemsize, self.place.path
        spans = zip(starts.tolist(), stops.tolist(), strict=True)
        return tuple(ByteRange(path, base + start * size, base + stop * size) for start, stop in spans)

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values out of the parts of :meth:`ranges`."""
        places, starts, stops = self._spans(first, last)
        if not len(places):
            return b""
        before = np.concatenate([[0], np.cumsum(stops - starts)])
        span = np.searchsorted(starts, places, side="right") - 1
        joined = np.frombuffer(b"".join(parts), np.dtype((np.void, self.itemsize)))
        return bytes(joined[before[span] + places - starts[span]].tobytes())

    def _spans(self, first: int, last: int) -> tuple[Places, Places, Places]:
        """Where each value stands among the stored ones, and the starts and stops of the stretches that hold them all."""
        row, column = np.divmod(np.arange(first, last, dtype=np.int64), self.columns)
        places = column * self.rows + row
        ordered = np.unique(places)
        cuts = np.flatnonzero((np.diff(ordered) - 1) * self.itemsize > GAP)
        if not len(ordered):
            return places, ordered, ordered
        return places, ordered[np.concatenate([[0], cuts + 1])], ordered[np.concatenate([cuts, [-1]])] + 1


@dataclass(frozen=True, slots=True)
class Spelt:
    """Half precision written as whole numbers of variable length, which is read whole; it loses nothing.

    ``turned`` holds the stored rows and columns of a matrix that stands the other way round.
    """

    place: Place
    turned: tuple[int, int] | None = None

    @property
    def word(self) -> str:
        """What it is called."""
        return "varint"

    @property
    def bits(self) -> int:
        """No value is rounded."""
        return 0

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """All bytes of the tensor: no value's place is known before those ahead of it were read."""
        return (ByteRange(self.place.path, self.place.start, self.place.stop),) if last > first else ()

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """The values ``first <= i < last`` out of them; those that are missing are zero."""
        size = FORMATS[self.place.dtype].bits // 8
        found = np.frombuffer(varints(b"".join(parts), self.place.dtype), f"<u{size}")
        if self.turned is not None:
            found = np.resize(found, self.turned).T.reshape(-1) if len(found) else found
        return found[first:last].tobytes().ljust((last - first) * size, b"\0")


@dataclass(frozen=True, slots=True)
class Scaled:
    """Whole numbers of eight bits, less a zero point, times a scale: one for all, or one for each place along an axis.

    ``shape`` is that of the tensor as it is given back, and ``axis`` one of its own; the scales' dtype is the tensor's.
    """

    stored: Rows | Transposed
    shape: tuple[int, ...]
    scale: Place
    zero: Place | None
    axis: int | None

    @property
    def word(self) -> str:
        """What it is called."""
        return "INT8"

    @property
    def bits(self) -> int:
        """Bits of a stored value."""
        return 8

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The bytes of the values ``first <= i < last``, then those of their scales and zero points."""
        if last <= first:
            return ()
        channels = self._channels(first, last)
        beside = [_span(place, channels) for place in self._apart()]
        return (*self.stored.ranges(first, last), *beside)

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values, in the scales' dtype."""
        if last <= first:
            return b""
        channels = self._channels(first, last)
        count = len(parts) - len(self._apart())
        read = dict(zip(self._apart(), parts[count:], strict=True))
        numbers = dtypes.decode(self.stored.place.dtype, self.stored.values(first, last, parts[:count]))
        if self.zero is not None:
            numbers = numbers - _along(self.zero, read, channels)
        with np.errstate(over="ignore", invalid="ignore"):
            return dtypes.encode(self.scale.dtype, numbers * _along(self.scale, read, channels))

    def _apart(self) -> list[Place]:
        """The scales and zero points that must be read."""
        return [place for place in (self.scale, self.zero) if place is not None and not place.inline]

    def _channels(self, first: int, last: int) -> Places:
        """The place of each value along the axis of the scales."""
        places = np.arange(first, last, dtype=np.int64)
        if self.axis is None:
            return np.zeros_like(places)
        return places // math.prod(self.shape[self.axis + 1 :]) % self.shape[self.axis]


def _span(place: Place, channels: Places) -> ByteRange:
    """The bytes of the scales of those places, and of what lies between them."""
    size = FORMATS[place.dtype].bits // 8
    return ByteRange(place.path, place.start + int(channels.min()) * size, place.start + (int(channels.max()) + 1) * size)


def _along(place: Place, read: Mapping[Place, bytes], channels: Places) -> Floats:
    """A scale or zero point for each value."""
    if place not in read:
        known, places = varints(place.inline, place.dtype), channels
    else:
        known, places = read[place], channels - channels.min()
    return np.asarray(dtypes.decode(place.dtype, known)[places], dtype=np.float32)
