"""compressed-tensors' ``pack-quantized``: weights of 4 or 8 bits packed along their input, with a scale a row or a group.

``weight_packed`` [out, in * bits / 32] holds whole numbers above zero, half their range above what they stand for;
``weight_scale`` [out, groups]. With ``weight_zero_point`` or ``weight_g_idx`` a matrix is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hub_lineage.read.dtypes import FLOATS
from hub_lineage.read.packed.rectangles import Rectangle, Unpacked, bitwise, contradiction, cut_out, enclosing
from hub_lineage.read.packed.settings import Settings
from hub_lineage.types import ByteRange, Floats, Tensor

_BITS = (4, 8)
_ENDING = ".weight_packed"


@dataclass(frozen=True, slots=True)
class PackQuantized(Unpacked):
    """A matrix of the shape [out, in]."""

    shape: tuple[int, ...]
    dtype: str
    bits: int
    group: int
    weights: Tensor
    scales: Tensor

    @property
    def word(self) -> str:
        """What it is called."""
        return f"INT{self.bits}"

    def pieces(self, rectangle: Rectangle) -> tuple[ByteRange, ...]:
        """Weights and scales."""
        return tuple(enclosing(*laid) for laid in self._laid(rectangle))

    def worked_out(self, rectangle: Rectangle, parts: Sequence[bytes]) -> Floats:
        """Scale times the distance from the middle."""
        words, scales = (cut_out(*laid, part) for laid, part in zip(self._laid(rectangle), parts, strict=True))
        left, right = rectangle.columns
        skipped = left % (32 // self.bits)
        codes = bitwise(words, self.bits)[:, skipped : skipped + right - left] - (1 << self.bits - 1)
        groups = np.arange(left, right) // self.group - left // self.group
        return codes.astype(np.float32) * scales.astype(np.float32)[:, groups]

    def _laid(self, rectangle: Rectangle) -> Iterator[tuple[Tensor, Rectangle]]:
        rows, (left, right) = rectangle
        each = 32 // self.bits
        yield self.weights, Rectangle(rows, (left // each, -(-right // each)))
        yield self.scales, Rectangle(rows, (left // self.group, (right - 1) // self.group + 1))


def matrices(held: Mapping[str, Tensor], settings: Settings) -> Iterator[tuple[Tensor, tuple[str, ...]]]:
    """Each matrix so packed, and the names of the stored tensors that it takes the place of.

    Raises:
        BadWeights: weights and scales don't fit one another.
    """
    bits = _bits(settings.quantised)
    for name, weights in held.items():
        stem = name.removesuffix(_ENDING)
        scales = held.get(f"{stem}.weight_scale")
        if stem == name or scales is None or bits is None or any(f"{stem}.weight_{part}" in held for part in _UNREAD):
            continue
        packing = _packing(stem, weights, scales, bits)
        made = Tensor(f"{stem}.weight", scales.dtype, packing.shape, weights.path, weights.start, weights.stop, packing)
        yield made, (name, scales.name)


_UNREAD = ("zero_point", "g_idx")


def _packing(stem: str, weights: Tensor, scales: Tensor, bits: int) -> PackQuantized:
    if len(weights.shape) != 2 or weights.dtype != "I32" or not weights.elements or scales.dtype not in FLOATS:
        raise contradiction(stem, "isn't a matrix of whole numbers beside one of scales")
    out, into = weights.shape[0], weights.shape[1] * 32 // bits
    if len(scales.shape) != 2 or scales.shape[0] != out or not scales.shape[1] or into % scales.shape[1]:
        raise contradiction(stem, f"has scales of the shape {scales.shape} for weights of {(out, into)}")
    return PackQuantized((out, into), scales.dtype, bits, into // scales.shape[1], weights, scales)


def _bits(said: Mapping[str, Any]) -> int | None:
    """What the first group of the settings says of its weights; 4 where they say nothing."""
    groups = said.get("config_groups")
    first: object = next(iter(groups.values()), {}) if isinstance(groups, dict) else {}
    weights = first.get("weights") if isinstance(first, dict) else {}
    bits = weights.get("num_bits", 4) if isinstance(weights, dict) else 4
    return bits if bits in _BITS else None
