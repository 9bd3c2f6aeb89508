"""A whole family judged at once: for every model the odds of each other one to be its parent, and of none.

Two rounds of boosted trees: the first reads the cues of a pair, the second also what the first made of the whole family.
The odds of all candidates and of "none of these" come from one division, so they sum to 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from hub_lineage import boosting
from hub_lineage.evidence import measure
from hub_lineage.family import Family, Matrix, ranks
from hub_lineage.read.dtypes import coarser, round_to

Mask = NDArray[np.bool_]
_NEARLY = 0.9999  # rounding to eight bits alone leaves more than this


@dataclass(frozen=True, eq=False)
class Judge:
    """The fitted part: two rounds of trees, a shift and a slope that calibrate them, and the cut for kinship."""

    first: boosting.Trees
    second: boosting.Trees
    slope: float
    shift: float
    kin_cosine: float
    clone_parent: float  # how often one of the clones of a model's body is its parent
    cut: float  # a parent is stated at these odds or better


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was made of K models, row: child, column: candidate.

    ``parent`` [K, K]: probability to be the parent; with ``none`` [K] each row sums to 1. ``kin`` [K, K]: whether two
    models are related at all. ``clone`` [K, K]: whether two bodies hold the same values. ``cut``: the
    odds from which a parent is stated.
    """

    parent: Matrix
    none: Matrix
    kin: Mask
    clone: Mask
    cues: dict[str, Matrix]
    cut: float


@cache
def shipped() -> Judge:
    """The judge that ships with the package; ``benchmarks/fit_judge.py`` made it."""
    stored = json.loads(resources.files("hub_lineage").joinpath("judge.json").read_text(encoding="utf-8"))
    return Judge(
        boosting.from_json(stored["first"]),
        boosting.from_json(stored["second"]),
        *(float(stored[name]) for name in ("slope", "shift", "kin_cosine", "clone_parent", "cut")),
    )


def judge(family: Family, fitted: Judge | None = None) -> Judgement:
    """All pairs of a family judged; clones of one body are judged once and share their odds evenly."""
    fitted = fitted or shipped()
    count = len(family)
    clone = clones(family)
    representatives = np.flatnonzero(clone.argmax(axis=1) == np.arange(count))
    kin = components(family, fitted.kin_cosine)
    cues: dict[str, Matrix] = {}
    odds = np.zeros((count, count))
    for members in groups(kin, representatives):
        if len(members) > 1:
            found = measure(family.only(members))
            place = np.ix_(members, members)
            odds[place] = _odds(found, fitted)
            for name, value in found.items():
                cues.setdefault(name, np.zeros((count, count)))[place] = value
    return _shared(odds, cues, kin, clone, fitted)


def _odds(cues: dict[str, Matrix], fitted: Judge) -> Matrix:
    """Odds of each ordered pair against "none of these", shape [K, K], zero on the diagonal."""
    count = len(cues["cosine"])
    first = fitted.first.log_odds(table(cues, fitted.first.names)).reshape(count, count)
    both = cues | context(cues, first)
    second = fitted.second.log_odds(table(both, fitted.second.names)).reshape(count, count)
    odds = np.exp(np.clip(fitted.slope * second + fitted.shift, -30, 30))
    np.fill_diagonal(odds, 0.0)
    return odds


def table(cues: dict[str, Matrix], names: tuple[str, ...]) -> Matrix:
    """The named cues as columns, one row a pair in row-major order: shape [K * K, names]."""
    return np.stack([cues[name].reshape(-1) for name in names], axis=1)


def context(cues: dict[str, Matrix], first: Matrix) -> dict[str, Matrix]:
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


def clones(family: Family) -> Mask:
    """Which bodies hold the same values once both are rounded to the coarser of their dtypes, shape [K, K]."""
    same = np.eye(len(family), dtype=bool)
    for one, other in np.argwhere(np.triu(family.cosine >= _NEARLY, 1)):
        if not same[one, other]:
            word = coarser(family.storage[one], family.storage[other])
            if all(np.array_equal(round_to(word, tensor[one]), round_to(word, tensor[other])) for tensor in family.raw):
                joined = same[one] | same[other]  # clones of clones are clones, in whatever order they are found
                same[np.ix_(joined, joined)] = True
    return same


def components(family: Family, kin_cosine: float) -> Mask:
    """Who is related to whom, directly or through others: shape [K, K], a true relation of equivalence."""
    kin: Mask = family.cosine >= kin_cosine
    np.fill_diagonal(kin, True)
    while True:
        wider = (kin.astype(np.float32) @ kin.astype(np.float32)) > 0
        if np.array_equal(wider, kin):
            return kin
        kin = wider


def groups(kin: Mask, members: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The components of some of the models, each as an array of their places."""
    found: dict[int, list[int]] = {}
    for member in members:
        found.setdefault(int(kin[member].argmax()), []).append(int(member))
    return [np.array(group, dtype=np.intp) for group in found.values()]


def _shared(odds: Matrix, cues: dict[str, Matrix], kin: Mask, clone: Mask, fitted: Judge) -> Judgement:
    """Odds of representatives spread over their clones; a model's own clones are candidates for its parent too."""
    first = clone.argmax(axis=1)
    crowd = clone.sum(axis=1).astype(np.float64)
    spread = odds[np.ix_(first, first)] / crowd[None, :]
    total = 1.0 + spread.sum(axis=1)
    own = clone & ~np.eye(len(clone), dtype=bool)
    share = np.where(own.any(axis=1), fitted.clone_parent, 0.0)
    parent = (1.0 - share)[:, None] * spread / total[:, None] + share[:, None] * own / np.maximum(crowd - 1, 1)[:, None]
    full = {name: value[np.ix_(first, first)] for name, value in cues.items()}
    return Judgement(parent, (1.0 - share) / total, kin, clone, full, fitted.cut)
