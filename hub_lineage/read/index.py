"""Which of a repository's files hold its model, in whatever format, and all tensors in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.read import gguf_files, onnx_files, pytorch, safetensors, weights
from hub_lineage.read.packed import unpacked
from hub_lineage.read.weights import WeightSet
from hub_lineage.types import RepoFile, Source, Tensor


class Reader(Protocol):
    """What the module of a format has; readers know nothing of one another."""

    def weight_set(self, files: Sequence[RepoFile]) -> WeightSet | None:
        """The files of this format that together hold a model; None where there are none.

        Raises:
            BadWeights: a part of the set is missing.
        """
        ...

    def read_index(self, source: Source, chosen: WeightSet) -> tuple[Tensor, ...]:
        """All tensors in those files, by a few ranged reads; no weights are read.

        Raises:
            BadWeights: a file is truncated, contradicts itself, or names a tensor twice.
        """
        ...


READERS: tuple[Reader, ...] = (safetensors, pytorch, gguf_files, onnx_files)
"""The formats, the one that is read with least effort first."""


def weight_set(files: Sequence[RepoFile]) -> WeightSet:
    """The files of a repository that together hold its model, in the first format that it has.

    Raises:
        NoWeights: there are weights in no format that is read.
        BadWeights: a part of the set is missing.
    """
    return _chosen(files)[1]


def read_index(source: Source) -> tuple[Tensor, ...]:
    """All tensors of a model, by a few ranged reads a file; no weights are read.

    What lies packed in several tensors is one.

    Raises:
        NoWeights: there are weights in no format that is read.
        BadWeights: a file is truncated, contradicts itself, or names a tensor twice.
    """
    reader, chosen = _chosen(source.files)
    return unpacked(reader.read_index(source, chosen), source)


def _chosen(files: Sequence[RepoFile]) -> tuple[Reader, WeightSet]:
    best: tuple[Reader, WeightSet] | None = None
    for reader in READERS:
        try:
            chosen = reader.weight_set(files)
        except BadWeights:
            if best is None:
                raise
            continue  # an incomplete set beside a whole one
        if chosen is not None and (best is None or weights.is_before(chosen, best[1], files)):
            best = reader, chosen
    if best is None:
        raise NoWeights("No weights that can be read were found.", _what_there_is(files))
    return best


_DECLINED = {
    "h5": "TensorFlow or Keras",
    "keras": "Keras",
    "pb": "TensorFlow",
    "tflite": "TensorFlow Lite",
    "msgpack": "Flax",
    "npz": "NumPy",
    "mlmodel": "Core ML",
    "pdparams": "Paddle",
}
"""What weights are that are not read, by the endings of their files."""


def _what_there_is(files: Sequence[RepoFile]) -> str:
    """What a repository holds instead, and what to do."""
    endings = {file.path.rpartition(".")[2] for file in files}
    others = sorted({f"{_DECLINED[ending]} (.{ending})" for ending in endings if ending in _DECLINED})
    if not files:
        return "It is empty."
    if others:
        return f"It holds weights in other formats, {', '.join(others)}, which are not read; look for a safetensors version."
    return "It holds no weights in any format; check the ID, or name the folder that has them."
