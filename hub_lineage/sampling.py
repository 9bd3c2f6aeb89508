"""Which values of a network are sampled, and in which bytes they lie: for fingerprints, from shapes alone.

The scheme ``hl2``: about :data:`RUNS` runs of at most :data:`RUN_LENGTH` neighbouring values each, spread over the body's
tensors and over depth. Where a run lies depends on the tensor's shape alone, so that file names, shards, storage dtypes
and tensor names don't matter, and that tensors of one shape can be compared across architectures. ``docs/method.md``
shows how size and sampling were chosen.

The scheme ``hl2-full``, of depth ``full``: all weights, or as many runs as come to :data:`FULL_VALUES` values. It is never
stored, and its runs begin with those of ``hl2``.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise

from hub_lineage import tensors as shapes
from hub_lineage.read import dtypes
from hub_lineage.read.spans import GAP, taken
from hub_lineage.types import ByteRange, Tensor

SCHEME = "hl2"
FULL_SCHEME = "hl2-full"
FULL_VALUES = 1 << 20
"""Weights of a network that depth ``full`` reads, at the most."""
RUNS = 64
"""Runs of values in a fingerprint; on the Hub each may cost a request."""
RUN_LENGTH = 1024
VECTORS = 8
"""Runs of a large network that go to its vectors; a small one, which is read in a few requests, has many more beside."""
SMALL_VECTORS = 48
SMALL = 1_000_000
"""Weights of a network that counts as small."""
MOST_WHOLE = 512
"""The commonest shape of a network is sampled whole up to so many tensors, where no other is."""
SHARE = 0.017
"""Of the bytes of a large model's tensors, what is sampled at the most where they are packed; the files' heads come to it."""
_LARGE = 100_000_000  # bytes from which that share counts
_LEAST, _MOST = 2_000_000, 128_000_000  # bytes that may be read of a small model, and of the largest
_FULL_LEAST, _FULL_MOST = 256_000_000, 512_000_000  # and at depth full
_DEAREST = 16_000_000  # bytes that one tensor may cost, where nothing is cheaper
_PIECES = 8  # requests that a run may take before each counts as the bytes that take as long
_PACKED = 8  # runs start at multiples of 8 values, so that packed dtypes start on whole bytes
_GOLDEN = (math.sqrt(5) - 1) / 2

Chosen = list[tuple[Tensor, int]]


def sampled_ranges(tensors: Sequence[Tensor]) -> list[ByteRange]:
    """The bytes that a fingerprint of these tensors is made of."""
    weights, beside = choose(shapes.body(tensors), shapes.vectors(tensors))
    chosen = [*affordable(tensors, weights), *beside]
    return [span for tensor, count in chosen for run in runs_of(tensor.shape, count) for span in ranges_of(tensor, *run)]


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
    """Bytes that so many runs of a packed tensor take, those between them included; what isn't packed counts nothing."""
    if tensor.packing is None:
        return 0
    size, pieces = taken(span for run in runs_of(tensor.shape, count) for span in ranges_of(tensor, *run))
    return size + max(0, pieces - _PIECES * count) * GAP


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


def ranges_of(tensor: Tensor, first: int, last: int) -> tuple[ByteRange, ...]:
    """The bytes that hold the values ``first <= i < last`` of a tensor."""
    if tensor.packing is not None:
        return tensor.packing.ranges(first, last)
    start, stop = dtypes.byte_span(tensor.dtype, first, last)
    return (ByteRange(tensor.path, tensor.start + start, tensor.start + stop),)
