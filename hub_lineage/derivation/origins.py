"""Which model each piece of a child came from: the fewest models that explain it, each piece by the one that leaves least.

A piece is a tensor or a depth block; a source is a model or one of its blocks. What a source leaves of a piece is the squared
norm of their difference over that of the piece, centred: 0 for a copy, about 2 for a stranger of its size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.matched import FEWEST, places_of
from hub_lineage.derivation.nouns import Layer
from hub_lineage.family import surely_alike
from hub_lineage.fingerprint import values
from hub_lineage.read import dtypes
from hub_lineage.types import Floats, Null, Sample

Matrix = NDArray[np.float64]

COPY = 1e-9
"""What a copy leaves at the most, both sides rounded to the coarser of their dtypes."""
TURNS = 24
"""Times that a piece's values are turned round for the null."""
_FLOOR = 1e-7  # below this nothing is told apart: further zeros of what is left are no further evidence
_GAIN = 0.1  # logarithm by which a further model must leave less, on the pieces that it would explain
_CLEAR = 0.3  # and on one piece alone, which chance may make a little better


@dataclass(frozen=True, slots=True)
class Pair:
    """One tensor of a child beside one of a model: what it leaves of it, and whether they are kin beyond chance."""

    left: float
    kin: bool
    size: int  # values compared

    @property
    def copied(self) -> bool:
        """Whether one is a copy of the other, to within how they are stored."""
        return self.left <= COPY


@dataclass(frozen=True, eq=False)
class Held:
    """A sample with its values, read once for many comparisons."""

    sample: Sample
    values: Floats
    _rounded: dict[str, _Centred] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, sample: Sample) -> Held:
        """The sample with its values."""
        return cls(sample, values(sample))

    def rounded(self, dtype: str) -> _Centred:
        """Its values rounded as that dtype would store them, and centred."""
        if dtype not in self._rounded:
            self._rounded[dtype] = _Centred.of(dtypes.round_to(dtype, self.values))
        return self._rounded[dtype]


@dataclass(frozen=True, eq=False)
class _Centred:
    """Values less their mean, shape [n], with their squared norm."""

    values: Matrix
    square: float

    @classmethod
    def of(cls, sampled: Floats) -> _Centred:
        centred: Matrix = sampled - sampled.mean(dtype=np.float64)
        return cls(centred, float(centred @ centred))

    def turned(self, step: int) -> _Centred:
        """The same turned round by so many values."""
        return _Centred(np.roll(self.values, step), self.square)


def compared(child: Held, other: Held) -> Pair | None:
    """Two tensors of one shape at the places that both samples hold; None where those are too few or the child's constant."""
    both = _common(child, other)
    if both is None:
        return None
    coarsest = dtypes.coarser(child.sample.dtype, other.sample.dtype)
    if len(child.values) == len(other.values):
        return _pair(child.rounded(coarsest), other.rounded(coarsest))
    mine, theirs = (_Centred.of(dtypes.round_to(coarsest, side)) for side in both)
    return _pair(mine, theirs)


def chance(pairs: Sequence[tuple[Held, Held]]) -> Null:
    """What the same pairs of tensors leave where the child's values are turned round: the least of all turns, by pair."""
    generator = np.random.default_rng(0)
    left: list[float] = []
    for child, other in pairs:
        both = _common(child, other)
        if both is None:
            continue
        mine, theirs = (_Centred.of(side) for side in both)
        kernel = math.prod(child.sample.shape[2:])
        steps = generator.integers(1, max(2, len(mine.values) // kernel), TURNS)
        turned = [_pair(mine.turned(kernel * int(step)), theirs) for step in steps]
        left.append(min((pair.left for pair in turned if pair), default=2.0))
    sd = float(np.std(left, ddof=1)) if len(left) > 1 else 1.0
    return Null(float(np.mean(left or [2.0])), max(sd, 1e-6), len(left) * TURNS, "turned channels of the child")


def cost(left: float) -> float:
    """The logarithm of what is left, bounded below where rounding decides: what is summed over pieces."""
    return math.log(max(left, _FLOOR))


def fewest(costs: Matrix, weights: Matrix) -> list[int]:
    """The models that explain a child: from the best alone, each further one that explains some pieces clearly better.

    Args:
        costs: For each piece and model the logarithm of what the model leaves of it, shape [pieces, models]; ``inf`` where
            there is nothing to compare.
        weights: How much each piece counts, shape [pieces].

    Returns:
        The chosen models' places, the most telling first; ties go to the first in order.
    """
    worst = np.where(np.isfinite(costs), costs, math.log(2.0))
    if not worst.size:
        return []
    chosen = [int(np.argmin(np.round(weights @ worst, 9)))]
    best = worst[:, chosen[0]]
    while True:
        better = np.maximum(best[:, None] - worst, 0.0)
        better[:, chosen] = 0.0
        clear = better > _GAIN
        counts = clear.sum(axis=0)
        gains = np.round(weights @ np.where(clear, better, 0.0), 9)
        alone = (counts == 1) & (better.max(axis=0) < _CLEAR)
        gains[alone] = 0.0
        following = int(np.argmax(gains))
        if gains[following] <= 0.0:
            return chosen
        chosen.append(following)
        best = np.minimum(best, worst[:, following])


def layer(sample: Sample, origin: str | None, pair: Pair | None) -> Layer:
    """One row of the table: where a tensor came from, or that it came from none of the models."""
    if origin is None or pair is None:
        return Layer(sample.label, sample.shape, (), 1.0)
    return Layer(sample.label, sample.shape, ((origin, 1.0),), 0.0 if pair.copied else min(pair.left, 1.0))


def odds(best: float, second: float) -> float:
    """How sure it is that the piece came from the source that leaves ``best`` and not from that which leaves ``second``.

    Rough: an even chance where both leave as much, .995 where the other leaves a hundred times as much.
    """
    return 1.0 - 0.5 * math.exp(cost(best) - max(cost(second), cost(best)))


def _pair(mine: _Centred, theirs: _Centred) -> Pair | None:
    if mine.square <= 0.0:
        return None
    difference = mine.values - theirs.values
    scale = math.sqrt(mine.square * theirs.square)
    likeness = float(mine.values @ theirs.values) / scale if scale > 0.0 else 0.0
    size = len(mine.values)
    return Pair(float(difference @ difference) / mine.square, likeness >= _certain(size), size)


@cache
def _certain(size: int) -> float:
    """The likeness that tensors of so many values don't reach by chance."""
    return math.tanh(surely_alike(size))


def _common(one: Held, other: Held) -> tuple[Floats, Floats] | None:
    """The values that two samples of one shape hold at the same places."""
    if one.sample.shape != other.sample.shape:
        return None
    if len(one.values) == len(other.values):
        return (one.values, other.values) if len(one.values) >= FEWEST else None
    places = [places_of(held.sample, len(held.values)) for held in (one, other)]
    shared, mine, theirs = np.intersect1d(places[0], places[1], assume_unique=True, return_indices=True)
    return (one.values[mine], other.values[theirs]) if len(shared) >= FEWEST else None
