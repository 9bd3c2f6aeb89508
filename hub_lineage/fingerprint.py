"""Weights to a fingerprint: which values are sampled, how they are stored, how short ones are made.

The scheme ``hl2``: about :data:`RUNS` runs of at most :data:`RUN_LENGTH` neighbouring values each, spread over the body's
tensors and over depth. Where a run lies depends on the tensor's shape alone, so that file names, shards, storage dtypes
and tensor names don't matter, and that tensors of one shape can be compared across architectures. ``docs/method.md``
shows how size and sampling were chosen.

The scheme ``hl2-full``, of depth ``full``: all weights, or as many runs as come to :data:`FULL_VALUES` values. It is never
stored, and its runs begin with those of ``hl2``.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from hub_lineage import tensors as shapes
from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.read.remembered import Remembered
from hub_lineage.types import Block, ByteRange, Fingerprint, Floats, Sample, Source, Tensor

SCHEME = "hl2"
FULL_SCHEME = "hl2-full"
FULL_VALUES = 1 << 20
"""Weights of a network that depth ``full`` reads, at the most."""
RUNS = 64
"""Runs of values in a fingerprint; on the Hub each may cost a request."""
RUN_LENGTH = 1024
SHORT_LENGTH = 1024
VECTORS = 8
"""Runs of a large network that go to its vectors; a small one, which is read in a few requests, has many more beside."""
SMALL_VECTORS = 48
SMALL = 1_000_000
"""Weights of a network that counts as small."""
MOST_WHOLE = 512
"""The commonest shape of a network is sampled whole up to so many tensors, where no other is."""
SHARE = 0.018
"""Of the bytes of a large model's tensors, what a fingerprint reads at the most where they are packed."""
_LARGE = 100_000_000  # bytes from which that share counts
_LEAST, _MOST = 2_000_000, 128_000_000  # bytes that may be read of a small model, and of the largest
_FULL_LEAST, _FULL_MOST = 256_000_000, 512_000_000  # and at depth full, where runs lie over one another
_DEAREST = 16_000_000  # bytes that one tensor may cost, where nothing is cheaper
_PACKED = 8  # runs start at multiples of 8 values, so that packed dtypes start on whole bytes
_GOLDEN = (math.sqrt(5) - 1) / 2
_LARGEST = np.float32(1e8)  # no weight comes near; sums of fourth powers stay below what float32 holds
_MAGIC = b"HLFP"
_VERSION = 3
_UNPACKED = 2  # the version that is written where nothing is packed

Chosen = list[tuple[Tensor, int]]


def read_fingerprint(source: Source, *, full: bool = False) -> Fingerprint:
    """The fingerprint of a model in an opened repository or folder: its headers, then the sampled ranges in one go.

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


def sampled_ranges(tensors: Sequence[Tensor]) -> list[ByteRange]:
    """The bytes that a fingerprint of these tensors is made of."""
    weights, beside = choose(shapes.body(tensors), shapes.vectors(tensors))
    chosen = [*affordable(tensors, weights), *beside]
    return [span for tensor, count in chosen for run in runs_of(tensor.shape, count) for span in _ranges(tensor, *run)]


def choose(body: Sequence[Tensor], vectors: Sequence[Tensor] = (), *, full: bool = False) -> tuple[Chosen, Chosen]:
    """The weights and the vectors to sample with the number of runs each gets, in canonical order.

    What is chosen depends on shapes alone, as far as that can be: all tensors of a shape or, where a network has too
    many, those that stand evenly spread in canonical order. Where there are fewer tensors than runs, every one gets a run
    and the larger ones get the rest. At depth ``full`` there are as many runs as :data:`FULL_VALUES` weights take, and the
    vectors of a small network whatever its size.
    """
    total = sum(tensor.elements for tensor in body)
    small = full or total <= SMALL
    beside = [(vector, 1) for vector in _spread(vectors, SMALL_VECTORS if small else VECTORS, 0)]
    if full:
        return _fully(body, total), beside
    runs = RUNS if small else RUNS - VECTORS
    if len(body) > runs:
        return [(tensor, 1) for tensor in _spread(body, runs, MOST_WHOLE)], beside
    spare = runs - len(body)
    return [(tensor, 1 + spare * tensor.elements // total) for tensor in body], beside


def _fully(body: Sequence[Tensor], total: int) -> Chosen:
    """All weights where they fit, else runs in every tensor; in some where even one run in each is too much."""
    if total <= FULL_VALUES:
        return [(tensor, -(-tensor.elements // RUN_LENGTH)) for tensor in body]
    spare = FULL_VALUES - sum(min(tensor.elements, RUN_LENGTH) for tensor in body)
    if spare < 0:
        return [(tensor, 1) for tensor in _spread(body, FULL_VALUES // RUN_LENGTH, MOST_WHOLE)]
    return [(tensor, 1 + spare * tensor.elements // total // RUN_LENGTH) for tensor in body]


def affordable(tensors: Sequence[Tensor], weights: Chosen, *, full: bool = False) -> Chosen:
    """What was chosen, without the shapes whose packed weights take too many bytes of a model's files, the dearest first.

    A run of a matrix that is packed across its rows takes bytes of many rows. Whole shapes are kept or left out, as only then
    their tensors stand beside those of another model whatever the names say; where none can be paid for, some tensors of the
    cheapest are kept, spread over depth. Where nothing is packed, all is kept.
    """
    if not any(tensor.packing for tensor, _ in weights):
        return weights
    stored = sum(tensor.stop - tensor.start for tensor in tensors)
    left = max(_FULL_LEAST, min(stored // 4, _FULL_MOST)) if full else _allowance(stored)
    there = Counter(tensor.shape for tensor in tensors)
    groups = [list(group) for _, group in groupby(weights, key=lambda item: item[0].shape)]
    costs = {group[0][0].shape: sum(_cost(*item) for item in group) for group in groups}
    kept = set[tuple[int, ...]]()
    for group in sorted(groups, key=lambda group: (len(group) < there[group[0][0].shape], costs[group[0][0].shape])):
        shape = group[0][0].shape
        if costs[shape] <= left:
            kept.add(shape)
            left -= costs[shape]
    if kept:
        return [(tensor, count) for tensor, count in weights if tensor.shape in kept]
    return _some(min(groups, key=lambda group: max(_cost(*item) for item in group)), left)


def _some(group: Chosen, left: int) -> Chosen:
    """As many of one shape as can be paid for, spread over depth; one even where it costs more, within bounds."""
    dearest = max(_cost(*item) for item in group)
    wanted = left // dearest or int(dearest <= _DEAREST)
    return [group[place] for place in _places(len(group), min(wanted, len(group)))]


def _allowance(stored: int) -> int:
    """Bytes that may be read of so many that are stored."""
    return min(int(stored * SHARE), _MOST) if stored >= _LARGE else _LEAST


def _cost(tensor: Tensor, count: int) -> int:
    """Bytes that so many runs take of a packed tensor; what isn't packed counts nothing."""
    if tensor.packing is None:
        return 0
    return sum(len(span) for run in runs_of(tensor.shape, count) for span in _ranges(tensor, *run))


