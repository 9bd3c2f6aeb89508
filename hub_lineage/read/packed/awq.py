"""AWQ: weights of 4 bits packed along their output, eight to a word in an order of its own, with a scale and a zero a group.

The layout is that of AutoAWQ's GEMM kernels, after Lin et al. 2024: ``qweight`` [in, out / 8], ``qzeros``
[groups, out / 8] and ``scales`` [groups, out].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.read.dtypes import FLOATS
from hub_lineage.read.packed.rectangles import Rectangle, Span, Stored, Unpacked, bitwise, contradiction, cut_out, enclosing
from hub_lineage.read.packed.settings import Settings
from hub_lineage.types import ByteRange, Floats, Tensor

_PLACES = np.array([0, 4, 1, 5, 2, 6, 3, 7])
"""In which four bits of a word each of eight neighbouring outputs lies."""
_EIGHT = len(_PLACES)


@dataclass(frozen=True, slots=True)
class Awq(Unpacked):
    """A matrix of the shape [out, in]."""

    shape: tuple[int, ...]
    dtype: str
    group: int
    weights: Tensor
    zeros: Tensor
    scales: Tensor

    @property
    def word(self) -> str:
        """What it is called."""
        return "AWQ-4"

    @property
    def bits(self) -> int:
        """Of a weight."""
        return 4

    def pieces(self, rectangle: Rectangle) -> tuple[ByteRange, ...]:
        """Weights, zeros and scales."""
        return tuple(enclosing(*laid) for laid in self._laid(rectangle))

    def worked_out(self, rectangle: Rectangle, parts: Sequence[bytes]) -> Floats:
        """Scale times the distance from the zero."""
        words, zeros, scales = (cut_out(*laid, part) for laid, part in zip(self._laid(rectangle), parts, strict=True))
        left, right = rectangle.columns
        groups = np.arange(left, right) // self.group - left // self.group
        codes, zero = (_in_order(packed, rectangle.rows) for packed in (words, zeros))
        return ((codes - zero[groups]).astype(np.float32) * scales.astype(np.float32)[groups]).T

    def _laid(self, rectangle: Rectangle) -> Iterator[tuple[Tensor, Rectangle]]:
        out, into = rectangle
        words = out[0] // _EIGHT, -(-out[1] // _EIGHT)
        groups = into[0] // self.group, (into[1] - 1) // self.group + 1
        yield self.weights, Rectangle(into, words)
        yield self.zeros, Rectangle(groups, words)
        yield self.scales, Rectangle(groups, out)


def _in_order(words: Stored, out: Span) -> NDArray[np.int32]:
    codes = bitwise(words, 4).reshape(len(words), -1, _EIGHT)[:, :, _PLACES].reshape(len(words), -1)
    first = out[0] % _EIGHT
    return codes[:, first : first + out[1] - out[0]]


def matrices(held: Mapping[str, Tensor], _settings: Settings) -> Iterator[tuple[Tensor, tuple[str, ...]]]:
    """Each matrix so packed, and the names of the stored tensors that it takes the place of.

    Raises:
        BadWeights: the parts of one contradict one another.
    """
    for name, weights in held.items():
        stem = name.removesuffix(".qweight")
        zeros, scales = held.get(f"{stem}.qzeros"), held.get(f"{stem}.scales")
        if stem == name or zeros is None or scales is None or scales.dtype not in FLOATS:
            continue
        if all(len(part.shape) == 2 for part in (weights, zeros, scales)) and weights.shape[1] * _EIGHT == scales.shape[1]:
            packing = _packing(stem, weights, zeros, scales)
            made = Tensor(f"{stem}.weight", scales.dtype, packing.shape, weights.path, weights.start, weights.stop, packing)
            yield made, (name, zeros.name, scales.name)


def _packing(stem: str, weights: Tensor, zeros: Tensor, scales: Tensor) -> Awq:
    into, (groups, out) = weights.shape[0], scales.shape
    if not (weights.elements and groups and weights.dtype == zeros.dtype == "I32") or zeros.shape != (groups, out // _EIGHT):
        raise contradiction(stem, "has weights, zeros and scales that don't fit one another")
    if into % groups:
        raise contradiction(stem, f"has {groups} groups for {into} inputs")
    return Awq((out, into), scales.dtype, into // groups, weights, zeros, scales)
