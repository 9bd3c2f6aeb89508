"""safetensors by byte ranges: where each tensor lies, never the data itself.

The header is JSON from a stranger: its length, its offsets, its shapes and its dtypes are all checked against the file's
size before anything is believed.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard

from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.types import ByteRange, RepoFile, Source, Tensor

SUFFIX = ".safetensors"
FIRST_READ = 64 * 1024
"""Bytes read at first: enough for the header of nearly every file, so that one request a file serves."""
LONGEST_HEADER = 25_000_000
MOST_TENSORS = 200_000
_SHARD = re.compile(r"^(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.safetensors$")
_PREFERRED = ("model", "pytorch_model", "diffusion_pytorch_model", "adapter_model")
_OTHER_FORMATS = frozenset({"bin", "pt", "pth", "ckpt", "gguf", "onnx", "h5", "msgpack", "tflite", "pb", "npz", "keras"})
_REFETCH = "Fetch the file again, or ask its author to upload it anew."


class WeightSet(NamedTuple):
    """The files that together hold one model."""

    stem: str
    files: tuple[RepoFile, ...]


def weight_set(files: Sequence[RepoFile]) -> WeightSet:
    """The safetensors files of a repository that together hold its model.

    A complete set of shards counts as one model, apart from a single file or another set of shards under the same name.
    Of several sets the one under a customary name is taken, the topmost and largest first.

    Raises:
        NoWeights: there is no safetensors file.
        BadWeights: a shard of the set is missing.
    """
    groups: dict[tuple[str, int], list[RepoFile]] = {}
    for file in files:
        if file.path.endswith(SUFFIX):
            shard = _SHARD.match(file.path)
            key = (shard["stem"], int(shard["count"])) if shard else (file.path.removesuffix(SUFFIX), 0)
            groups.setdefault(key, []).append(file)
    if not groups:
        raise NoWeights("No safetensors weights were found.", _what_there_is(files))
    best = min(groups, key=lambda key: (*_preference(key[0]), -sum(file.size for file in groups[key]), key))
    chosen = sorted(groups[best], key=lambda file: file.path)
    _check_complete(chosen)
    return WeightSet(best[0], tuple(chosen))


def _preference(stem: str) -> tuple[int, int]:
    folder, _, name = stem.rpartition("/")
    depth = folder.count("/") + 1 if folder else 0
    return depth, _PREFERRED.index(name) if name in _PREFERRED else len(_PREFERRED)


def _what_there_is(files: Sequence[RepoFile]) -> str:
    others = sorted({ending for file in files if (ending := file.path.rpartition(".")[2]) in _OTHER_FORMATS})
    if not files:
        return "It is empty."
    if others:
        return f"It holds weights in other formats ({', '.join(others)}), which are not read yet; look for a safetensors version."
    return "It holds no weights in any format; check the ID, or name the folder that has them."


def _check_complete(files: Sequence[RepoFile]) -> None:
    shards = [match for file in files if (match := _SHARD.match(file.path))]
    if not shards:
        return
    count = int(shards[0]["count"])
    present = {int(match["number"]) for match in shards}
    missing = sorted(set(range(1, count + 1)) - present) if count <= len(files) + 1000 else [len(files) + 1]
    if missing:
        raise BadWeights(
            f"Shard {missing[0]} of {count} is missing.", "Wait until the upload is complete, or ask its author for the rest."
        )


def read_index(source: Source) -> tuple[Tensor, ...]:
    """All tensors of a model, by one or two ranged reads a file; no weights are read.

    Raises:
        NoWeights: there is no safetensors file.
        BadWeights: a header is truncated, contradicts the file's size, or names a tensor twice.
    """
    files = weight_set(source.files).files
    heads = source.read([ByteRange(file.path, 0, min(file.size, FIRST_READ)) for file in files])
    lengths = [_header_length(file, head) for file, head in zip(files, heads, strict=True)]
    longer = [i for i, length in enumerate(lengths) if 8 + length > len(heads[i])]
    rests = source.read([ByteRange(files[i].path, len(heads[i]), 8 + lengths[i]) for i in longer])
    for i, rest in zip(longer, rests, strict=True):
        heads[i] += rest
    tensors: dict[str, Tensor] = {}
    for file, head, length in zip(files, heads, lengths, strict=True):
        for tensor in parse_header(file, head[8 : 8 + length]):
            if tensor.name in tensors:
                raise BadWeights(f"The tensor {tensor.name!r} stands in two files.", _REFETCH)
            tensors[tensor.name] = tensor
    return tuple(tensors.values())


def _header_length(file: RepoFile, head: bytes) -> int:
    if len(head) < 8:
        raise BadWeights(f"{file.path} is {file.size} bytes long: too short for a safetensors file.", _REFETCH)
    (length,) = struct.unpack("<Q", head[:8])
    if length > LONGEST_HEADER:
        raise BadWeights(f"{file.path} claims a header of {length:,} bytes; at most {LONGEST_HEADER:,} are read.", _REFETCH)
    if 8 + length > file.size:
        raise BadWeights(f"{file.path} is truncated: its header alone is longer than the file.", _REFETCH)
    return int(length)


def parse_header(file: RepoFile, header: bytes) -> tuple[Tensor, ...]:
    """The tensors that a file's JSON header describes, in storage order, all checked against the file's size.

    Raises:
        BadWeights: the header isn't JSON of that form, or contradicts itself or the file.
    """
    entries = _load(file, header)
    entries.pop("__metadata__", None)
    if len(entries) > MOST_TENSORS:
        raise BadWeights(f"{file.path} claims {len(entries):,} tensors; at most {MOST_TENSORS:,} are read.", _REFETCH)
    base = 8 + len(header)
    tensors = sorted((_tensor(file, base, name, entry) for name, entry in entries.items()), key=lambda t: (t.start, t.stop))
    for before, after in pairwise(tensors):
        if after.start < before.stop:
            raise BadWeights(f"In {file.path} the tensors {before.name!r} and {after.name!r} overlap.", _REFETCH)
    return tuple(tensors)


def metadata(header: bytes) -> dict[str, str]:
    """The free ``__metadata__`` of a header; empty where there is none or it isn't words."""
    try:
        found = json.loads(header).get("__metadata__", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def _load(file: RepoFile, header: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(header, object_pairs_hook=_unrepeated)
    except (ValueError, RecursionError) as error:
        raise BadWeights(f"The header of {file.path} isn't valid: {str(error)[:120]}.", _REFETCH) from error
    if not isinstance(entries, dict):
        raise BadWeights(f"The header of {file.path} isn't a table of tensors.", _REFETCH)
    return entries


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands twice")
    return table


def _tensor(file: RepoFile, base: int, name: str, entry: object) -> Tensor:
    """One checked entry; offsets become offsets into the file."""

    def wrong(what: str) -> BadWeights:
        return BadWeights(f"In {file.path} the tensor {name[:80]!r} {what}.", _REFETCH)

    if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise wrong("has a name that isn't text")
    if not isinstance(entry, dict):
        raise wrong("isn't described")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in FORMATS:
        raise wrong(f"has the unknown dtype {dtype[:40]!r}" if isinstance(dtype, str) else "has no dtype")
    if not _whole_numbers(shape) or len(shape) > 32 or not _whole_numbers(offsets) or len(offsets) != 2:
        raise wrong("has an odd shape or offsets")
    tensor = Tensor(name, dtype, tuple(shape), file.path, base + offsets[0], base + offsets[1])
    if offsets[0] > offsets[1] or tensor.stop > file.size:
        raise wrong(f"ends beyond the file's {file.size:,} bytes: the file is truncated or its header lies")
    if tensor.elements * FORMATS[dtype].bits != (tensor.stop - tensor.start) * 8:
        raise wrong("has a size that contradicts its shape")
    return tensor


def _whole_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**53 for item in value)
