"""What all ways of deriving share: the values that a child and another model hold at the same places, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import gather
from hub_lineage.fingerprint import values
from hub_lineage.read import dtypes
from hub_lineage.sampling import RUN_LENGTH, runs_of
from hub_lineage.tensors import is_change
from hub_lineage.types import Fingerprint, Floats, Sample

Places = NDArray[np.int64]
_LOSSLESS = frozenset({"", "transposed", "strided", "varint", "rotary"})
FEWEST = 16
"""Values that two samples of a tensor must have in common to be compared."""


@dataclass(frozen=True, eq=False)
class Match:
    """One tensor of a child beside that of a model: ``child`` and ``model`` hold its values at ``places``, shapes [n].

    Places count values row by row; ``packed`` is the word of the child's packing, the dtypes are those of storage.
    """

    label: str
    shape: tuple[int, ...]
    places: Places
    child: Floats
    model: Floats
    packed: str
    child_dtype: str
    model_dtype: str

    @property
    def coarsest(self) -> str:
        """Of the two dtypes the one with fewer significand bits."""
        return dtypes.coarser(self.child_dtype, self.model_dtype)

    @cached_property
    def same(self) -> NDArray[np.bool_]:
        """Where both are equal once they are stored alike, shape [n]."""
        coarsest = self.coarsest
        equal: NDArray[np.bool_] = dtypes.round_to(coarsest, self.child) == dtypes.round_to(coarsest, self.model)
        return equal

    @property
    def columns(self) -> int:
        """Values in a row of the tensor, seen as a matrix."""
        return math.prod(self.shape[1:])


def is_rounded(word: str) -> bool:
    """Whether the packing of that word rounds weights, rather than laying them out in another way or adding to them."""
    return word not in _LOSSLESS and not is_change(word)


def holds_weights(model: Fingerprint) -> bool:
    """Whether a fingerprint holds weights as they were trained: neither rounded ones nor an adapter's changes."""
    return not any(is_rounded(sample.packed) or is_change(sample.packed) for sample in model.samples)


def places_of(sample: Sample, count: int) -> Places:
    """Where a sample's ``count`` values lie in its tensor, row by row, shape [count], in the order of the values."""
    runs = runs_of(sample.shape, max(1, count // RUN_LENGTH)) if count < math.prod(sample.shape) else [(0, count)]
    return np.concatenate([np.arange(first, last) for first, last in runs])


def whole_rows(places: Places, columns: int) -> Places:
    """Of a matrix that is sampled at ``places``, the rows that are known whole, shape [rows, columns].

    Each holds the indices, into the sample, of one row's values in their order.
    """
    order = np.argsort(places)
    _, first, count = np.unique(places[order] // columns, return_index=True, return_counts=True)
    rows: Places = order[first[count == columns][:, None] + np.arange(columns)].astype(np.int64)
    return rows


def matched(child: Fingerprint, model: Fingerprint) -> list[Match]:
    """The tensors that both have, in the child's order; none where they share no shape.

    Neither all tensors nor all runs need be there: what one lacks is left out. Tensors of one shape belong together as
    :func:`hub_lineage.family.gather` tells.
    """
    mine, theirs, places = _cut(child, model)
    if not mine.samples:
        return []
    packed = {sample.label: sample for sample in child.samples}
    family = gather([mine, theirs])
    found = []
    for label, shape, (own, other) in zip(family.labels, family.shapes, family.raw, strict=True):
        where = places[shape]
        sample = packed[label]
        found.append(Match(label, shape, where, own, other, sample.packed, sample.dtype, model.dtype))
    return found


def correlation(matches: Sequence[Match]) -> float:
    """The pooled cosine of all values that are compared, each tensor centred and scaled by its norms first."""
    total, weight = 0.0, 0
    for match in matches:
        own, other = (side - side.mean(dtype=np.float64) for side in (match.child, match.model))
        norm = float(np.linalg.norm(own) * np.linalg.norm(other))
        total += len(own) * (float(own @ other) / norm if norm > 0 else 0.0)
        weight += len(own)
    return total / weight if weight else 0.0


def turned(match: Match, step: int) -> Match:
    """The same with the model's values turned round by so many kernels or rows, which makes a stranger of it."""
    kernel = math.prod(match.shape[2:]) if len(match.model) > math.prod(match.shape[2:]) else 1
    return replace(match, model=np.roll(match.model, step * kernel))


def _cut(one: Fingerprint, other: Fingerprint) -> tuple[Fingerprint, Fingerprint, dict[tuple[int, ...], Places]]:
    """Both fingerprints with only the shapes and places that they share."""
    sides = [_by_shape(fingerprint) for fingerprint in (one, other)]
    places: dict[tuple[int, ...], Places] = {}
    kept: list[list[Sample]] = [[], []]
    partial = {*one.partial, *other.partial}
    for shape in sides[0]:
        if shape not in sides[1]:
            continue
        lists = [[places_of(sample, len(found)) for sample, found in side[shape]] for side in sides]
        shortest = min((where for side in lists for where in side), key=len)
        common = shortest
        for where in {len(where): where for side in lists for where in side}.values():
            common = common if len(where) == len(shortest) else np.intersect1d(common, where)
        if len(common) < FEWEST:
            continue
        places[shape] = common
        if len(lists[0]) != len(lists[1]):
            partial.add(shape)
        for side, wheres, chosen in zip(sides, lists, kept, strict=True):
            for (sample, found), where in zip(side[shape], wheres, strict=True):
                held = found if len(where) == len(common) else found[_indices(where, common)]
                chosen.append(Sample(shape, "F32", dtypes.encode("F32", held), sample.label, sample.packed))
    mine, theirs = (Fingerprint("", "", 0, tuple(chosen), partial=tuple(sorted(partial))) for chosen in kept)
    return mine, theirs, places


def _by_shape(fingerprint: Fingerprint) -> dict[tuple[int, ...], list[tuple[Sample, Floats]]]:
    found: dict[tuple[int, ...], list[tuple[Sample, Floats]]] = {}
    for sample in fingerprint.samples:
        found.setdefault(sample.shape, []).append((sample, values(sample)))
    return found


def _indices(where: Places, wanted: Places) -> Places:
    """The indices in ``where`` of places that are all in it."""
    order = np.argsort(where)
    return order[np.searchsorted(where, wanted, sorter=order)].astype(np.int64)
