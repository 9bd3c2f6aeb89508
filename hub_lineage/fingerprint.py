"""Weights to a fingerprint: which values are sampled, how they are stored, how short ones are made.

The scheme ``hl1``: at most :data:`RUNS` runs of at most :data:`RUN_LENGTH` neighbouring values each, spread over the
body's tensors and over depth. Where a run lies depends on the tensor's shape alone, so that file names, shards, storage
dtypes and tensor names don't matter. ``docs/method.md`` shows how size and sampling were chosen.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.read import dtypes
from hub_lineage.read.remembered import Remembered
from hub_lineage.read.safetensors import read_index
from hub_lineage.tensors import architecture_key, body
from hub_lineage.types import ByteRange, Fingerprint, Floats, Sample, Source, Tensor

SCHEME = "hl1"
RUNS = 64
"""Runs of values in a fingerprint; on the Hub each may cost a request."""
RUN_LENGTH = 1024
SHORT_LENGTH = 1024
_PACKED = 8  # runs start at multiples of 8 values, so that packed dtypes start on whole bytes
_LARGEST = np.float32(1e8)  # no weight comes near; sums of fourth powers stay below what float32 holds
_MAGIC = b"HLFP\x01"


def read_fingerprint(source: Source) -> Fingerprint:
    """The fingerprint of a model in an opened repository or folder: its headers, then the sampled ranges in one go.

    Raises:
        NoWeights: there are no weights that can be sampled.
        BadWeights: a file is broken.
    """
    source = Remembered(source)
    tensors = read_index(source)
    weights = body(tensors)
    if not weights:
        raise NoWeights(
            "The weights hold no matrix of floating-point numbers to compare.",
            "Quantised and packed formats are not read yet; look for the unquantised version.",
        )
    chosen = choose(weights)
    runs = [(tensor, run) for tensor, count in chosen for run in runs_of(tensor.shape, count)]
    parts = source.read([_byte_range(tensor, first, last) for tensor, (first, last) in runs])
    samples = []
    for tensor, group in groupby(zip(runs, parts, strict=True), key=lambda item: item[0][0]):
        raw = b"".join(part for _, part in group)
        samples.append(Sample(tensor.shape, tensor.dtype, raw, tensor.name))
    return Fingerprint(SCHEME, architecture_key(weights), sum(t.elements for t in tensors), tuple(samples))


def choose(weights: Sequence[Tensor]) -> list[tuple[Tensor, int]]:
    """The tensors to sample with the number of runs each gets, in canonical order.

    Where there are more tensors than runs, each shape gets its share and the share is spread evenly over depth; where
    there are fewer, every tensor gets one and the larger ones get the rest.
    """
    if len(weights) > RUNS:
        return [(tensor, 1) for tensor in _spread_over_depth(weights)]
    total = sum(tensor.elements for tensor in weights)
    spare = RUNS - len(weights)
    return [(tensor, 1 + spare * tensor.elements // total) for tensor in weights]


def _spread_over_depth(weights: Sequence[Tensor]) -> list[Tensor]:
    groups = [list(group) for _, group in groupby(weights, key=lambda tensor: tensor.shape)]
    if len(groups) > RUNS:  # an odd network: one tensor of each of the commonest shapes
        groups = sorted(groups, key=len, reverse=True)[:RUNS]
    chosen: list[Tensor] = []
    for group in groups:
        share = max(1, RUNS * len(group) // len(weights))
        chosen += [group[(2 * i + 1) * len(group) // (2 * share)] for i in range(share)]
    return [chosen[i * len(chosen) // RUNS] for i in range(RUNS)] if len(chosen) > RUNS else chosen


def runs_of(shape: tuple[int, ...], count: int) -> list[tuple[int, int]]:
    """Where ``count`` runs lie in a tensor of that shape: ``first <= i < last`` in storage order, apart and ascending.

    A tensor no longer than the runs together is taken whole. Otherwise it is cut into ``count`` equal parts and a run
    stands in each at a place drawn from a hash of the shape.
    """
    elements = int(np.prod(shape, dtype=np.int64))
    if elements <= count * RUN_LENGTH:
        return [(0, elements)]
    part = elements // count
    starts = []
    for i in range(count):
        drawn = hashlib.sha256(f"{SCHEME}:{shape}:{i}".encode()).digest()
        start = i * part + int.from_bytes(drawn[:8], "little") % (part - RUN_LENGTH + 1)
        starts.append(start - start % _PACKED)
    return [(start, start + RUN_LENGTH) for start in starts]


def _byte_range(tensor: Tensor, first: int, last: int) -> ByteRange:
    start, stop = dtypes.byte_span(tensor.dtype, first, last)
    return ByteRange(tensor.path, tensor.start + start, tensor.start + stop)


def values(sample: Sample) -> Floats:
    """The sampled values as float32, shape [n]; what isn't finite, or is larger than any weight, counts as zero."""
    found = dtypes.decode(sample.dtype, sample.raw)
    return np.where(np.abs(found) < _LARGEST, found, np.float32(0.0))


