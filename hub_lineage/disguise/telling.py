"""Which disguises a child wears, told from how its matrices lie upon those of its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hub_lineage.disguise.balance import Matrix, Places, part
from hub_lineage.disguise.noise import added, is_noise
from hub_lineage.disguise.wiring import Joint
from hub_lineage.types import Floats

_OUT_OF_PLACE = 0.5  # share of units elsewhere than in the source, for an order to be called another
_UNEVEN = 0.3  # spread of the gains' logarithms between child and source, for a scale to be called another
_TRAINED = 0.6  # of that spread which goes with a correlation below 1: training on moves gains too
_GOOD_PART = 0.15  # of the tensors
_KEPT = 0.8  # of the source's varied vectors, by size, that a child has whose norms aren't folded
_CONSTANT = 1e-4
_SURE = 0.5  # correlation of a tensor that is believed to be what it was found to be
_HEADS = (8, 12, 16, 24, 32, 64, 80, 96, 128)  # customary widths of a head
_WHOLE = 0.9  # of a head's units that stand in one place


class Told(NamedTuple):
    """What all ways of telling look at."""

    child: Sequence[Matrix]
    source: Sequence[Matrix]
    joints: Sequence[Joint]
    vectors: Sequence[Floats]
    source_vectors: Sequence[Floats]


def disguises(
    child: Sequence[Matrix],
    source: Sequence[Matrix],
    joints: Sequence[Joint],
    vectors: Sequence[Floats],
    of_source: Sequence[Floats],
) -> tuple[str, ...]:
    """The words of all disguises that are found, in the order of :data:`WORDS`."""
    told = Told(child, source, joints, vectors, of_source)
    return tuple(word for word, _, is_there in WORDS if is_there(told))


def sentence(words: Sequence[str]) -> str:
    """What was done, in words for people."""
    said = [clause for word, clause, _ in WORDS if word in words]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}" if said else ""


def _order(joint: Joint) -> Places:
    """The child's units by their place in the source, both counted without gaps."""
    return np.argsort(np.argsort(joint.units[np.argsort(joint.places)]))


def _permuted(told: Told) -> bool:
    orders = [order for joint in told.joints if joint.correlation > _SURE for order in (_order(joint), joint.wire)]
    return any(len(order) > 2 and _moved(order) > _OUT_OF_PLACE for order in orders)


def _moved(order: Places) -> float:
    """The share of units that stand elsewhere."""
    return float(np.mean(order != np.arange(len(order))))


def _heads(told: Told) -> bool:
    """Whether whole blocks of units moved, each to the place of another."""
    return any(_in_blocks(_order(joint)) or _in_blocks(joint.wire) for joint in told.joints if joint.correlation > _SURE)


def _in_blocks(order: Places) -> bool:
    count = len(order)
    for size in _HEADS:
        if count % size or count < 2 * size:
            continue
        blocks = order.reshape(-1, size) // size
        if (blocks == np.median(blocks, axis=1)[:, None]).mean() > _WHOLE and _moved(blocks[:, 0]) > _OUT_OF_PLACE:
            return True
    return False


def _transposed(told: Told) -> bool:
    return any(
        _axes(told.child[joint.child], joint.axis) != _axes(told.source[joint.source], joint.source_axis) for joint in told.joints
    )


def _axes(matrix: Matrix, axis: int) -> tuple[int, bool]:
    """Which axis the units stand along, and whether the kernel stands before the channels."""
    kernel_last = len(matrix.shape) == 2 or tuple(matrix.shape[:2]) == matrix.values.shape[:2]
    return axis, kernel_last


def _fused(told: Told) -> bool:
    return any(
        len({joint.source for joint in told.joints if joint.child == number}) > 1 for number in {j.child for j in told.joints}
    )


def _split(told: Told) -> bool:
    """Whether several of the child's matrices are different parts of one of the source's."""
    for number in {joint.source for joint in told.joints}:
        parts = [joint for joint in told.joints if joint.source == number]
        whole = told.source[number].values.shape[parts[0].source_axis]
        if len(parts) > 1 and all(len(joint.places) < whole for joint in parts):
            return True
    return False


def _untied(told: Told) -> bool:
    """Whether several of the child's matrices are all of one of the source's."""
    for number in {joint.source for joint in told.joints}:
        parts = [joint for joint in told.joints if joint.source == number and joint.correlation > _SURE]
        whole = [joint for joint in parts if len(joint.places) == told.source[number].values.shape[joint.source_axis]]
        if len({joint.child for joint in whole}) > 1:
            return True
    return False


def _folded(told: Told) -> bool:
    """Whether gains and biases that differ from unit to unit in the source are gone from the child, or all alike in it."""
    mine, theirs = (sum(_varied(vector) for vector in vectors) for vectors in (told.vectors, told.source_vectors))
    return mine < _KEPT * theirs


def _varied(vector: Floats) -> int:
    """Values of a vector that aren't all the same; none of one that is."""
    return vector.size if vector.size > 2 and float(np.ptp(vector)) > _CONSTANT else 0


def _rescaled(told: Told) -> bool:
    """Whether gains in a good part of the tensors differ from the source's by more than training on changes them."""
    uneven = [_spread(told, one) > _UNEVEN + _TRAINED * (1 - one.correlation) for one in told.joints if one.correlation > _SURE]
    return bool(uneven) and not _folded(told) and float(np.mean(uneven)) > _GOOD_PART


def _spread(told: Told, joint: Joint) -> float:
    mine = part(told.child[joint.child], joint.axis, joint.units).gains
    theirs = part(told.source[joint.source], joint.source_axis, joint.places).gains
    units = mine[joint.axis] - theirs[joint.source_axis]
    wire = mine[1 - joint.axis][joint.wire] - theirs[1 - joint.source_axis]
    return max(_deviation(units), _deviation(wire))


def _deviation(gains: Floats) -> float:
    """A spread that a few odd units don't make: the half of what lies between the sixth and the fifth sixth."""
    low, high = np.quantile(gains, (0.16, 0.84))
    return float(high - low) / 2


def _renamed(told: Told) -> bool:
    """Whether no tensor's name ends as that of the source's tensor does."""
    alike = [told.child[one.child].name.split(".")[-2:] == told.source[one.source].name.split(".")[-2:] for one in told.joints]
    return not any(alike)


def _noisy(told: Told) -> bool:
    return is_noise(added(told.child, told.source, told.joints))


WORDS: tuple[tuple[str, str, Callable[[Told], bool]], ...] = (
    ("permuted", "its units stand in another order", _permuted),
    ("heads", "whole heads stand in another order", _heads),
    ("rescaled", "gains moved from one layer to the next", _rescaled),
    ("folded", "gains of its norms are folded into the weights", _folded),
    ("fused", "tensors are fused", _fused),
    ("split", "fused tensors are split", _split),
    ("transposed", "matrices are stored the other way round", _transposed),
    ("untied", "tied weights are stored twice", _untied),
    ("noisy", "noise was added", _noisy),
    ("renamed", "all tensors have other names", _renamed),
)
"""Each disguise: its word, a clause, and how it is told."""
