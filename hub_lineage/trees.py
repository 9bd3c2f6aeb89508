"""Boosted decision trees over the pairs of a family, evaluated by numpy alone (Friedman 2001), in two rounds.

The first round reads the cues of a pair by itself, the second also what the first made of the whole family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Matrix, ranks

Whole = NDArray[np.int32]
_ARRAYS = dict.fromkeys(("roots", "feature", "left", "right"), np.uint16) | {"threshold": np.float64, "value": np.float32}
_FAR = 20.0  # log odds beyond which two claims are told apart no further


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


@dataclass(frozen=True, eq=False)
class Boosted:
    """Both rounds; the second is fitted on what the first says of families that it was not fitted on."""

    first: Trees
    second: Trees

    def __call__(self, cues: Mapping[str, Matrix]) -> Matrix:
        """Log odds of each ordered pair, shape [K, K]."""
        count = len(cues["cosine"])
        told = self.first.log_odds(table(cues, self.first.names)).reshape(count, count)
        both = {**cues, **context(cues, told)}
        return self.second.log_odds(table(both, self.second.names)).reshape(count, count)


def table(cues: Mapping[str, Matrix], names: Sequence[str]) -> Matrix:
    """The named cues as columns, one row a pair in row-major order: shape [K * K, names]."""
    return np.stack([cues[name].reshape(-1) for name in names], axis=1)


def context(cues: Mapping[str, Matrix], first: Matrix) -> dict[str, Matrix]:
    """What the first round made of a pair's surroundings, from its log odds [K, K]; each of shape [K, K]."""
    count = len(first)
    score = first.copy()
    np.fill_diagonal(score, -np.inf)
    row_best, column_best = _best_other(score), _best_other(score.T).T
    claims = (score >= score.max(axis=1, keepdims=True)) & np.isfinite(score)
    near = cues["cosine"] > 0.5 * (cues["cosine"] - 2 * np.eye(count)).max(axis=1, keepdims=True)
    return {
        "first": first,
        "first_reversed": first.T.copy(),
        "first_ahead": np.clip(first - row_best, -_FAR, _FAR),
        "first_ahead_reversed": np.clip(first.T - row_best.T, -_FAR, _FAR),
        "first_ahead_as_parent": np.clip(first - column_best, -_FAR, _FAR),
        "first_rank": ranks(-score),
        "children_of_candidate": np.broadcast_to(claims.sum(axis=0), (count, count)).astype(np.float64),
        "children_of_child": np.broadcast_to(claims.sum(axis=0)[:, None], (count, count)).astype(np.float64),
        "best_of_candidate": np.broadcast_to(np.clip(score.max(axis=1), -_FAR, _FAR), (count, count)).copy(),
        "family_size": np.full((count, count), float(min(count, 32))),
        "close_kin": np.broadcast_to(near.sum(axis=1, keepdims=True), (count, count)).astype(np.float64),
    }


def _best_other(score: Matrix) -> Matrix:
    """For each entry the best of the other entries in its row, clipped where there is none."""
    order = np.sort(score, axis=1)
    best, runner_up = order[:, [-1]], order[:, [-2]] if score.shape[1] > 1 else order[:, [-1]]
    return np.clip(np.where(score >= best, runner_up, best), -_FAR, _FAR)


def to_tensors(boosted: Boosted) -> dict[str, NDArray[Any]]:
    """Both rounds as named arrays, for a file of safetensors; :func:`from_tensors` reads them.

    What leaves add is kept in single precision; thresholds aren't rounded, since values lie right on them.
    """
    return {
        f"{which}.{name}": np.asarray(value).astype(kept)
        for which, trees in (("first", boosted.first), ("second", boosted.second))
        for name, value, kept in (
            *((name, getattr(trees, name), kept) for name, kept in _ARRAYS.items()),
            ("base", [trees.base], np.float64),
            ("depth", [trees.depth], np.uint16),
        )
    }


def from_tensors(cues: Sequence[str], stored: Mapping[str, NDArray[Any]]) -> Boosted:
    """Both rounds of :func:`to_tensors`, the first over the cues of these names, the second over their surroundings too."""
    one = np.zeros((1, 1))
    around = tuple(context({"cosine": one}, one))

    def read(which: str, names: tuple[str, ...]) -> Trees:
        def whole(name: str) -> Whole:
            return stored[f"{which}.{name}"].astype(np.int32)

        def real(name: str) -> Matrix:
            return stored[f"{which}.{name}"].astype(np.float64)

        return Trees(
            names=names,
            base=float(real("base")[0]),
            roots=whole("roots"),
            feature=whole("feature"),
            threshold=real("threshold"),
            left=whole("left"),
            right=whole("right"),
            value=real("value"),
            depth=int(whole("depth")[0]),
        )

    return Boosted(read("first", tuple(cues)), read("second", (*cues, *around)))