def _spread(tensors: Sequence[Tensor], most: int, most_whole: int) -> list[Tensor]:
    """Whole groups of one shape as far as ``most`` goes, the largest tensors first; the rest evenly from other groups.

    Only whole groups can be told whatever the names say. Where none is so small, the smallest is taken all the same, up
    to ``most_whole`` tensors.
    """
    groups = [list(group) for _, group in groupby(tensors, key=lambda tensor: tensor.shape)]
    left, whole = most, set[tuple[int, ...]]()
    for group in sorted(groups, key=lambda group: (-group[0].elements, len(group), group[0].shape)):
        if len(group) <= left:
            whole.add(group[0].shape)
            left -= len(group)
    if not whole and groups:
        least = min(groups, key=lambda group: (len(group), group[0].shape))
        if len(least) <= most_whole:
            whole.add(least[0].shape)
            left = max(0, left - len(least))
    rest = [place for place, tensor in enumerate(tensors) if tensor.shape not in whole]
    evenly = {rest[place] for place in _places(len(rest), min(left, len(rest)))}
    return [tensor for place, tensor in enumerate(tensors) if tensor.shape in whole or place in evenly]


def _places(count: int, wanted: int) -> list[int]:
    """``wanted`` of so many places: one in each of equal parts, where in it by the golden ratio, so that no period is met."""
    ends = [part * count // wanted for part in range(wanted + 1)] if wanted else [0]
    return [start + int((i * _GOLDEN % 1) * (stop - start)) for i, (start, stop) in enumerate(pairwise(ends))]


def runs_of(shape: tuple[int, ...], count: int) -> list[tuple[int, int]]:
    """Where ``count`` runs lie in a tensor of that shape: ``first <= i < last``, none over another.

    A tensor no longer than the runs together is taken whole. Otherwise run i lies at a place that shape and i decide: a
    golden-ratio sequence over the slots of a run's length, which keeps any number of runs well spread.
    """
    elements = math.prod(shape)
    if elements <= count * RUN_LENGTH:
        return [(0, elements)]
    drawn = int.from_bytes(hashlib.sha256(f"{SCHEME}:{shape}".encode()).digest()[:8], "little")
    slots, over = divmod(elements, RUN_LENGTH)
    offset = drawn % (over + 1) // _PACKED * _PACKED
    step = round(slots * _GOLDEN)
    while math.gcd(step, slots) != 1:
        step += 1
    starts = [offset + (drawn + i * step) % slots * RUN_LENGTH for i in range(count)]
    return [(start, start + RUN_LENGTH) for start in starts]


def _sampled(source: Source, chosen: Chosen) -> tuple[Sample, ...]:
    runs = [(tensor, run) for tensor, count in chosen for run in runs_of(tensor.shape, count)]
    wanted = [_ranges(tensor, *run) for tensor, run in runs]
    read = iter(source.read([span for spans in wanted for span in spans]))
    parts = [list(islice(read, len(spans))) for spans in wanted]
    samples = []
    for tensor, group in groupby(zip(runs, parts, strict=True), key=lambda item: item[0][0]):
        raw = b"".join(_values(tensor, *run, part) for (_, run), part in group)
        samples.append(Sample(tensor.shape, tensor.dtype, raw, tensor.name, tensor.packing.word if tensor.packing else ""))
    return tuple(samples)


def _ranges(tensor: Tensor, first: int, last: int) -> tuple[ByteRange, ...]:
    """The bytes that hold the values ``first <= i < last`` of a tensor."""
    if tensor.packing is not None:
        return tensor.packing.ranges(first, last)
    start, stop = dtypes.byte_span(tensor.dtype, first, last)
    return (ByteRange(tensor.path, tensor.start + start, tensor.start + stop),)


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
