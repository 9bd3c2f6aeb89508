"""How rules and judges rank the parent, case by case, with ties shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.cases import Crowd
from benchmarks.zoo import ZooModel
from hub_lineage.family import Family, Matrix

Rule = Callable[[Family], Matrix]
"""A rule scores every ordered pair of a family, child in the row; the higher, the likelier the parent."""
_LEAST_COSINE = 0.35


def nearest_cosine(family: Family) -> Matrix:
    """The pooled cosine."""
    return family.cosine


def nearest_l2(family: Family) -> Matrix:
    """Minus the pooled squared distance."""
    return -family.distance


def smallest_norm(family: Family) -> Matrix:
    """Minus the candidate's norm, among those of a cosine above .35."""
    norms = np.sqrt(np.maximum(np.diagonal(family.gram), 0.0))
    return np.where(family.cosine > _LEAST_COSINE, -norms[None, :], -np.inf)


BASELINES: dict[str, Rule] = {"nearest cosine": nearest_cosine, "nearest L2": nearest_l2, "smallest norm": smallest_norm}


@dataclass(frozen=True)
class Case:
    """A child whose parent is in sight: the chance that a ranking puts it first, and among the first three."""

    model: ZooModel
    first: float
    three: float
    odds: float = 0.0
    said: bool = False


def ranked(crowd: Crowd, scores: Matrix) -> list[Case]:
    """Each case of a crowd under a rule's scores; a tie of n at a place counts as one in n."""
    return [_case(crowd, scores, int(child)) for child in np.flatnonzero(crowd.parents >= 0)]


def _case(crowd: Crowd, scores: Matrix, child: int) -> Case:
    parent = int(crowd.parents[child])
    others = np.delete(scores[child], [child, parent])
    mine = scores[child, parent]
    above, level = int((others > mine).sum()), int((others == mine).sum())
    first = 1.0 / (level + 1) if above == 0 else 0.0
    three = float(np.clip((3 - above) / (level + 1), 0.0, 1.0))
    return Case(crowd.models[child], first, three)
