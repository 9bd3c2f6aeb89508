"""Weights to a fingerprint: the values that :mod:`hub_lineage.sampling` chooses, how they are stored, how short ones are made."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from hub_lineage import tensors as shapes
from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.read.remembered import Remembered
from hub_lineage.read.spans import taken
from hub_lineage.sampling import FULL_SCHEME, RUN_LENGTH, SCHEME, Chosen, affordable, choose, ranges_of, runs_of
from hub_lineage.types import Block, ByteRange, Fingerprint, Floats, Sample, Source, Tensor

SHORT_LENGTH = 1024
AT_ONCE = 64_000_000
"""Bytes of ranges that are held at a time, whatever is read altogether, or a single run's."""
_LARGEST = np.float32(1e8)  # no weight comes near; sums of fourth powers stay below what float32 holds
_MAGIC = b"HLFP"
_VERSION = 3
_UNPACKED = 2  # the version that is written where nothing is packed

Run = tuple[int, int]
_Wanted = tuple[Tensor, Run, tuple[ByteRange, ...]]


def read_fingerprint(source: Source, *, full: bool = False) -> Fingerprint:
    """The fingerprint of a model in an opened repository or folder: its headers, then the sampled ranges.

    Args:
        source: The repository or folder.
        full: Whether it is read at depth ``full``, by a scheme of its own.

    Raises:
        NoWeights: there are no weights that can be sampled.
        BadWeights: a file is broken.
    """
    source = Remembered(source)
    tensors = read_index(source)
    body, vectors = shapes.body(tensors), shapes.vectors(tensors)
    if not body:
        raise NoWeights(
            "The weights hold no matrix of floating-point numbers to compare.",
            "They may be packed in a way that is not read yet; look for the unquantised version.",
        )
    weights, beside = choose(body, vectors, full=full)
    weights = affordable(tensors, weights, full=full)
    if not weights:
        raise NoWeights(
            "No matrix can be sampled without reading most of its file.",
            "Look for a version that isn't packed, or that is packed in another way.",
        )
    samples = _sampled(source, [*weights, *beside])
    return Fingerprint(
        FULL_SCHEME if full else SCHEME,
        shapes.architecture_key(body),
        sum(t.elements for t in tensors),
        samples[: len(weights)],
        samples[len(weights) :],
        _blocks(tensors, body, weights),
        _partial([*body, *vectors], [*weights, *beside]),
    )


def _sampled(source: Source, chosen: Chosen) -> tuple[Sample, ...]:
    runs = ((tensor, run) for tensor, count in chosen for run in runs_of(tensor.shape, count))
    unpacked = (one for batch in _batches(runs) for one in _read(source, batch))
    samples = []
    for tensor, group in groupby(unpacked, key=lambda item: item[0]):
        raw = b"".join(raw for _, raw in group)
        samples.append(Sample(tensor.shape, tensor.dtype, raw, tensor.name, tensor.packing.word if tensor.packing else ""))
    return tuple(samples)


def _batches(runs: Iterable[tuple[Tensor, Run]]) -> Iterator[list[_Wanted]]:
    """The runs in their order, as many at a time as take :data:`AT_ONCE` bytes; one that takes more comes alone."""
    batch: list[_Wanted] = []
    seen: set[ByteRange] = set()
    size = 0
    for tensor, run in runs:
        spans = ranges_of(tensor, *run)
        more, _ = taken(set(spans) - seen)
        if batch and size + more > AT_ONCE:
            yield batch
            batch, seen, size = [], set(), 0
            more, _ = taken(spans)
        batch.append((tensor, run, spans))
        seen.update(spans)
        size += more
    if batch:
        yield batch


def _read(source: Source, batch: Sequence[_Wanted]) -> Iterator[tuple[Tensor, bytes]]:
    """The values of each run, the bytes that several share read once."""
    spans = list(dict.fromkeys(span for _, _, spans in batch for span in spans))
    held = dict(zip(spans, source.read(spans), strict=True))
    for tensor, run, wanted in batch:
        yield tensor, _values(tensor, *run, [held[span] for span in wanted])


def _values(tensor: Tensor, first: int, last: int, parts: Sequence[bytes]) -> bytes:
    return tensor.packing.values(first, last, parts) if tensor.packing is not None else parts[0]


