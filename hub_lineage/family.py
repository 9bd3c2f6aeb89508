"""A family: the fingerprints of one architecture side by side, and the Gram matrices that most evidence is made of."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from hub_lineage.fingerprint import standardised, values
from hub_lineage.read.dtypes import coarser, round_to
from hub_lineage.types import Fingerprint, Floats

Matrix = NDArray[np.float64]
Shape = tuple[int, ...]
Rows = Sequence[tuple[Shape, Floats]]
MOST_SITES = 16_384
"""Places at which the values of relatives are compared one by one."""
_SURE = 0.3  # a correlation that no unrelated pair of long tensors reaches by chance, even the best of dozens
_CHANCE = 5.5  # standard deviations that the best of a quarter of a million unrelated pairs stays below
_EQUAL = np.float32(1 - 1e-6)
_EXACT = 12  # decimals of a figure that arithmetic leaves alone
_NOBODY = -1
_LOUD = 0.3  # of a tensor's mean variance, added to each coordinate's: few models tell little of it


@dataclass(frozen=True, eq=False)
class Family:
    """K models of one scheme and architecture key; row k of every array is model k.

    ``raw`` holds the weights and ``vectors`` the gains and biases that all models have, one array a sampled tensor.
    """

    raw: tuple[Floats, ...]  # shapes [K, n]
    storage: tuple[str, ...]  # the dtype in which each model stores most of its values
    kernels: tuple[int, ...]  # values a convolution kernel holds in each tensor; 1 for matrices
    vectors: tuple[Floats, ...] = ()  # shapes [K, n]
    labels: tuple[str, ...] = ()  # what the first model calls the tensors of ``raw``
    shapes: tuple[Shape, ...] = ()  # of the tensors of ``raw`` in the network; a sample may hold fewer values

    def __len__(self) -> int:
        return len(self.storage)

    def only(self, members: NDArray[np.intp]) -> Family:
        """The family of some of its models, in the order given."""
        storage = tuple(self.storage[int(k)] for k in members)
        raw, vectors = (tuple(tensor[members] for tensor in kind) for kind in (self.raw, self.vectors))
        part = Family(raw, storage, self.kernels, vectors, self.labels, self.shapes)
        part.__dict__["grams"] = self.grams[:, members[:, None], members[None, :]]  # a part of what is there, not made anew
        return part

    @cached_property
    def coarsest(self) -> str:
        """Of the dtypes of all models the one with the fewest significand bits."""
        return reduce(coarser, self.storage)

    @cached_property
    def rounded(self) -> Floats:
        """All sampled weights in the coarsest dtype of the family, shape [K, N], so that two storages of one model are equal."""
        return round_to(self.coarsest, np.concatenate(self.raw, axis=1))

    @property
    def sites(self) -> Floats:
        """Rounded weights at :data:`MOST_SITES` places at the most, spread over all, shape [K, S]."""
        total = self.rounded.shape[1]
        return self.rounded[:, np.arange(min(MOST_SITES, total)) * total // min(MOST_SITES, total)]

    @cached_property
    def tensors(self) -> tuple[Floats, ...]:
        """The sampled values of every tensor with their mean taken off, shapes [K, n]."""
        return tuple(tensor - tensor.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32) for tensor in self.raw)

    @cached_property
    def grams(self) -> Matrix:
        """Inner products of every tensor, shape [T, K, K]."""
        return np.stack([_gram(tensor) for tensor in self.tensors])

    @cached_property
    def sizes(self) -> Matrix:
        """Sampled values of every tensor, shape [T]."""
        return np.array([tensor.shape[1] for tensor in self.raw], dtype=np.float64)

    @cached_property
    def spread(self) -> Family:
        """The family of deviations from its own mean, every coordinate divided by how far the models lie apart in it.

        Geometry of the weights sees mostly what all have in common, and of the rest a few loud coordinates; here each step
        counts by how unusual it is. A coordinate in which hardly anything moves counts by the tensor's mean spread.
        """
        return Family(tuple(_spread(tensor) for tensor in self.raw), self.storage, self.kernels)

    @cached_property
    def cosines(self) -> Matrix:
        """Centred correlations tensor by tensor, shape [T, K, K]; 0 where a tensor is constant."""
        norms = np.sqrt(np.diagonal(self.grams, axis1=1, axis2=2))
        scale = norms[:, :, None] * norms[:, None, :]
        cosines: Matrix = np.divide(self.grams, scale, out=np.zeros_like(self.grams), where=scale > 0)
        return cosines

    @cached_property
    def gram(self) -> Matrix:
        """The pooled Gram matrix, shape [K, K]: every tensor scaled to one root mean square over the family first.

        Its diagonal is about 1, so its entries are squared lengths a coordinate; the origin is the zero vector.
        """
        rms = np.trace(self.grams, axis1=1, axis2=2) / (len(self) * self.sizes)
        weights = np.divide(1.0, rms, out=np.zeros_like(rms), where=rms > 0)
        pooled: Matrix = np.einsum("t,tij->ij", weights, self.grams) / self.sizes.sum()
        return pooled

    @cached_property
    def cosine(self) -> Matrix:
        """The pooled cosine, shape [K, K], between -1 and 1."""
        norms = np.sqrt(np.maximum(np.diagonal(self.gram), 1e-300))
        return np.clip(self.gram / norms[:, None] / norms[None, :], -1.0, 1.0)

    @cached_property
    def distance(self) -> Matrix:
        """The pooled squared distance a coordinate, shape [K, K], never negative."""
        squares = np.diagonal(self.gram)
        return np.maximum(squares[:, None] + squares[None, :] - 2 * self.gram, 0.0)


def gather(fingerprints: Sequence[Fingerprint]) -> Family:
    """The family of fingerprints that share a scheme and an architecture key, tensors matched within each shape.

    Names decide the order in a fingerprint, and names lie: where the tensors of a shape clearly belong to one another in
    another order, that order is taken. Of shapes that were sampled in part, what then has no clear partner in one model
    is left out of the whole family; so is a vector that a model lacks.

    Raises:
        ValueError: the fingerprints can't be compared.
    """
    if len({(f.scheme, f.architecture) for f in fingerprints}) != 1:
        raise ValueError("fingerprints of several schemes or architectures can't be compared")
    first, partial = fingerprints[0], {shape for f in fingerprints for shape in f.partial}
    weights = len(first.samples)
    rows = [[(sample.shape, values(sample)) for sample in (*f.samples, *f.vectors)] for f in fingerprints]
    orders = [list(range(len(rows[0]))), *(_order(rows[0], row, partial) for row in rows[1:])]
    shared = [t for t in range(len(rows[0])) if all(order[t] != _NOBODY for order in orders)]
    kept = [t for t in shared if t < weights]
    if not kept:  # nothing is clear at all: what names and places say is as good as any
        orders = [_named(first, f) + order[weights:] for f, order in zip(fingerprints, orders, strict=True)]
        kept = [t for t in range(weights) if all(order[t] != _NOBODY for order in orders)]

    def stacked(places: Iterable[int]) -> tuple[Floats, ...]:
        return tuple(np.stack([row[order[t]][1] for row, order in zip(rows, orders, strict=True)]) for t in places)

    return Family(
        stacked(kept),
        tuple(f.dtype for f in fingerprints),
        tuple(math.prod(first.samples[t].shape[2:]) for t in kept),
        stacked(t for t in shared if t >= weights),
        tuple(first.samples[t].label for t in kept),
        tuple(first.samples[t].shape for t in kept),
    )


def likeness(one: Sequence[Floats], other: Sequence[Floats]) -> Floats:
    """Correlations of all pairs of tensors of one length by Fisher's transformation, shape [len(one), len(other)]."""
    first, second = (np.stack([standardised(sampled) for sampled in side]) for side in (one, other))
    transformed: Floats = np.arctanh(np.clip(first @ second.T / first.shape[1], -_EQUAL, _EQUAL))
    return transformed


