"""Models made of numbers alone: trees of increments, their fingerprints and families, for tests of the pure middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Family, gather
from hub_lineage.read import dtypes
from hub_lineage.sampling import SCHEME
from hub_lineage.types import ByteRange, Cost, Fingerprint, Model, Reference, RepoFile, Sample

Values = Sequence[NDArray[Any]]
SHAPES = ((24, 18, 3, 3), (32, 24), (40, 32), (40, 40))
ALTOGETHER = {f"block.{i}.weight": shape for i, shape in enumerate(SHAPES)}


class Memory:
    """A source of bytes in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.contents = dict(files)
        self.reference = Reference("memory", local=True)
        self.revision: str | None = None
        self.card: dict[str, Any] = {}
        self.asked: list[ByteRange] = []

    @property
    def files(self) -> tuple[RepoFile, ...]:
        return tuple(RepoFile(path, len(content)) for path, content in self.contents.items())

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        self.asked += ranges
        for one in ranges:
            assert 0 <= one.start <= one.stop <= len(self.contents[one.path]), "a range beyond its file"
        return [self.contents[one.path][one.start : one.stop] for one in ranges]

    def cost(self) -> Cost:
        return Cost(requests=len(self.asked), bytes_read=sum(map(len, self.asked)))


def tree(
    parents: Sequence[int], steps: Sequence[float], seed: int = 0, shapes: Sequence[tuple[int, ...]] = SHAPES
) -> list[Values]:
    """Models whose increments are independent Gaussians of the sizes given; a parent of -1 makes a root. Parents come first."""
    random = np.random.default_rng(seed)
    grown: list[Values] = []
    for parent, step in zip(parents, steps, strict=True):
        moved = [step * random.standard_normal(shape) for shape in shapes]
        before = grown[parent] if parent >= 0 else [np.zeros(shape) for shape in shapes]
        grown.append([a + b for a, b in zip(before, moved, strict=True)])
    return grown


def orthogonal_tree(parents: Sequence[int], steps: Sequence[float], seed: int = 0, length: int = 256) -> list[Values]:
    """Models of one tensor whose increments are exactly orthogonal to each other and have no mean."""
    random = np.random.default_rng(seed)
    drawn = np.column_stack([np.ones(length), random.standard_normal((length, len(parents)))])
    directions = np.linalg.qr(drawn)[0][:, 1:].T
    grown: list[NDArray[Any]] = []
    for parent, step, direction in zip(parents, steps, directions, strict=True):
        grown.append((grown[parent] if parent >= 0 else 0.0) + step * direction)
    return [[model.reshape(16, -1)] for model in grown]


def fingerprint_of(tensors: Values, dtype: str = "F32", key: str = "simulated") -> Fingerprint:
    samples = tuple(
        Sample(tensor.shape, dtype, dtypes.encode(dtype, tensor.astype(np.float32).reshape(-1)), f"tensor.{i}")
        for i, tensor in enumerate(tensors)
    )
    return Fingerprint(SCHEME, key, sum(tensor.size for tensor in tensors), samples)


def family_of(models: Sequence[Values], dtype: str = "F32") -> Family:
    return gather([fingerprint_of(tensors, dtype) for tensors in models])


def model_of(name: str, tensors: Values, dtype: str = "F32") -> Model:
    return Model(name, None, fingerprint_of(tensors, dtype))
