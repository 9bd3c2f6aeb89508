"""A child's weights as they were before they were disguised: in its source's names, layouts and order, and freed of gains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub_lineage.disguise.balance import Matrix, balanced, shaped, unshaped
from hub_lineage.disguise.wiring import Joint
from hub_lineage.types import Floats

_ROUNDING = 1e-5  # of a tensor's root mean square
_CLOSELY = 40  # sweeps after which nothing of moved gains is left


def restored(child: Sequence[Matrix], source: Sequence[Matrix], joints: Sequence[Joint]) -> list[tuple[str, Floats]]:
    """The tensors of the source that were found whole, with the child's values, in the source's layout and order.

    Args:
        child: The child's matrices.
        source: The source's.
        joints: Which of them lie upon which.
    """
    found = []
    for number, matrix in enumerate(source):
        laid = sorted((joint for joint in joints if joint.source == number), key=lambda joint: joint.correlation)
        if laid and _is_whole(matrix, laid):
            found.append((matrix.name, unshaped(_canvas(child, matrix, laid), matrix.shape)))
    return found


def _is_whole(matrix: Matrix, laid: Sequence[Joint]) -> bool:
    """Whether every value of the source's tensor has one of the child's."""
    sides = [laid[0].source_axis, 1 - laid[0].source_axis]
    covered = [{int(p) for joint in laid if joint.source_axis == side for p in joint.places} for side in sides]
    return any(len(places) == matrix.values.shape[side] for places, side in zip(covered, sides, strict=True))


def _canvas(child: Sequence[Matrix], matrix: Matrix, laid: Sequence[Joint]) -> Floats:
    """The values of the child in the places of the source, the surest last: [rows, columns, kernel]."""
    canvas = np.zeros_like(matrix.raw)
    for joint in laid:
        whole = child[joint.child].raw
        mine = (whole if joint.axis == 0 else whole.transpose(1, 0, 2))[joint.units][:, joint.wire]
        turned = canvas if joint.source_axis == 0 else canvas.transpose(1, 0, 2)
        turned[joint.places] = mine
    return canvas


def normal(values: Floats) -> Floats:
    """A tensor freed of gains, shape kept: all that differ by factors of its rows and columns have one normal form."""
    return unshaped(balanced("", shaped(values), values.shape, _CLOSELY).values, values.shape)


def snapped(values: Floats, source: Floats) -> Floats:
    """Values that differ from the source's by no more than dividing and multiplying in float32 does are the source's."""
    near = np.abs(values - source) <= _ROUNDING * np.sqrt(np.mean(np.square(source)))
    found: Floats = np.where(near, source, values)
    return found