def short_vector(fingerprint: Fingerprint) -> NDArray[np.float16]:
    """A fingerprint of 1,024 numbers for search within an architecture, shape [1024], of unit norm.

    Every tensor is centred and scaled to one root mean square first, so that the inner product of two of them is an
    estimate of the pooled centred correlation.
    """
    scaled = np.concatenate([standardised(values(sample)) for sample in fingerprint.samples])
    places = np.arange(min(SHORT_LENGTH, len(scaled))) * len(scaled) // min(SHORT_LENGTH, len(scaled))
    vector = np.zeros(SHORT_LENGTH, dtype=np.float32)
    vector[: len(places)] = scaled[places]
    norm = float(np.linalg.norm(vector))
    return (vector / norm if norm > 0 else vector).astype(np.float16)


def standardised(sampled: Floats) -> Floats:
    """Values centred and scaled to a root mean square of 1, shape kept; all zero where they are constant."""
    centred = sampled - sampled.mean(dtype=np.float64).astype(np.float32)
    scale = float(np.sqrt(np.mean(np.square(centred, dtype=np.float64))))
    return centred / np.float32(scale) if scale > 1e-30 else np.zeros_like(centred)


def digest(fingerprint: Fingerprint) -> str:
    """A hash of a fingerprint's values that doesn't depend on the order or labels of its tensors: 32 hex digits."""
    parts = sorted(hashlib.sha256(f"{s.shape}{s.dtype}".encode() + s.raw).digest() for s in fingerprint.samples)
    head = f"{fingerprint.scheme}:{fingerprint.architecture}".encode()
    return hashlib.sha256(head + b"".join(parts)).hexdigest()[:32]


def encode(fingerprint: Fingerprint) -> bytes:
    """The stored form, version 1: magic, length of a JSON head, the head, then the samples' raw bytes."""
    head = {
        "scheme": fingerprint.scheme,
        "architecture": fingerprint.architecture,
        "parameters": fingerprint.parameters,
        "samples": [[list(s.shape), s.dtype, len(s.raw), s.label] for s in fingerprint.samples],
    }
    packed = json.dumps(head, separators=(",", ":")).encode()
    return _MAGIC + struct.pack("<I", len(packed)) + packed + b"".join(s.raw for s in fingerprint.samples)


def decode(stored: bytes) -> Fingerprint:
    """The fingerprint that :func:`encode` stored.

    Raises:
        BadWeights: the bytes are no fingerprint, or one of a later version.
    """
    try:
        if stored[:5] != _MAGIC:
            raise ValueError("unknown magic or version")
        (length,) = struct.unpack_from("<I", stored, 5)
        head = json.loads(stored[9 : 9 + length])
        place = 9 + length
        samples = []
        for shape, dtype, size, label in head["samples"]:
            samples.append(Sample(tuple(shape), dtype, stored[place : place + size], label))
            place += size
        if place != len(stored):
            raise ValueError("its length is wrong")
        return Fingerprint(head["scheme"], head["architecture"], head["parameters"], tuple(samples))
    except (ValueError, KeyError, TypeError, RecursionError, struct.error) as error:
        raise BadWeights(f"A stored fingerprint can't be read: {error}.", "Run the crawl again with a newer version.") from error
