"""Tensors whose values don't follow one another in their storage: transposed, sliced, in another memory format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hub_lineage.types import ByteRange

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Strided:
    """A packing that loses nothing: value ``i, j`` stands ``i * strides[0] + j * strides[1]`` bytes after ``start``."""

    path: str
    start: int
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def word(self) -> str:
        """What it is called."""
        return "strided"

    @property
    def bits(self) -> int:
        """No value is rounded."""
        return 0

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The bytes of the values ``first <= i < last``, row by row, and no others: a source reads across gaps as far as pays."""
        _, starts, stops = self._spans(first, last)
        return tuple(ByteRange(self.path, start, stop) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True))

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values out of the parts of :meth:`ranges`."""
        places, starts, stops = self._spans(first, last)
        if not len(places):
            return b""
        within = np.concatenate([[0], np.cumsum(stops - starts)])
        span = np.searchsorted(starts, places, side="right") - 1
        offsets = within[span] + places - starts[span]
        # All places, and so the ends of all ranges, are whole values apart.
        joined = np.frombuffer(b"".join(parts), np.dtype((np.void, self.itemsize)))
        return bytes(joined[offsets // self.itemsize].tobytes())

    def _spans(self, first: int, last: int) -> tuple[Places, Places, Places]:
        """Where each value starts in the file, and the starts and stops of the ranges that hold them all."""
        places = np.full(max(0, last - first), self.start, dtype=np.int64)
        left = np.arange(first, last, dtype=np.int64)
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            left, along = np.divmod(left, size)
            places += along * stride
        ordered = np.unique(places)
        cuts = np.flatnonzero(np.diff(ordered) > self.itemsize)
        starts = ordered[np.concatenate([[0], cuts + 1])] if len(ordered) else ordered
        stops = ordered[np.concatenate([cuts, [-1]])] + self.itemsize if len(ordered) else ordered
        return places, starts, stops


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether values so laid out follow one another row by row; strides of dimensions of one value don't matter."""
    if 0 in shape:
        return True
    real = [(size, stride) for size, stride in zip(shape, strides, strict=True) if size > 1]
    if not real:
        return True
    return real[-1][1] == 1 and all(outer[1] == inner[0] * inner[1] for outer, inner in pairwise(real))
