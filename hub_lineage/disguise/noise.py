"""Noise that was added to weights, told from what training adds: Gaussian, small, and of one share of every tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from hub_lineage.disguise.balance import Matrix, part
from hub_lineage.disguise.wiring import Joint
from hub_lineage.types import Floats

_SHORTEST = 400  # values, of fewer the shape of a distribution tells little
_GAUSSIAN = 3.0  # the fourth moment over the square of the second
_AWAY, _ERRORS = 0.1, 4  # how far it may be off, and standard errors beside
_MOST_TENSORS = 0.8  # of the values, in tensors that look so
_UNEVEN = 0.08  # standard deviation of the logarithms of how large noise is, tensor by tensor
_LEAST, _LARGEST = 1e-4, 0.1  # of a tensor: what is smaller is rounding, what is larger no mere disguise


def is_noise(differences: Iterable[tuple[Floats, float]]) -> bool:
    """Whether what was added to tensors is noise.

    Args:
        differences: For each tensor what was added to it, of any shape, and the standard deviation of its values.
    """
    told = [_told(added, scale) for added, scale in differences if added.size >= _SHORTEST and scale > 0]
    if not told:
        return False
    gaussian, sizes, counts = (np.array(column, dtype=np.float64) for column in zip(*told, strict=True))
    if np.average(gaussian, weights=counts) < _MOST_TENSORS or sizes.min() < _LEAST or np.median(sizes) > _LARGEST:
        return False
    logarithms = np.log(sizes)
    spread = np.average(np.square(logarithms - np.average(logarithms, weights=counts)), weights=counts)
    return bool(math.sqrt(spread) < _UNEVEN)


def _told(added: Floats, scale: float) -> tuple[bool, float, int]:
    """Whether a tensor's difference is Gaussian, how large it is beside the tensor, and its number of values."""
    squares = np.square(added, dtype=np.float64)
    power = float(squares.mean())
    kurtosis = float(np.square(squares).mean()) / power**2 if power > 0 else 0.0
    near = abs(kurtosis - _GAUSSIAN) <= _AWAY + _ERRORS * math.sqrt(24 / added.size)
    return near, math.sqrt(power) / scale, added.size


def added(child: Sequence[Matrix], source: Sequence[Matrix], joints: Sequence[Joint]) -> list[tuple[Floats, float]]:
    """What a child's tensors hold beyond those of the source that they lie upon, at the child's scale, for :func:`is_noise`."""
    return [_added(child[joint.child], source[joint.source], joint) for joint in joints]


def _added(whole: Matrix, of_source: Matrix, joint: Joint) -> tuple[Floats, float]:
    mine, theirs = part(whole, joint.axis, joint.units), part(of_source, joint.source_axis, joint.places)
    units, wire = (np.exp(mine.gains[axis]) for axis in (joint.axis, 1 - joint.axis))
    left = mine.sides[joint.axis][:, joint.wire] - theirs.sides[joint.source_axis]
    scale = float(np.std(whole.raw))
    return left * units[:, None, None] * wire[joint.wire][None, :, None], scale
