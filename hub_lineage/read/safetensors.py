"""safetensors by byte ranges: where each tensor lies, never the data itself.

The header is JSON from a stranger: its length, its offsets, its shapes and its dtypes are all checked against the file's
size before anything is believed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeGuard

from hub_lineage.errors import BadWeights
from hub_lineage.read import weights
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.read.weights import REFETCH, WeightSet
from hub_lineage.types import ByteRange, RepoFile, Source, Tensor

SUFFIX = ".safetensors"
FIRST_READ = 64 * 1024
"""Bytes read at first: enough for the header of nearly every file, so that one request a file serves."""
LONGEST_HEADER = 25_000_000
MOST_TENSORS = 200_000


def weight_set(files: Sequence[RepoFile]) -> WeightSet | None:
    """The safetensors files of a repository that together hold its model; None where there are none.

    Raises:
        BadWeights: a shard of the set is missing.
    """
    return weights.weight_set(files, (SUFFIX,))


def read_index(source: Source, chosen: WeightSet) -> tuple[Tensor, ...]:
    """All tensors of those files, by one or two ranged reads a file; no weights are read.

    Raises:
        BadWeights: a header is truncated, contradicts the file's size, or names a tensor twice.
    """
    files = chosen.files
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
                raise BadWeights(f"The tensor {tensor.name!r} stands in two files.", REFETCH)
            tensors[tensor.name] = tensor
    return tuple(tensors.values())


def _header_length(file: RepoFile, head: bytes) -> int:
    if len(head) < 8:
        raise BadWeights(f"{file.path} is {file.size} bytes long: too short for a safetensors file.", REFETCH)
    (length,) = struct.unpack("<Q", head[:8])
    if length > LONGEST_HEADER:
        raise BadWeights(f"{file.path} claims a header of {length:,} bytes; at most {LONGEST_HEADER:,} are read.", REFETCH)
    if 8 + length > file.size:
        raise BadWeights(f"{file.path} is truncated: its header alone is longer than the file.", REFETCH)
    return int(length)


def parse_header(file: RepoFile, header: bytes) -> tuple[Tensor, ...]:
    """The tensors that a file's JSON header describes, in storage order, all checked against the file's size.

    Raises:
        BadWeights: the header isn't JSON of that form, or contradicts itself or the file.
    """
    entries = _load(file, header)
    entries.pop("__metadata__", None)
    if len(entries) > MOST_TENSORS:
        raise BadWeights(f"{file.path} claims {len(entries):,} tensors; at most {MOST_TENSORS:,} are read.", REFETCH)
    base = 8 + len(header)
    tensors = sorted((_tensor(file, base, name, entry) for name, entry in entries.items()), key=lambda t: (t.start, t.stop))
    for before, after in pairwise(tensors):
        if after.start < before.stop:
            raise BadWeights(f"In {file.path} the tensors {before.name!r} and {after.name!r} overlap.", REFETCH)
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
        raise BadWeights(f"The header of {file.path} isn't valid: {str(error)[:120]}.", REFETCH) from error
    if not isinstance(entries, dict):
        raise BadWeights(f"The header of {file.path} isn't a table of tensors.", REFETCH)
    return entries


def _unrepeated(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name stands twice")
    return table


def _tensor(file: RepoFile, base: int, name: str, entry: object) -> Tensor:
    """One checked entry; offsets become offsets into the file."""

    def wrong(what: str) -> BadWeights:
        return BadWeights(f"In {file.path} the tensor {name[:80]!r} {what}.", REFETCH)

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
