"""The stored tensors of one ONNX file that hold weights, as they stand in torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from hub_lineage.read.dtypes import FLOATS, FORMATS
from hub_lineage.read.onnx_files.blocks import Blocks
from hub_lineage.read.onnx_files.graph import Graph, Node, Stored
from hub_lineage.read.onnx_files.packed import Rows, Scaled, Spelt, Transposed
from hub_lineage.read.onnx_files.places import Place, locate, varints, wrong
from hub_lineage.read.onnx_files.uses import Scales, Use, is_folded, is_turned, names, uses
from hub_lineage.types import Packing, RepoFile, Tensor

_WHOLE = frozenset({"I8", "U8"})
_OF_SCALES = frozenset({"F32", "F16", "BF16"})


def tensors(file: RepoFile, graph: Graph, files: Mapping[str, RepoFile]) -> Iterator[Tensor]:
    """The tensors of a file's graph: floating-point numbers, and whole ones that have scales.

    Raises:
        BadWeights: one lies where it can't, or its size contradicts its shape.
    """
    return _Initialisers(file, graph, files).tensors()


@dataclass(frozen=True, slots=True)
class _Initialisers:
    """One file's graph, and all files that its tensors may lie in."""

    file: RepoFile
    graph: Graph
    files: Mapping[str, RepoFile]

    def tensors(self) -> Iterator[Tensor]:
        used = uses(self.graph)
        named = names(self.graph, used)
        beside = {name for use in used.values() if use.scales for name in (use.scales.scale, use.scales.zero)}
        beside |= {name for use in used.values() if use.blocks for name in use.blocks.inputs[2:]}
        for name, stored in self.graph.stored.items():
            place = None if name in beside or _is_constant(name, stored) else self._place(stored)
            if place is None:
                continue
            use = used.get(name, Use())
            turned = is_turned(name, stored, use)
            if use.blocks is not None:
                yield from self._blocks(named[name], place, use.blocks)
            elif place.dtype in FLOATS:
                yield _plain(named[name], place, stored, turned)
            elif use.scales is not None and place.dtype in _WHOLE and not place.spelt:
                packing = self._scaled(place, stored, turned, use.scales)
                if packing is not None:
                    yield Tensor(named[name], packing.scale.dtype, packing.shape, place.path, place.start, place.stop, packing)

    def _place(self, stored: Stored) -> Place | None:
        return locate(self.file, stored, self.files)

    def _scaled(self, place: Place, stored: Stored, turned: bool, scales: Scales) -> Scaled | None:
        """How a tensor of whole numbers is scaled; None where its scales are of a kind that isn't read."""
        scale = self._place(self.graph.stored[scales.scale])
        if scale is None or scale.dtype not in _OF_SCALES:
            return None
        count = self._count(self.graph.stored[scales.scale], scale)
        zero = self._zero(stored, scales.zero, count)
        axis = scales.axis + len(stored.dims) if scales.axis < 0 else scales.axis
        if count != 1 and not (0 <= axis < len(stored.dims) and stored.dims[axis] == count):
            raise wrong(self.file, stored, "has scales of another number than it has rows")
        shape = stored.dims[::-1] if turned else stored.dims
        along = None if count == 1 else len(shape) - 1 - axis if turned else axis
        return Scaled(_matrix(place, shape) if turned else Rows(place, 1), shape, scale, zero, along)

    def _blocks(self, name: str, place: Place, node: Node) -> Iterator[Tensor]:
        """A matrix quantised in blocks; none where its kind isn't read."""
        columns, rows, size, bits = (next(iter(node.attributes.get(key, ())), 0) for key in ("K", "N", "block_size", "bits"))
        stored = [self.graph.stored[key] for key in node.inputs[1:4] if key in self.graph.stored]
        parts = [self._place(part) for part in stored]
        if place.dtype != "U8" or bits not in {4, 8} or len(parts) < 2 or any(part is None or part.spelt for part in parts):
            return
        if min(columns, rows, size) <= 0 or size * bits % 8:
            raise wrong(self.file, stored[0], "has blocks of an odd size")
        count = -(-columns // size)
        scale, zero = parts[1], parts[2] if len(parts) > 2 else None
        if scale is None or scale.dtype not in _OF_SCALES or (zero is not None and zero.dtype != "U8"):
            return
        lengths = (rows * count * size * bits // 8, rows * count * FORMATS[scale.dtype].bits // 8, rows * -(-count * bits // 8))
        for part, length in zip((place, scale, zero), lengths, strict=True):
            if part is not None and part.stop - part.start != length:
                raise wrong(self.file, stored[0], "has a size, or scales, that contradict its shape")
        packing = Blocks(place, scale, zero, columns, count, size, bits)
        yield Tensor(name, scale.dtype, (rows, columns), place.path, place.start, place.stop, packing)

    def _zero(self, stored: Stored, name: str, count: int) -> Place | None:
        """Where the zero points of a tensor are, as many as it has scales; None where zero is zero."""
        if name not in self.graph.stored:
            return None
        zero = self._place(self.graph.stored[name])
        if zero is None or zero.dtype not in _WHOLE or self._count(self.graph.stored[name], zero) != count:
            raise wrong(self.file, stored, "has zero points of another number or kind than its scales")
        return zero

    def _count(self, stored: Stored, place: Place) -> int:
        """How many scales or zero points there are."""
        count = math.prod(stored.dims)
        if place.spelt and len(varints(place.inline, place.dtype)) != count * (FORMATS[place.dtype].bits // 8):
            raise wrong(self.file, stored, "has a size that contradicts its shape")
        return count


def _is_constant(name: str, stored: Stored) -> bool:
    """Whether it is a single number that an exporter worked out."""
    return not stored.dims and is_folded(name)


def _plain(name: str, place: Place, stored: Stored, turned: bool) -> Tensor:
    """A tensor of floating-point numbers."""
    shape = stored.dims[::-1] if turned else stored.dims
    tensor = Tensor(name, place.dtype, shape, place.path, place.start, place.stop)
    packing: Packing
    if place.spelt:
        packing = Spelt(place, (stored.dims[0], stored.dims[1]) if turned else None)
    elif turned and 1 not in shape and FORMATS[place.dtype].bits >= 8:
        packing = _matrix(place, shape)
    else:
        return tensor
    return replace(tensor, packing=packing)


def _matrix(place: Place, shape: tuple[int, ...]) -> Transposed:
    return Transposed(place, FORMATS[place.dtype].bits // 8, shape[0], shape[1])
