"""A family: the fingerprints of one architecture side by side, and the Gram matrices that most evidence is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hub_lineage.fingerprint import standardised, values
from hub_lineage.types import Fingerprint, Floats

Matrix = NDArray[np.float64]
_SURE = 0.3  # a correlation that no unrelated pair of tensors reaches by chance, even the best of dozens


@dataclass(frozen=True, eq=False)
class Family:
    """K models of one scheme and architecture key; row k of every array is model k."""

    raw: tuple[Floats, ...]  # one array a sampled tensor, shape [K, n]
    storage: tuple[str, ...]  # the dtype in which each model stores most of its values
    kernels: tuple[int, ...]  # values a convolution kernel holds in each tensor; 1 for matrices

    def __len__(self) -> int:
        return len(self.storage)

    def only(self, members: NDArray[np.intp]) -> Family:
        """The family of some of its models, in the order given."""
        storage = tuple(self.storage[int(k)] for k in members)
        part = Family(tuple(tensor[members] for tensor in self.raw), storage, self.kernels)
        part.__dict__["grams"] = self.grams[:, members[:, None], members[None, :]]  # a part of what is there, not made anew
        return part

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

    Raises:
        ValueError: the fingerprints can't be compared.
    """
    if len({(f.scheme, f.architecture) for f in fingerprints}) != 1:
        raise ValueError("fingerprints of several schemes or architectures can't be compared")
    rows = [[values(sample) for sample in fingerprint.samples] for fingerprint in fingerprints]
    shapes = [sample.shape for sample in fingerprints[0].samples]
    rows = [rows[0], *(_matched(rows[0], row, shapes) for row in rows[1:])]
    raw = tuple(np.stack(column) for column in zip(*rows, strict=True))
    kernels = tuple(int(np.prod(shape[2:], dtype=np.int64)) for shape in shapes)
    return Family(raw, tuple(f.dtype for f in fingerprints), kernels)


def ranks(figures: Matrix) -> Matrix:
    """Places along the last axis, 0 for the least; equal figures share a place, so that the order of models tells nothing."""
    rows = figures.reshape(-1, figures.shape[-1])
    places = np.stack([np.searchsorted(np.sort(row), row) for row in rows])
    return places.reshape(figures.shape).astype(np.float64)


def _gram(tensor: Floats) -> Matrix:
    exact: Matrix = tensor.astype(np.float64)
    product: Matrix = exact @ exact.T
    return product


def _matched(reference: Sequence[Floats], row: list[Floats], shapes: Sequence[tuple[int, ...]]) -> list[Floats]:
    """The row with the tensors of each shape in the order in which they resemble the reference's.

    Names decide the order in a fingerprint, and names lie: where the tensors of a shape clearly belong to one another
    in another order, that order is taken.
    """
    groups: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for place, shape in enumerate(shapes):
        groups.setdefault((shape, len(reference[place])), []).append(place)
    matched = list(row)
    for places in groups.values():
        if len(places) > 1:
            for place, found in zip(places, _assignment(reference, row, places), strict=True):
                matched[place] = row[found]
    return matched


def _assignment(reference: Sequence[Floats], row: Sequence[Floats], places: list[int]) -> list[int]:
    one = np.stack([standardised(reference[place]) for place in places])
    other = np.stack([standardised(row[place]) for place in places])
    likeness = one @ other.T / one.shape[1]
    if np.all(likeness.diagonal() >= likeness.max(axis=1) - 1e-6) or likeness.max() < _SURE:
        return places
    order = list(range(len(places)))
    best = _greedy(likeness)
    if likeness[order, best].sum() > likeness.diagonal().sum() + _SURE:
        order = best
    return [places[i] for i in order]


def _greedy(likeness: Floats) -> list[int]:
    """For each row a column of its own, the likest pairs first."""
    left = likeness.copy()
    chosen = [0] * len(left)
    for _ in range(len(left)):
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        chosen[int(row)] = int(column)
        left[row, :] = left[:, column] = -np.inf
    return chosen
