"""GPTQ: weights of 2, 3, 4 or 8 bits packed along their input into words of 32, with a scale and a zero a group.

The layout is that of AutoGPTQ and GPTQModel, after Frantar et al. 2023: ``qweight`` [in * bits / 32, out], ``qzeros``
[groups, out * bits / 32], ``scales`` [groups, out] and ``g_idx`` [in], the group of each input. Zeros are stored less one,
but in version 2 of the format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hub_lineage.read.dtypes import FLOATS
from hub_lineage.read.packed.rectangles import Rectangle, Span, Unpacked, bitwise, contradiction, cut_out, enclosing, values_at
from hub_lineage.read.packed.settings import Settings
from hub_lineage.types import ByteRange, Floats, Tensor

_BITS = (2, 3, 4, 8)
_UNIT = 32  # values that fill whole words whatever their bits


@dataclass(frozen=True, slots=True)
class Gptq(Unpacked):
    """A matrix of the shape [out, in]; ``order`` is ``g_idx``, or None where groups follow one another."""

    shape: tuple[int, ...]
    dtype: str
    bits: int
    group: int
    above: int  # what is added to a stored zero
    weights: Tensor
    zeros: Tensor
    scales: Tensor
    order: Tensor | None

    @property
    def word(self) -> str:
        """What it is called."""
        return f"GPTQ-{self.bits}"

    def pieces(self, rectangle: Rectangle) -> tuple[ByteRange, ...]:
        """Weights, zeros, scales and, where inputs are out of order, their groups."""
        plain = tuple(enclosing(*laid) for laid in self._laid(rectangle))
        return plain if self.order is None else (*plain, values_at(self.order, *rectangle.columns))

    def worked_out(self, rectangle: Rectangle, parts: Sequence[bytes]) -> Floats:
        """Scale times the distance from the zero."""
        words, zeros, scales = (cut_out(*laid, part) for laid, part in zip(self._laid(rectangle), parts, strict=False))
        (top, bottom), (left, right) = rectangle
        skipped, first = left % _UNIT, top % _UNIT
        codes = bitwise(words.T, self.bits)[:, skipped : skipped + right - left]
        zero = (bitwise(zeros, self.bits)[:, first : first + bottom - top] + self.above) % (1 << self.bits)
        groups = self._groups(rectangle, parts)
        scale = scales.astype(np.float32)
        return (codes - zero[groups].T).astype(np.float32) * scale[groups].T

    def _laid(self, rectangle: Rectangle) -> Iterator[tuple[Tensor, Rectangle]]:
        out, into = rectangle
        groups = (0, self.scales.shape[0]) if self.order else (into[0] // self.group, (into[1] - 1) // self.group + 1)
        yield self.weights, Rectangle(self._words(into, self.weights.shape[0]), out)
        yield self.zeros, Rectangle(groups, self._words(out, self.zeros.shape[1]))
        yield self.scales, Rectangle(groups, out)

    def _words(self, values: Span, most: int) -> Span:
        first, last = values
        return first // _UNIT * self.bits, min(most, -(-last // _UNIT) * self.bits)

    def _groups(self, rectangle: Rectangle, parts: Sequence[bytes]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        left, right = rectangle.columns
        if self.order is None:
            return np.arange(left, right) // self.group - left // self.group
        found = np.frombuffer(parts[-1], "<i4").astype(np.int64)
        if found.min() < 0 or found.max() >= self.scales.shape[0]:
            raise contradiction(self.order.name, f"names a group beyond its {self.scales.shape[0]}")
        return found


def matrices(held: Mapping[str, Tensor], settings: Settings) -> Iterator[tuple[Tensor, tuple[str, ...]]]:
    """Each matrix so packed, and the names of the stored tensors that it takes the place of.

    Raises:
        BadWeights: the parts of one contradict one another.
    """
    for name, weights in held.items():
        stem = name.removesuffix(".qweight")
        zeros, scales, order = (held.get(f"{stem}.{part}") for part in ("qzeros", "scales", "g_idx"))
        if stem == name or zeros is None or scales is None or scales.dtype not in FLOATS:
            continue
        if all(len(part.shape) == 2 for part in (weights, zeros, scales)) and weights.shape[1] == scales.shape[1]:
            packing = _packing(stem, (weights, zeros, scales), order, settings)
            made = Tensor(f"{stem}.weight", scales.dtype, packing.shape, weights.path, weights.start, weights.stop, packing)
            yield made, (name, zeros.name, scales.name, *([order.name] if order else []))


def _packing(stem: str, parts: tuple[Tensor, Tensor, Tensor], order: Tensor | None, settings: Settings) -> Gptq:
    weights, zeros, scales = parts
    groups, out = scales.shape
    if not (weights.elements and zeros.elements and weights.dtype == zeros.dtype == "I32" and zeros.shape[0] == groups):
        raise contradiction(stem, "has weights, zeros and scales that don't fit one another")
    bits = zeros.shape[1] * 32 // out
    into = weights.shape[0] * 32 // max(bits, 1)
    if bits not in _BITS or zeros.shape[1] * 32 != out * bits or into * bits != weights.shape[0] * 32 or groups > into:
        raise contradiction(stem, f"packs {bits} bits a value by its shapes, which contradict one another")
    if order is not None and (order.shape != (into,) or order.dtype != "I32"):
        raise contradiction(stem, "has no group for each of its inputs")
    said = settings.quantised
    size = said.get("group_size")
    group = size if isinstance(size, int) and size > 0 and -(-into // size) == groups else -(-into // groups)
    if -(-into // group) != groups:
        raise contradiction(stem, f"has {groups} groups for {into} inputs")
    above = 0 if said.get("checkpoint_format") == "gptq_v2" else 1
    follows = said.get("desc_act") is False or groups == 1
    return Gptq((out, into), scales.dtype, bits, group, above, weights, zeros, scales, None if follows else order)