def _blocks(tensors: Sequence[Tensor], body: Sequence[Tensor], chosen: Chosen) -> tuple[Block, ...]:
    """The kinds of depth block, each with the places of the samples that were taken in it.

    An adapter's are its base's, and as it holds no samples of what stands in them they have none.
    """
    if shapes.changed_by_adapter(tensors):
        return tuple(replace(block, samples=()) for block in shapes.block_keys(body))
    places = {tensor.name: place for place, (tensor, _) in enumerate(chosen)}
    found = []
    for block in shapes.block_keys(body):
        names = [body[i].name for i in block.samples]
        found.append(replace(block, samples=tuple(sorted(places[name] for name in names if name in places))))
    return tuple(found)


def _partial(tensors: Sequence[Tensor], chosen: Chosen) -> tuple[tuple[int, ...], ...]:
    sampled = Counter(tensor.shape for tensor, _ in chosen)
    there = Counter(tensor.shape for tensor in tensors)
    return tuple(sorted(shape for shape, count in sampled.items() if count < there[shape]))


def values(sample: Sample) -> Floats:
    """The sampled values as float32, shape [n]; what isn't finite, or is larger than any weight, counts as zero."""
    found = dtypes.decode(sample.dtype, sample.raw)
    return np.where(np.abs(found) < _LARGEST, found, np.float32(0.0))


def is_whole(fingerprint: Fingerprint) -> bool:
    """Whether all weights of the body were read, so that depth ``full`` could tell nothing more."""
    parts = [Tensor(s.label, s.dtype, s.shape, "", 0, len(s.raw)) for s in fingerprint.samples]
    changes = any(shapes.is_change(sample.packed) for sample in fingerprint.samples)
    return (
        all(part.stop == dtypes.byte_span(part.dtype, 0, part.elements)[1] for part in parts)
        and shapes.architecture_key(parts, changes=changes) == fingerprint.architecture
    )


def is_blank(fingerprint: Fingerprint) -> bool:
    """Whether every sampled weight tensor holds one value throughout, so that nothing in it can be compared."""
    return bool(fingerprint.samples) and all(np.ptp(values(sample)) == 0 for sample in fingerprint.samples)


def is_broken(fingerprint: Fingerprint) -> bool:
    """Whether a sampled weight is infinite or no number: such a network computes nothing and can't be trained further."""
    return not all(np.isfinite(dtypes.decode(sample.dtype, sample.raw)).all() for sample in fingerprint.samples)


def first_run(sample: Sample) -> Floats:
    """The values of a sample's first run, shape [n]: the same places in every tensor of that shape, in any network."""
    found = values(sample)
    if len(found) < math.prod(sample.shape):
        return found[:RUN_LENGTH]
    ((first, last),) = runs_of(sample.shape, 1)
    return found[first:last]


def short_vector(fingerprint: Fingerprint) -> NDArray[np.float16]:
    """A fingerprint of 1,024 numbers for search within an architecture, shape [1024], of unit norm.

    Every tensor is centred and scaled to one root mean square first, so that the inner product of two of them is an
    estimate of the pooled centred correlation.
    """
    scaled = np.concatenate([standardised(values(sample)) for sample in fingerprint.samples])
    places = np.arange(min(SHORT_LENGTH, len(scaled))) * len(scaled) // min(SHORT_LENGTH, len(scaled))
    vector = np.zeros(SHORT_LENGTH, dtype=np.float32)
    vector[: len(places)] = scaled[places]
    return _unit(vector)


def block_vector(fingerprint: Fingerprint, block: Block) -> NDArray[np.float16]:
    """A fingerprint of 1,024 numbers for search by depth block, shape [1024], of unit norm.

    It knows no places: the first runs of all tensors of a shape are summed, so that a network cut in depth is still near
    its source, and shapes are told apart by signs drawn from each (as in a count sketch, Charikar et al. 2002).
    """
    total = np.zeros(SHORT_LENGTH, dtype=np.float32)
    for place in block.samples:
        sample = fingerprint.samples[place]
        run = standardised(first_run(sample))
        total[: len(run)] += run * _signs(sample.shape)[: len(run)]
    return _unit(total)


