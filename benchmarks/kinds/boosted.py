"""Two rounds of boosted trees as a judge: the first reads the cues of a pair, the second what it made of the whole family."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.kinds import boosting
from hub_lineage.family import Matrix, ranks
from hub_lineage.judge import NUMBERS, Judge
from hub_lineage.network import KINDS


@dataclass(frozen=True, eq=False)
class Boosted(Judge):
    """A judge of trees alone; it knows nothing of kinds."""

    first: boosting.Trees
    second: boosting.Trees

    def log_odds(self, cues: Mapping[str, Matrix]) -> tuple[Matrix, Matrix]:
        """Log odds of the second round, shape [K, K]; kinds are left at 0."""
        told = second_round(cues, self.first, self.second)
        return told, np.zeros((*told.shape, len(KINDS)))


def read_boosted(path: Path) -> Boosted:
    """A judge of trees from a gzipped file of JSON."""
    stored = json.loads(gzip.decompress(path.read_bytes()))
    first, second = (boosting.from_json(stored[name]) for name in ("first", "second"))
    slope, shift, kin_cosine, clone_parent, cut = (float(stored[name]) for name in NUMBERS)
    return Boosted((), slope, shift, kin_cosine, clone_parent, cut, first, second)


def second_round(cues: Mapping[str, Matrix], first: boosting.Trees, second: boosting.Trees) -> Matrix:
    """Log odds of each ordered pair, shape [K, K]."""
    count = len(cues["cosine"])
    told = first.log_odds(table(cues, first.names)).reshape(count, count)
    both = {**cues, **context(cues, told)}
    return second.log_odds(table(both, second.names)).reshape(count, count)


def table(cues: Mapping[str, Matrix], names: tuple[str, ...]) -> Matrix:
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
        "first_ahead": np.clip(first - row_best, -20, 20),
        "first_ahead_reversed": np.clip(first.T - row_best.T, -20, 20),
        "first_ahead_as_parent": np.clip(first - column_best, -20, 20),
        "first_rank": ranks(-score),
        "children_of_candidate": np.broadcast_to(claims.sum(axis=0), (count, count)).astype(np.float64),
        "children_of_child": np.broadcast_to(claims.sum(axis=0)[:, None], (count, count)).astype(np.float64),
        "best_of_candidate": np.broadcast_to(np.clip(score.max(axis=1), -20, 20), (count, count)).copy(),
        "family_size": np.full((count, count), float(min(count, 32))),
        "close_kin": np.broadcast_to(near.sum(axis=1, keepdims=True), (count, count)).astype(np.float64),
    }


def _best_other(score: Matrix) -> Matrix:
    """For each entry the best of the other entries in its row, clipped where there is none."""
    order = np.sort(score, axis=1)
    best, runner_up = order[:, [-1]], order[:, [-2]] if score.shape[1] > 1 else order[:, [-1]]
    return np.clip(np.where(score >= best, runner_up, best), -20, 20)
