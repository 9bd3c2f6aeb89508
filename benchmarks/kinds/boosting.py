"""Boosted decision trees, evaluated by numpy alone from a small JSON form (Friedman 2001)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Matrix

Whole = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees over named features; node arrays of all trees are joined, leaves have themselves as children.

    ``feature`` [n] indexes the names, ``threshold`` [n] sends values at or below it to ``left`` [n], others to ``right``
    [n]; ``value`` [n] is what a leaf adds; ``roots`` [trees] are the first nodes.
    """

    names: tuple[str, ...]
    base: float
    roots: Whole
    feature: Whole
    threshold: Matrix
    left: Whole
    right: Whole
    value: Matrix
    depth: int

    def log_odds(self, rows: Matrix) -> Matrix:
        """The summed leaf values of each row, shape [n, names] to [n]."""
        nodes = np.broadcast_to(self.roots, (len(rows), len(self.roots))).copy()
        lines = np.arange(len(rows))[:, None]
        for _ in range(self.depth):
            below = rows[lines, self.feature[nodes]] <= self.threshold[nodes]
            nodes = np.where(below, self.left[nodes], self.right[nodes])
        total: Matrix = self.base + self.value[nodes].sum(axis=1)
        return total


def from_json(stored: dict[str, Any]) -> Trees:
    """The trees of :func:`to_json`."""

    def whole(name: str) -> Whole:
        return np.asarray(stored[name], dtype=np.int32)

    def real(name: str) -> Matrix:
        return np.asarray(stored[name], dtype=np.float64)

    return Trees(
        names=tuple(stored["names"]),
        base=float(stored["base"]),
        roots=whole("roots"),
        feature=whole("feature"),
        threshold=real("threshold"),
        left=whole("left"),
        right=whole("right"),
        value=real("value"),
        depth=int(stored["depth"]),
    )


def to_json(trees: Trees) -> dict[str, Any]:
    """Plain lists and numbers; what leaves add is rounded to six digits, thresholds aren't: values lie right on them."""
    whole = {name: getattr(trees, name).tolist() for name in ("roots", "feature", "left", "right")}
    real = {"threshold": trees.threshold.tolist(), "value": [float(f"{x:.6g}") for x in trees.value]}
    return {"names": list(trees.names), "base": trees.base, "depth": trees.depth, **whole, **real}
