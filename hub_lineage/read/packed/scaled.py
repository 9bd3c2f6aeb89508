"""Weights of 8 bits beside their scales: whole numbers with a scale a row, or short floats with one a tensor, row or block.

``weight`` I8 and ``SCB`` is the layout of bitsandbytes' LLM.int8 (Dettmers et al. 2022): a row's largest value stands for
127. ``weight`` F8 and ``weight_scale`` or ``weight_scale_inv`` is that of compressed-tensors and of DeepSeek-V3, whose
inverse scale is multiplied by as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hub_lineage.read.dtypes import FLOATS
from hub_lineage.read.packed.rectangles import Rectangle, Span, Unpacked, contradiction, cut_out, enclosing
from hub_lineage.read.packed.settings import Settings
from hub_lineage.types import ByteRange, Floats, Tensor

_BLOCK = 128
"""Rows and columns that share a scale, where that fits the shapes."""
_SCALES = ("weight_scale", "weight_scale_inv")


@dataclass(frozen=True, slots=True)
class Scaled(Unpacked):
    """A matrix of the shape [out, in, ...]; ``block`` is how many rows and columns share one of the ``grid`` of scales."""

    shape: tuple[int, ...]
    dtype: str
    word: str
    divisor: float
    block: tuple[int, int]
    weights: Tensor
    scales: Tensor
    grid: tuple[int, int]

    @property
    def bits(self) -> int:
        """Of a weight."""
        return 8

    def pieces(self, rectangle: Rectangle) -> tuple[ByteRange, ...]:
        """Weights and scales."""
        return enclosing(self.weights, rectangle), enclosing(self._table, self._shared(rectangle))

    def worked_out(self, rectangle: Rectangle, parts: Sequence[bytes]) -> Floats:
        """Each weight times its scale."""
        weights = cut_out(self.weights, rectangle, parts[0]).astype(np.float32)
        scales = cut_out(self._table, self._shared(rectangle), parts[1]).astype(np.float32) / np.float32(self.divisor)
        rows, columns = (
            np.arange(first, last) // size - first // size for (first, last), size in zip(rectangle, self.block, strict=True)
        )
        return weights * scales[rows[:, None], columns[None, :]]

    @property
    def _table(self) -> Tensor:
        found = self.scales
        return Tensor(found.name, found.dtype, self.grid, found.path, found.start, found.stop)

    def _shared(self, rectangle: Rectangle) -> Rectangle:
        rows, columns = (_blocks(span, size) for span, size in zip(rectangle, self.block, strict=True))
        return Rectangle(rows, columns)


def _blocks(span: Span, size: int) -> Span:
    return span[0] // size, (span[1] - 1) // size + 1


def matrices(held: Mapping[str, Tensor], _settings: Settings) -> Iterator[tuple[Tensor, tuple[str, ...]]]:
    """Each matrix so scaled, and the names of the stored tensors that it takes the place of.

    Raises:
        BadWeights: weights and scales don't fit one another.
    """
    for name, weights in held.items():
        stem = name.removesuffix(".weight")
        if stem == name or len(weights.shape) < 2 or not weights.elements:
            continue
        if weights.dtype == "I8" and (scales := held.get(f"{stem}.SCB")) is not None:
            yield _scaled(weights, scales, "INT8", 127.0), (name, scales.name, f"{stem}.weight_format")
        if weights.dtype.startswith("F8_E") and weights.dtype != "F8_E8M0":
            scales = next((found for word in _SCALES if (found := held.get(f"{stem}.{word}")) is not None), None)
            if scales is not None:
                yield _scaled(weights, scales, "FP8", 1.0), (name, scales.name)


def _scaled(weights: Tensor, scales: Tensor, word: str, divisor: float) -> Tensor:
    size = (weights.shape[0], math.prod(weights.shape[1:]))
    grid = _grid(scales.shape, size)
    blocks = tuple(_shared_by(count, over) for count, over in zip(grid, size, strict=True)) if grid else (0, 0)
    if grid is None or 0 in blocks or scales.dtype not in FLOATS | {"F8_E8M0"}:
        raise contradiction(weights.name, f"has scales of the shape {scales.shape} for weights of {weights.shape}")
    dtype = scales.dtype if scales.dtype in {"F16", "BF16"} else "F32"
    packing = Scaled(weights.shape, dtype, word, divisor, (blocks[0], blocks[1]), weights, scales, grid)
    return Tensor(weights.name, dtype, weights.shape, weights.path, weights.start, weights.stop, packing)


def _grid(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int] | None:
    """A table of scales as rows and columns: one for all, one a row, or a table."""
    count = math.prod(shape)
    if count == 1:
        return 1, 1
    if len(shape) == 2:
        return shape[0], shape[1]
    return (count, 1) if count == size[0] else None


def _shared_by(count: int, size: int) -> int:
    """How many of so many rows or columns share a scale; 0 where the numbers contradict one another."""
    if count == 1:
        return size
    if -(-size // _BLOCK) == count:
        return _BLOCK
    return size // count if count and size % count == 0 else 0
