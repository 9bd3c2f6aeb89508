"""ONNX by byte ranges: the initialisers of a model's graph, inside the file or beside it.

Read in this order: ``wire`` (protobuf, walked), ``graph`` (what a model holds), ``places`` (where values lie), ``uses``
(which way round they stand, and what they are called), ``packed`` (matrices turned back, whole numbers scaled),
``initialisers`` (all of it together).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hub_lineage.errors import NoWeights
from hub_lineage.read.onnx_files.graph import read_graph
from hub_lineage.read.onnx_files.initialisers import tensors
from hub_lineage.read.onnx_files.wire import Wire
from hub_lineage.read.weights import WeightSet
from hub_lineage.types import RepoFile, Source, Tensor

SUFFIX = ".onnx"
NAMES = ("model", "decoder_model", "decoder_model_merged", "encoder_model")
"""Customary names without their endings, the likeliest first; a decoder's encoder belongs to it."""
PRECISIONS = ("", "fp32", "bf16", "fp16", "int8", "uint8", "quantized", "q8", "q4", "int4", "q4f16", "bnb4", "q2", "q1")
"""Customary endings of names, the most precise first."""
_PRECISION = re.compile(rf"(?P<name>.+?)(_(?P<precision>{'|'.join(PRECISIONS[1:])}))?", re.DOTALL)
_ENCODERS = {"decoder_model": "encoder_model", "decoder_model_merged": "encoder_model"}


def weight_set(files: Sequence[RepoFile]) -> WeightSet | None:
    """The ONNX file that holds a repository's model, its encoder where that has a file of its own, and their data.

    The topmost file is taken and, of those, one under a customary name, the most precise and the largest.
    """
    models = {file.path: file for file in files if file.path.endswith(SUFFIX)}
    if not models:
        return None
    best = min(models.values(), key=_preference)
    chosen = [best]
    folder, slash, stem = best.path.removesuffix(SUFFIX).rpartition("/")
    name, precision = _parted(stem)
    if name in _ENCODERS:
        other = f"{folder}{slash}{_ENCODERS[name]}{'_' if precision else ''}{precision}{SUFFIX}"
        chosen += [models[other]] if other in models else []
    heads = tuple(file.path for file in chosen)
    data = [file for file in files if file.path.startswith(heads) and file.path not in heads]
    return WeightSet(best.path.removesuffix(SUFFIX), tuple(sorted((*chosen, *data), key=lambda file: file.path)))


def read_index(source: Source, chosen: WeightSet) -> tuple[Tensor, ...]:
    """All initialisers that hold weights, in torch's orientation and, where nodes tell, under torch's names.

    Whole numbers that no scale belongs to are left out: they are shapes and places, which the exporter wrote.

    Raises:
        BadWeights: a file is truncated, contradicts itself, or points out of the model's folder.
        NoWeights: there is no weight in them.
    """
    files = {file.path: file for file in source.files}
    found: dict[str, Tensor] = {}
    for file in chosen.files:
        if file.path.endswith(SUFFIX):
            for tensor in tensors(file, read_graph(Wire(source, file)), files):
                same = found.get(tensor.name)
                differs = same is not None and same.shape != tensor.shape
                name = f"{file.path.removesuffix(SUFFIX)}.{tensor.name}" if differs else tensor.name
                found.setdefault(name, replace(tensor, name=name))
    if not found:
        raise NoWeights(f"{chosen.files[0].path} holds no weights.", "Its data may be missing; look for another version.")
    return tuple(found.values())


def _preference(file: RepoFile) -> tuple[int, int, int, int, str]:
    folder, _, stem = file.path.removesuffix(SUFFIX).rpartition("/")
    name, precision = _parted(stem)
    known = NAMES.index(name) if name in NAMES else len(NAMES)
    return folder.count("/") + 1 if folder else 0, known, PRECISIONS.index(precision), -file.size, file.path


def _parted(stem: str) -> tuple[str, str]:
    """A name without its precision, and that."""
    match = _PRECISION.fullmatch(stem)
    return (match["name"], match["precision"] or "") if match else (stem, "")