def clear_pairs(likeness: Floats, length: int) -> list[tuple[int, int]]:
    """The pairs that are each other's likest by far, more than chance or a likeness of all tensors explains.

    ``length`` is the number of values in a tensor; of short ones more likeness is wanted.
    """
    sure = surely_alike(length)
    found = []
    for i, j in enumerate(likeness.argmax(axis=1).tolist()):
        if int(likeness[:, j].argmax()) == i:
            others = np.concatenate([np.delete(likeness[i], j), np.delete(likeness[:, j], i)])
            if likeness[i, j] >= max(sure, others.max(initial=0.0) + sure / 2):
                found.append((i, j))
    return found


def surely_alike(length: int) -> float:
    """The correlation by Fisher's transformation that two unrelated tensors of so many values don't reach, the best of many."""
    return max(_SURE, _CHANCE / math.sqrt(max(length - 3, 1)))


def ranks(figures: Matrix) -> Matrix:
    """Places along the last axis, 0 for the least; equal figures share a place, so that the order of models tells nothing."""
    rows = figures.reshape(-1, figures.shape[-1]).round(_EXACT)  # equal ones may differ by how a library adds up
    places = np.stack([np.searchsorted(np.sort(row), row) for row in rows])
    return places.reshape(figures.shape).astype(np.float64)


