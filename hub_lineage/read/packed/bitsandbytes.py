"""bitsandbytes of 4 bits: blocks of neighbouring values as places in a table of 16 numbers, times the block's largest value.

NF4 and FP4 after QLoRA (Dettmers et al. 2023): ``weight`` holds two values a byte, the first in the high bits;
``weight.absmax`` the largest value of each block, itself 8 bits where it is nested; ``weight.quant_map`` the table;
``weight.quant_state.bitsandbytes__nf4`` shape, dtype and sizes of blocks as JSON.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub_lineage.read import dtypes
from hub_lineage.read.packed.rectangles import contradiction, values_at
from hub_lineage.read.packed.settings import Settings, as_table
from hub_lineage.types import ByteRange, Floats, Tensor

LONGEST_STATE = 4096
"""Bytes of a tensor's JSON at the most."""
_STATES = {".quant_state.bitsandbytes__nf4": "NF4", ".quant_state.bitsandbytes__fp4": "FP4"}
_DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}
_LARGEST_BLOCK = 1 << 16
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Nested:
    """How the largest values of blocks are themselves quantised: ``block`` of them share one of ``largest``."""

    block: int
    largest: Tensor
    table: Tensor


@dataclass(frozen=True, slots=True)
class FourBit:
    """A tensor of that shape, its blocks running over rows."""

    shape: tuple[int, ...]
    dtype: str
    word: str
    block: int
    weights: Tensor
    largest: Tensor
    table: Tensor
    state: Tensor
    nested: Nested | None

    @property
    def bits(self) -> int:
        """Of a value."""
        return 4

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """Weights, largest values and their tables; and the JSON where that is needed."""
        if first >= last:
            return ()
        blocks = first // self.block, (last - 1) // self.block + 1
        start, stop = first // 2, -(-last // 2)
        weights = ByteRange(self.weights.path, self.weights.start + start, self.weights.start + stop)
        found = (weights, values_at(self.table, 0, 16), _whole(self.state), values_at(self.largest, *blocks))
        if self.nested is None:
            return found
        outer = blocks[0] // self.nested.block, (blocks[1] - 1) // self.nested.block + 1
        return (*found, values_at(self.nested.largest, *outer), _whole(self.nested.table))

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Each value's number in the table times the largest value of its block."""
        if first >= last:
            return b""
        halves = np.frombuffer(parts[0], np.uint8)
        codes = np.stack([halves >> 4, halves & 15], axis=1).reshape(-1)[first % 2 : first % 2 + last - first]
        table = dtypes.decode(self.table.dtype, parts[1])
        blocks = np.arange(first, last) // self.block - first // self.block
        with np.errstate(over="ignore", invalid="ignore"):
            found = table[codes] * self._largest(first // self.block, parts)[blocks]
        return dtypes.encode(self.dtype, found)

    def _largest(self, first: int, parts: Sequence[bytes]) -> Floats:
        """The largest values of the blocks that were read, of which ``first`` is the first."""
        said = _described(self.state.name, parts[2])
        if said.shape != self.shape or said.block != self.block:
            raise contradiction(self.state.name, "describes another shape than tensors of its size do")
        if self.nested is None:
            return dtypes.decode(self.largest.dtype, parts[3])
        codes: NDArray[np.uint8] = np.frombuffer(parts[3], np.uint8)
        outer, table = dtypes.decode("F32", parts[4]), dtypes.decode("F32", parts[5])
        places = (first + np.arange(len(codes))) // self.nested.block - first // self.nested.block
        return table[codes] * outer[places] + np.float32(said.offset)


def states(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The tensors whose JSON tells the shapes of all: one of those that are called alike, numbers aside, and are as long."""
    held = {tensor.name: tensor for tensor in tensors}
    one: dict[tuple[str, int], Tensor] = {}
    for tensor in held.values():
        stem = _stem(tensor)
        weights = held.get(stem) if stem else None
        if weights is not None:
            one.setdefault(_kind(stem, weights), tensor)
    return list(one.values())


def matrices(held: Mapping[str, Tensor], settings: Settings) -> Iterator[tuple[Tensor, tuple[str, ...]]]:
    """Each tensor so packed, and the names of the stored tensors that it takes the place of.

    Raises:
        BadWeights: the parts of one contradict one another.
    """
    told: dict[tuple[str, int], _State] = {}
    for name, raw in settings.states.items():
        stem = _stem(held[name])
        told[_kind(stem, held[stem])] = _described(name, raw)
    for state in held.values():
        stem = _stem(state)
        weights = held.get(stem) if stem else None
        parts = {part: held.get(f"{stem}.{part}") for part in _PARTS} if weights else {}
        if weights is not None and parts["absmax"] and parts["quant_map"] and (said := told.get(_kind(stem, weights))):
            packing = _packing(said, weights, state, parts)
            made = Tensor(stem, packing.dtype, packing.shape, weights.path, weights.start, weights.stop, packing)
            yield made, (stem, state.name, *(part.name for part in parts.values() if part is not None))


_PARTS = ("absmax", "quant_map", "nested_absmax", "nested_quant_map")


@dataclass(frozen=True, slots=True)
class _State:
    shape: tuple[int, ...]
    dtype: str
    block: int
    nested_block: int
    offset: float


def _packing(said: _State, weights: Tensor, state: Tensor, parts: Mapping[str, Tensor | None]) -> FourBit:
    largest, table, outer, nested_table = (parts[part] for part in _PARTS)
    if largest is None or table is None:
        raise contradiction(weights.name, "lacks its blocks' largest values or its table")
    count = math.prod(said.shape)
    blocks = -(-count // said.block)
    stored = weights.stop - weights.start
    if not count or -(-count // 2) != stored or largest.elements != blocks or table.elements != 16 or table.dtype != "F32":
        raise contradiction(weights.name, f"has {stored:,} bytes and {largest.elements:,} blocks for a shape of {said.shape}")
    nested = None
    if largest.dtype == "U8":
        if outer is None or nested_table is None or not said.nested_block:
            raise contradiction(weights.name, "lacks what its blocks' largest values are worked out by")
        if outer.elements != -(-blocks // said.nested_block) or nested_table.elements != 256:
            raise contradiction(weights.name, "has blocks of blocks that contradict its size")
        if not outer.dtype == nested_table.dtype == "F32":
            raise contradiction(weights.name, "has blocks of blocks that aren't numbers")
        nested = Nested(said.nested_block, outer, nested_table)
    elif largest.dtype != "F32":
        raise contradiction(weights.name, f"has largest values of the dtype {largest.dtype}")
    word = next(word for ending, word in _STATES.items() if state.name.endswith(ending))
    return FourBit(said.shape, said.dtype, word, said.block, weights, largest, table, state, nested)


def _described(name: str, raw: bytes) -> _State:
    """What a tensor's JSON says."""
    said = as_table(raw) if len(raw) <= LONGEST_STATE else {}
    shape, offset = said.get("shape"), said.get("nested_offset", 0.0)
    listed = isinstance(shape, list) and 0 < len(shape) <= 8 and all(_size(size, 2**48) for size in shape)
    block, nested = said.get("blocksize"), said.get("nested_blocksize", 0)
    if not listed or not _size(block, _LARGEST_BLOCK) or not (nested == 0 or _size(nested, _LARGEST_BLOCK)):
        raise contradiction(name, "isn't described by its JSON")
    if type(offset) not in {int, float} or not abs(offset) < 1e30:
        raise contradiction(name, "has an odd offset")
    return _State(tuple(shape or ()), _DTYPES.get(str(said.get("dtype")), "F32"), int(block or 0), int(nested), float(offset))


def _size(value: Any, most: int) -> bool:
    return type(value) is int and 0 < value <= most


def _stem(state: Tensor) -> str:
    """The name of the weights that a tensor's JSON describes; empty where it is no such JSON."""
    for ending in _STATES:
        if state.name.endswith(ending) and state.dtype == "U8" and state.stop - state.start <= LONGEST_STATE:
            return state.name.removesuffix(ending)
    return ""


def _kind(stem: str, weights: Tensor) -> tuple[str, int]:
    return _NUMBERS.sub("#", stem), weights.stop - weights.start


def _whole(stored: Tensor) -> ByteRange:
    return ByteRange(stored.path, stored.start, stored.stop)
