"""A network over all pairs of a family at once, evaluated by numpy alone: whose parent is whose, and what kin they are.

Every ordered pair holds a vector. In each block it is renewed from the pairs that complete a triangle with it (as in the pair
representation of AlphaFold, Jumper et al. 2021), from the pairs of the same child and of the same candidate by attention, and
by itself. What stands on the diagonal speaks for "none of these". The order of the models tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Matrix
from hub_lineage.types import Floats, Kinship

KINDS: tuple[Kinship, ...] = (
    "parent",
    "ancestor",
    "descendant",
    "sibling",
    "cousin",
    "shared_initialisation",
    "unrelated",
)
"""What the network tells apart, in the order of its outputs."""
HEADS = 4
WIDEST = 1.7
"""A cue is spread evenly over minus to plus this by the quantiles that it has in training."""
_EPSILON = np.float32(1e-5)

Weights = Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Network:
    """The fitted network: the cues that it reads, their quantiles in training, and its weights by name.

    ``knots`` holds one ascending array a cue; one of fewer than two knots is a cue that tells nothing.
    """

    names: tuple[str, ...]
    knots: tuple[Matrix, ...]
    weights: Weights

    @cached_property
    def blocks(self) -> int:
        """How many blocks follow one another."""
        return 1 + max(int(name.split(".")[1]) for name in self.weights if name.startswith("blocks."))

    def __call__(self, cues: Mapping[str, Matrix]) -> tuple[Matrix, Matrix]:
        """Log odds of each pair against "none of these", shape [K, K], and probabilities of kinds, shape [K, K, kinds]."""
        pairs = self._read(spread_out(cues, self.names, self.knots))
        for block in range(self.blocks):
            part = {name.split(".", 2)[2]: value for name, value in self.weights.items() if name.startswith(f"blocks.{block}.")}
            pairs = pairs + _triangles(pairs, part)
            pairs = pairs + _attention(pairs, part)
            pairs = pairs + _alone(pairs, part)
        pairs = _normal(pairs, self.weights, "last")
        none = np.diagonal(_linear(pairs, self.weights, "none")[:, :, 0])
        parent = _linear(pairs, self.weights, "parent")[:, :, 0] - none[:, None]
        np.fill_diagonal(parent, 0.0)
        return parent.astype(np.float64), _softmax(_linear(pairs, self.weights, "kinds")).astype(np.float64)

    def _read(self, cues: Floats) -> Floats:
        count = len(cues)
        eye = np.eye(count, dtype=np.float32)[:, :, None]
        size = np.full((count, count, 1), np.log(count) / 3)
        both = np.concatenate([cues * (1 - eye), cues.transpose(1, 0, 2) * (1 - eye), eye, size], axis=-1)
        return _linear(both.astype(np.float32), self.weights, "read")


def spread_out(cues: Mapping[str, Matrix], names: Sequence[str], knots: Sequence[Matrix]) -> Floats:
    """The named cues [K, K] of a family side by side and spread, shape [K, K, names]."""
    return spread(np.stack([cues[name] for name in names], axis=-1), knots)


def spread(cues: Matrix, knots: Sequence[Matrix]) -> Floats:
    """Cues [..., names] by their place among the quantiles of training, so that no outlier and no unit matters."""
    found = np.zeros(cues.shape, dtype=np.float32)
    for k, ascending in enumerate(knots):
        if len(ascending) > 1:
            found[..., k] = np.interp(cues[..., k], ascending, np.linspace(-WIDEST, WIDEST, len(ascending)))
    return found


def to_tensors(network: Network) -> dict[str, NDArray[Any]]:
    """The network as named arrays, weights in half precision, for a file of safetensors; :func:`from_tensors` reads them."""
    longest = max(map(len, network.knots), default=0)
    knots = np.full((len(network.knots), longest), np.nan)
    for row, ascending in zip(knots, network.knots, strict=True):
        row[: len(ascending)] = ascending
    return {"knots": knots, **{f"weights.{name}": value.astype(np.float16) for name, value in network.weights.items()}}


def from_tensors(names: Sequence[str], stored: Mapping[str, NDArray[Any]]) -> Network:
    """The network of :func:`to_tensors`, which reads the cues of these names."""
    knots = tuple(row[~np.isnan(row)] for row in stored["knots"])
    halves = {name.removeprefix("weights."): value for name, value in stored.items() if name.startswith("weights.")}
    weights = {name: value.astype(np.float32) for name, value in halves.items()}
    return Network(tuple(names), knots, weights)


def _linear(values: Floats, weights: Weights, name: str) -> Floats:
    product: Floats = values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return product


def _normal(values: Floats, weights: Weights, name: str) -> Floats:
    """Layer normalisation over the last axis."""
    away = values - values.mean(axis=-1, keepdims=True)
    scaled: Floats = away / np.sqrt(np.square(away).mean(axis=-1, keepdims=True) + _EPSILON)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _triangles(pairs: Floats, weights: Weights) -> Floats:
    """What the pairs say that complete a triangle: for (i, j) the means over k of gated products, of all four directions."""
    first, second, gate, other = np.split(_linear(_normal(pairs, weights, "before_triangles"), weights, "sides"), 4, axis=-1)
    half = pairs.shape[-1] // 2
    one = (first * _sigmoid(gate)).transpose(2, 0, 1)  # [channel, i, k]
    two = (second * _sigmoid(other)).transpose(2, 0, 1)
    a, b, c, d = one[:half], one[half:], two[:half], two[half:]
    products = (a @ c.swapaxes(1, 2), b.swapaxes(1, 2) @ d, a @ d, b.swapaxes(1, 2) @ c.swapaxes(1, 2))
    closed = np.concatenate(products).astype(np.float32) / np.float32(len(pairs))
    return _linear(closed.transpose(1, 2, 0), weights, "triangles")


def _attention(pairs: Floats, weights: Weights) -> Floats:
    """What the pairs of the same child, and those of the same candidate, say by attention."""
    q, k, v, q2, k2, v2 = np.split(_linear(_normal(pairs, weights, "before_attention"), weights, "queries"), 6, axis=-1)
    rows = _attended(q, k, v)
    columns = _attended(*(part.transpose(1, 0, 2) for part in (q2, k2, v2))).transpose(1, 0, 2)
    return _linear(np.concatenate((rows, columns), axis=-1), weights, "attention")


def _attended(queries: Floats, keys: Floats, values: Floats) -> Floats:
    """Attention along the second axis of [K, K, width], in heads."""
    count, _, width = queries.shape

    def heads(part: Floats) -> Floats:
        return part.reshape(count, count, HEADS, width // HEADS).transpose(0, 2, 1, 3)

    scores = (heads(queries) @ heads(keys).swapaxes(2, 3)).astype(np.float32) / np.float32(math.sqrt(width // HEADS))
    found = (_softmax(scores) @ heads(values)).transpose(0, 2, 1, 3).reshape(count, count, width)
    return found.astype(np.float32)


def _alone(pairs: Floats, weights: Weights) -> Floats:
    """What a pair makes of what it holds."""
    return _linear(_relu(_linear(_normal(pairs, weights, "before_alone"), weights, "wide")), weights, "alone")


def _relu(values: Floats) -> Floats:
    positive: Floats = np.maximum(values, np.float32(0))
    return positive


def _sigmoid(values: Floats) -> Floats:
    gate: Floats = np.reciprocal(np.float32(1) + np.exp(-np.clip(values, -60, 60)))
    return gate


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    share: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return share