def _spread(tensor: Floats) -> Floats:
    away = tensor - tensor.mean(axis=0, dtype=np.float64)
    variance = np.square(away).mean(axis=0)
    scale = np.sqrt(variance + _LOUD * variance.mean())
    spread: Floats = np.divide(away, scale, out=np.zeros_like(away), where=scale > 0).astype(np.float32)
    return spread


def _gram(tensor: Floats) -> Matrix:
    exact: Matrix = tensor.astype(np.float64)
    product: Matrix = exact @ exact.T
    return product


def _order(reference: Rows, row: Rows, partial: Collection[Shape]) -> list[int]:
    """For each tensor of the reference the place of its partner in the row, or ``_NOBODY``."""
    found: dict[tuple[Shape, int], tuple[list[int], list[int]]] = {}
    for side, tensors in enumerate((reference, row)):
        for place, (shape, sampled) in enumerate(tensors):
            found.setdefault((shape, len(sampled)), ([], []))[side].append(place)
    groups = [
        _Group([reference[i][1] for i in mine], [row[i][1] for i in theirs], mine, theirs, shape in partial)
        for (shape, _), (mine, theirs) in found.items()
        if mine and theirs
    ]
    names_lie = any(group.is_reordered for group in groups)
    order = [_NOBODY] * len(reference)
    for group in groups:
        for one, other in group.pairs(names_lie):
            order[group.mine[one]] = group.theirs[other]
    return order


def _named(reference: Fingerprint, other: Fingerprint) -> list[int]:
    """For each sample of the reference the one in its place or, where other tensors were sampled, the one of its name, if any."""
    mine, theirs = ([(sample.shape, len(values(sample))) for sample in one.samples] for one in (reference, other))
    if mine == theirs:
        return list(range(len(mine)))
    named = {(sample.label, kind): place for place, (sample, kind) in enumerate(zip(other.samples, theirs, strict=True))}
    return [named.get((sample.label, kind), _NOBODY) for sample, kind in zip(reference.samples, mine, strict=True)]


@dataclass(frozen=True, eq=False)
class _Group:
    """The tensors of one shape in the reference and in another model, with their places there."""

    reference: Sequence[Floats]
    row: Sequence[Floats]
    mine: Sequence[int]
    theirs: Sequence[int]
    partial: bool  # others of this shape were not sampled

    @cached_property
    def likeness(self) -> Floats:
        """Of all pairs, shape [mine, theirs]."""
        return likeness(self.reference, self.row)

    @cached_property
    def clear(self) -> list[tuple[int, int]]:
        """The pairs that surely belong together."""
        return clear_pairs(self.likeness, len(self.reference[0]))

    @property
    def is_reordered(self) -> bool:
        """Whether two tensors or more clearly belong elsewhere than the order says; one alone can't change places."""
        return len(self.mine) == len(self.theirs) > 1 and sum(i != j for i, j in self.clear) > 1

    def pairs(self, names_lie: bool) -> list[tuple[int, int]]:
        """Who belongs to whom: by order, by likeness where that shows another, or clear pairs alone where neither may do."""
        if len(self.mine) != len(self.theirs) or (names_lie and self.partial):
            return self.clear
        return list(enumerate(_greedy(self.likeness) if self.is_reordered else range(len(self.mine))))


def _greedy(likeness: Floats) -> list[int]:
    """For each row a column of its own, the likest pairs first."""
    left = likeness.copy()
    chosen = [0] * len(left)
    for _ in range(len(left)):
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        chosen[int(row)] = int(column)
        left[row, :] = left[:, column] = -np.inf
    return chosen
