"""GGUF by byte ranges: the files of llama.cpp, plain and quantised.

Read in this order: ``header`` (what a file says of itself), ``kinds`` (the types and their blocks), ``packings`` (where a
tensor's values lie), ``names`` (what transformers calls its tensors).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from hub_lineage.errors import NoWeights
from hub_lineage.read import weights
from hub_lineage.read.gguf_files import names
from hub_lineage.read.gguf_files.header import FIRST_READ, MOST_TENSORS, Header, Info, Value, broken, read_header
from hub_lineage.read.gguf_files.kinds import KINDS
from hub_lineage.read.gguf_files.packings import Rotary, Stored
from hub_lineage.read.weights import WeightSet
from hub_lineage.types import ByteRange, RepoFile, Source, Tensor

SUFFIX = ".gguf"
MOST_EXPERTS = 4_096
"""Matrices in a tensor of many that are told apart."""
PERMUTED = frozenset(
    {
        "llama", "llama-embed", "mistral3", "granite", "granitemoe", "granitehybrid", "smollm3", "arcee", "deci", "minicpm",
        "internlm2", "baichuan", "xverse", "olmo", "deepseek", "arctic", "bailingmoe",
    }
)  # fmt: skip
"""Architectures for which llama.cpp's conversion puts the rows of Q and K in another order."""
_SHARD = re.compile(r"^(?P<stem>.*)-[0-9]{5}-of-(?P<count>[0-9]{5})$", re.DOTALL)
_BESIDE = re.compile(r"(^|[^a-z])(mmproj|lora|imatrix|ggml-vocab)([^a-z]|$)", re.IGNORECASE)
"""Names of files that hold a vision tower, an adapter, statistics for quantising, or a vocabulary alone."""


def weight_set(files: Sequence[RepoFile]) -> WeightSet | None:
    """The GGUF files of a repository that together hold its model; None where there are none.

    Most repositories hold one model many times. The largest complete set is taken, which has most bits a weight; what
    only goes with a model is taken where there is nothing else.

    Raises:
        BadWeights: there is no complete set.
    """
    stems = [(file, file.path.removesuffix(SUFFIX)) for file in files if file.path.endswith(SUFFIX)]
    beside = [_BESIDE.search(stem.rpartition("/")[2]) is not None for _, stem in stems]
    groups: dict[tuple[str, int], list[RepoFile]] = {}
    for (file, stem), aside in zip(stems, beside, strict=True):
        if not aside or all(beside):
            shard = _SHARD.match(stem)
            groups.setdefault((shard["stem"], int(shard["count"])) if shard else (stem, 0), []).append(file)
    if not groups:
        return None
    complete = {key: group for key, group in groups.items() if len(group) == max(key[1], 1)} or groups
    best = min(complete, key=lambda key: (-sum(file.size for file in complete[key]), key))
    return weights.weight_set(complete[best], (SUFFIX,))


def read_index(source: Source, chosen: WeightSet) -> tuple[Tensor, ...]:
    """All tensors of those files under the names of transformers; vocabularies are read over, no weights are read.

    Tensors of types that aren't read are left out.

    Raises:
        BadWeights: a head is truncated, contradicts the file's size, or a name stands twice.
        NoWeights: no matrix is of a type that is read.
    """
    files = chosen.files
    heads = source.read([ByteRange(file.path, 0, min(file.size, FIRST_READ)) for file in files])
    tensors: dict[str, Tensor] = {}
    unread: set[int] = set()
    metadata: Mapping[str, Value] = {}
    for file, head in zip(files, heads, strict=True):
        header = read_header(source, file, head)
        metadata = metadata or header.metadata  # the first part of a split file speaks for all
        unread |= {info.kind for info in header.infos} - KINDS.keys()
        for info, start, stop in _placed(file, header):
            for tensor in _tensors(info, Stored(file.path, start, KINDS[info.kind]), stop, metadata):
                if tensor.name in tensors:
                    raise broken(file, f"has the tensor {tensor.name[:80]!r} for a second time")
                tensors[tensor.name] = tensor
            if len(tensors) > MOST_TENSORS:
                raise broken(file, f"has more than the {MOST_TENSORS:,} tensors that are read")
    if not any(len(tensor.shape) > 1 for tensor in tensors.values()):
        _refuse(files[0], unread)
    return tuple(tensors.values())


