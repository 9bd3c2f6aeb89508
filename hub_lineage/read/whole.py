"""Whole weights in memory, for depth ``full``: bounded, and in the precision of float32 whatever their format."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, islice

import numpy as np

from hub_lineage.read import dtypes
from hub_lineage.read.dtypes import FLOATS
from hub_lineage.read.index import read_index
from hub_lineage.read.remembered import Remembered
from hub_lineage.types import ByteRange, Floats, Source, Tensor

MOST_BYTES = 32 << 20
"""What the tensors of a model that are read whole take as float32 at the most: all of eight million weights."""
MOST_TENSORS = 2048
_LARGEST = np.float32(1e8)  # no weight comes near


def read_weights(source: Source, most_bytes: int = MOST_BYTES) -> list[tuple[str, Floats]]:
    """Tensors of floating-point numbers with their values, float32 in their own shape, in the order in which they lie.

    All of them where they fit; of a larger model those of up to some size, so that the choice depends on shapes alone. Values
    that aren't finite, or are larger than any weight, count as 0.

    Args:
        source: The repository or folder.
        most_bytes: What all of them may take as float32; told from headers, before any weight is read.

    Raises:
        NoWeights: there are weights in no format that is read.
        BadWeights: a file is broken.
    """
    source = Remembered(source)
    tensors = _affordable(read_index(source), most_bytes)
    wanted = [_ranges(tensor) for tensor in tensors]
    read = iter(source.read([span for spans in wanted for span in spans]))
    return [(tensor.name, _values(tensor, list(islice(read, len(spans))))) for tensor, spans in zip(tensors, wanted, strict=True)]


def _affordable(tensors: Sequence[Tensor], most_bytes: int) -> list[Tensor]:
    """The smallest tensors, all of one size or none, as far as they fit together."""
    wanted = [tensor for tensor in tensors if tensor.dtype in FLOATS and tensor.elements]
    kept: set[int] = set()
    left, room = most_bytes, MOST_TENSORS
    for size, group in groupby(sorted(wanted, key=_size), key=_size):
        count = len(list(group))
        left, room = left - 4 * size * count, room - count
        if left < 0 or room < 0:
            break
        kept.add(size)
    return [tensor for tensor in wanted if tensor.elements in kept]


def _size(tensor: Tensor) -> int:
    return tensor.elements


def _ranges(tensor: Tensor) -> tuple[ByteRange, ...]:
    """The bytes that hold all values of a tensor."""
    if tensor.packing is not None:
        return tensor.packing.ranges(0, tensor.elements)
    return (ByteRange(tensor.path, tensor.start, tensor.stop),)


def _values(tensor: Tensor, parts: Sequence[bytes]) -> Floats:
    raw = tensor.packing.values(0, tensor.elements, parts) if tensor.packing is not None else parts[0]
    found = dtypes.decode(tensor.dtype, raw)[: tensor.elements].reshape(tensor.shape)
    return np.where(np.abs(found) < _LARGEST, found, np.float32(0.0))
