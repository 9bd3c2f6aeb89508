"""A child's weights laid upon a source's, whatever disguises them, and how far that is beyond what alignment alone does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hub_lineage.disguise import restoring
from hub_lineage.disguise.balance import Matrix, Weights, directions, is_matrix, matrices
from hub_lineage.disguise.telling import disguises
from hub_lineage.disguise.wiring import SAMPLED, Joint, joints
from hub_lineage.types import Floats, Null

LEAST_GAIN = 0.1
"""How far the correlation of all the child's values must lie above the null. Of 3,200 pairs of unrelated models of the
training and validation zoos, one of each in all disguises, the highest came to .085; of 634 children, 98 % came to more."""
_SPREAD, _PAIRS = 0.025, 3200  # of which the highest of so many pairs lies three and a half away


@dataclass(frozen=True, slots=True)
class Part:
    """One of the child's tensors and the source's tensor that it, or a part of it, was found to be."""

    child: str
    source: str
    correlation: float
    weights: int


@dataclass(frozen=True, eq=False)
class Alignment:
    """How a child lies upon a source once its disguises are off.

    ``correlation`` is that of all the child's values with the source's, freed of scale, and with those that weren't found
    counted as 0; ``null`` is what the next best units of the same layers reach, those that no training made alike. ``share`` is
    the share of the child's weights that was found; ``disguises`` are words of :data:`hub_lineage.disguise.WORDS`.
    """

    correlation: float
    null: Null
    p_value: float
    share: float
    disguises: tuple[str, ...]
    parts: tuple[Part, ...]
    joints: tuple[Joint, ...] = field(repr=False)

    @property
    def moved(self) -> bool:
        """Whether gains were moved or folded, so that the child's own can't be told from any other."""
        return not {"rescaled", "folded"}.isdisjoint(self.disguises)


def find(child: Weights, source: Weights) -> Alignment | None:
    """The child laid upon the source; None where nothing shows that the weights of one come from the other.

    Units are found by their weights alone: neither names nor the order, layout, scale or grouping of tensors count.

    Args:
        child: Names and values of all its tensors, in any layout.
        source: Likewise.
    """
    mine, theirs = matrices(child), matrices(source)
    made = joints(mine, theirs)
    if not made:
        return None
    share = sum(joint.size for joint in made) / sum(matrix.size for matrix in mine)
    correlation = share * _pooled([joint.correlation for joint in made], made)
    null = Null(share * _pooled([_next_best(mine, theirs, joint) for joint in made], made), _SPREAD, _PAIRS, "other units")
    if correlation - null.mean < LEAST_GAIN:
        return None
    p_value = 0.5 * math.erfc((correlation - null.mean) / null.sd / math.sqrt(2))
    told = disguises(mine, theirs, made, _vectors(child), _vectors(source))
    parts = tuple(Part(mine[one.child].name, theirs[one.source].name, one.correlation, one.size) for one in made)
    return Alignment(correlation, null, p_value, min(share, 1.0), told, parts, tuple(made))


def restored(child: Weights, source: Weights, laid: Alignment) -> dict[str, Floats]:
    """The source's tensors that were found whole, with the child's values, in the source's layout, order and names.

    Args:
        child: The child's weights.
        source: The source's.
        laid: What :func:`find` found for the two.
    """
    return dict(restoring.restored(matrices(child), matrices(source), laid.joints))


def _pooled(figures: Sequence[float], made: Sequence[Joint]) -> float:
    return float(np.average(figures, weights=[joint.size for joint in made]))


def _vectors(weights: Weights) -> list[Floats]:
    return [array for _, array in weights if not is_matrix(array.shape)]


def _next_best(mine: Sequence[Matrix], theirs: Sequence[Matrix], joint: Joint) -> float:
    """The mean correlation of some of a tensor's units with the likest unit of the source that they weren't found to be."""
    count = len(joint.units)
    chosen = np.arange(min(SAMPLED, count)) * count // min(SAMPLED, count)
    units = directions(mine[joint.child].sides[joint.axis][:, joint.wire])[joint.units[chosen]]
    others = directions(theirs[joint.source].sides[joint.source_axis])
    like = units @ others.T
    like[np.arange(len(chosen)), joint.places[chosen]] = -1.0
    return float(like.max(axis=1).mean())