def _refuse(file: RepoFile, unread: set[int]) -> None:
    if unread:
        numbers = ", ".join(str(kind) for kind in sorted(unread)[:8])
        raise NoWeights(
            f"{file.path} holds its weights in types that aren't read (ggml's {numbers}).",
            "Name another version of the model.",
        )
    raise NoWeights(f"{file.path} holds no weights.", "Name the file that holds the model.")


def _placed(file: RepoFile, header: Header) -> list[tuple[Info, int, int]]:
    """The tensors of known types with the bytes where they start and stop, in storage order, checked against the file."""
    found, seen = [], set()
    for info in header.infos:
        if info.name in seen:
            raise broken(file, f"has the tensor {info.name[:80]!r} for a second time")
        seen.add(info.name)
        if info.offset % header.alignment:
            raise broken(file, f"has a tensor {info.name[:80]!r} that doesn't start at a multiple of {header.alignment} bytes")
        if info.kind in KINDS:
            start = header.data + info.offset
            found.append((info, start, start + _size(file, info)))
    found.sort(key=lambda place: place[1:])
    for info, _, stop in found:
        if stop > file.size:
            raise broken(file, f"is truncated or lies: its tensor {info.name[:80]!r} ends beyond its {file.size:,} bytes")
    for (before, _, stop), (after, start, _) in pairwise(found):
        if start < stop:
            raise broken(file, f"has the tensors {before.name[:80]!r} and {after.name[:80]!r} one over the other")
    return found


def _size(file: RepoFile, info: Info) -> int:
    kind = KINDS[info.kind]
    row = info.shape[-1] if info.shape else 1
    if row % kind.values:
        raise broken(file, f"has a tensor {info.name[:80]!r} whose rows of {row} values aren't whole blocks of {kind.word}")
    rows = 1
    for size in info.shape[:-1]:
        rows *= size
    return rows * (row // kind.values) * kind.size


def _tensors(info: Info, stored: Stored, stop: int, metadata: Mapping[str, Value]) -> Iterator[Tensor]:
    """A tensor of the file as the tensors that transformers has in its place: none, one, or one an expert."""
    architecture = str(metadata.get("general.architecture", ""))[:80]
    name = names.original(info.name, architecture)
    if names.is_computed(info.name):
        return
    if names.holds_experts(info.name) and len(info.shape) > 1 and 0 < info.shape[0] <= MOST_EXPERTS:
        size = (stop - stored.start) // info.shape[0]
        for number in range(info.shape[0]):
            part = replace(stored, start=stored.start + number * size)
            yield _tensor(names.expert(name, number), info.shape[1:], part, part.start + size)
        return
    heads = _heads(info.name, architecture, metadata)
    rows = info.shape[0] if info.shape else 0
    if heads and stop > stored.start and rows % (2 * heads) == 0:
        packing = Rotary(stored, rows // (2 * heads), info.shape[-1] if len(info.shape) > 1 else 1)
        yield Tensor(name, stored.kind.dtype, info.shape, stored.path, stored.start, stop, packing)
    else:
        yield _tensor(name, info.shape, stored, stop)


def _tensor(name: str, shape: tuple[int, ...], stored: Stored, stop: int) -> Tensor:
    return Tensor(name, stored.kind.dtype, shape, stored.path, stored.start, stop, stored if stored.bits else None)


def _heads(name: str, architecture: str, metadata: Mapping[str, Value]) -> int:
    """The heads whose rows the conversion permuted in a tensor; 0 for a tensor that it left alone."""
    turned = names.turned(name)
    if turned is None or architecture not in PERMUTED:
        return 0
    block, which = turned
    key = f"{architecture}.attention.head_count"
    heads = metadata.get(f"{key}_kv", metadata.get(key)) if which == "k" else metadata.get(key)
    if isinstance(heads, tuple):  # one number a block
        heads = heads[block] if block < len(heads) else 0
    return heads if type(heads) is int and 0 < heads < 2**20 else 0