def _signs(shape: tuple[int, ...]) -> Floats:
    drawn = hashlib.shake_256(f"{SCHEME}:{shape}:signs".encode()).digest(RUN_LENGTH // 8)
    return np.unpackbits(np.frombuffer(drawn, np.uint8)).astype(np.float32) * 2 - 1


def _unit(vector: Floats) -> NDArray[np.float16]:
    norm = float(np.linalg.norm(vector))
    return (vector / norm if norm > 0 else vector).astype(np.float16)


def standardised(sampled: Floats) -> Floats:
    """Values centred and scaled to a root mean square of 1, shape kept; all zero where they are constant."""
    centred = sampled - sampled.mean(dtype=np.float64).astype(np.float32)
    scale = float(np.sqrt(np.mean(np.square(centred, dtype=np.float64))))
    return centred / np.float32(scale) if scale > 1e-30 else np.zeros_like(centred)


def digest(fingerprint: Fingerprint) -> str:
    """A hash of a fingerprint's values that doesn't depend on the order or labels of its tensors: 32 hex digits."""
    sampled = (*fingerprint.samples, *fingerprint.vectors)
    parts = sorted(hashlib.sha256(f"{s.shape}{s.dtype}".encode() + s.raw).digest() for s in sampled)
    head = f"{fingerprint.scheme}:{fingerprint.architecture}".encode()
    return hashlib.sha256(head + b"".join(parts)).hexdigest()[:32]


def encode(fingerprint: Fingerprint) -> bytes:
    """The stored form, version 3, or 2 where nothing was packed: magic, length of a JSON head, the head, the raw values."""

    def listed(samples: Sequence[Sample]) -> list[list[object]]:
        return [[list(s.shape), s.dtype, len(s.raw), s.label, *([s.packed] if s.packed else [])] for s in samples]

    head = {
        "scheme": fingerprint.scheme,
        "architecture": fingerprint.architecture,
        "parameters": fingerprint.parameters,
        "samples": listed(fingerprint.samples),
        "vectors": listed(fingerprint.vectors),
        "blocks": [[b.key, b.count, b.samples, b.shapes] for b in fingerprint.blocks],
        "partial": [list(shape) for shape in fingerprint.partial],
    }
    packed = json.dumps(head, separators=(",", ":")).encode()
    version = _VERSION if any(sample.packed for sample in (*fingerprint.samples, *fingerprint.vectors)) else _UNPACKED
    start = _MAGIC + bytes([version]) + struct.pack("<I", len(packed))
    return start + packed + b"".join(s.raw for s in (*fingerprint.samples, *fingerprint.vectors))


def decode(stored: bytes) -> Fingerprint:
    """The fingerprint that :func:`encode` stored; version 1 had neither vectors nor blocks, version 2 no packings.

    Raises:
        BadWeights: the bytes are no fingerprint, or one of a later version.
    """
    try:
        if stored[:4] != _MAGIC or not 1 <= stored[4] <= _VERSION:
            raise ValueError("unknown magic or version")
        (length,) = struct.unpack_from("<I", stored, 5)
        head = json.loads(stored[9 : 9 + length])
        place = 9 + length
        samples = []
        listed, vectors = head["samples"], head.get("vectors", [])
        for shape, dtype, size, label, *packed in [*listed, *vectors]:
            samples.append(Sample(tuple(shape), dtype, stored[place : place + size], label, *packed))
            place += size
        if place != len(stored):
            raise ValueError("its length is wrong")
        blocks = tuple(
            Block(key, count, tuple(places), tuple(tuple(shape) for shape in unit))
            for key, count, places, unit in head.get("blocks", [])
        )
        if not all(0 <= place < len(listed) for block in blocks for place in block.samples):
            raise ValueError("a block holds what was not sampled")
        return Fingerprint(
            head["scheme"],
            head["architecture"],
            head["parameters"],
            tuple(samples[: len(listed)]),
            tuple(samples[len(listed) :]),
            blocks,
            tuple(tuple(shape) for shape in head.get("partial", [])),
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, struct.error) as error:
        raise BadWeights(f"A stored fingerprint can't be read: {error}.", "Run the crawl again with a newer version.") from error
