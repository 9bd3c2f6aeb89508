"""A judge that is a likelihood and nothing more: trees with hidden nodes, Brownian motion, weight decay, tempered.

The log odds of a pair against "none of these" are a weighed sum of nine terms, for the increments of real models are neither
independent nor Gaussian and each part of the likelihood has its own number of coordinates. It stands beside the judge that
ships as a kind of judgement, for comparison. Weights come from :func:`fitted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.kinds import latent_tree
from hub_lineage.evidence import shrinkage
from hub_lineage.family import Family, Matrix

TERMS = (
    "always",
    "near",
    "nearer_than_others",
    "direct_cost_nats",
    "dearer_than_cheapest",
    "joint_cost_nats",
    "hidden_between",
    "shrinkage_any_difference",
    "shrinkage_uneven_difference",
)
WEIGHTS = (-1.36, 0.262, 0.373, -0.00543, -0.0189, -0.121, -0.139, -1.47, -28.3)
"""Of the terms, fitted on the training splits."""
_RIDGE = 1e-4
_FARTHEST = -1e9


@dataclass(frozen=True, eq=False)
class Odds:
    """Probabilities of K models, child in the row: ``parent`` [K, K] and ``none`` [K], together 1 for each child."""

    parent: Matrix
    none: Matrix


def judgement(family: Family, weights: Sequence[float] = WEIGHTS) -> Odds:
    """For each model of a family of kin the odds of each other one to be its parent, and of a hidden one."""
    log_odds = np.clip(terms(family) @ np.array(weights), -30.0, 30.0)
    odds = np.exp(log_odds)
    np.fill_diagonal(odds, 0.0)
    total = 1.0 + odds.sum(axis=1)
    return Odds(odds / total[:, None], 1.0 / total)


def terms(family: Family) -> Matrix:
    """The terms of every ordered pair, shape [K, K, terms]; among them the nats that a pair has in common."""
    cues = latent_tree.cues(family) | shrinkage.cues(family)
    near = -np.log(1.0 - np.square(np.clip(family.cosine, 0.0, 1.0 - 1e-6))) / 2
    found = cues | {"always": np.ones_like(near), "near": near, "nearer_than_others": near - _best_other(near)}
    found["dearer_than_cheapest"] = cues["direct_cost_nats"] + _best_other(-cues["direct_cost_nats"])
    return np.stack([found[name] for name in TERMS], axis=-1)


def _best_other(value: Matrix) -> Matrix:
    """The greatest of each row but for the model itself, shape [K, 1]; 0 where there is no other."""
    if len(value) < 2:
        return np.zeros((len(value), 1))
    best: Matrix = np.where(np.eye(len(value), dtype=bool), -np.inf, value).max(axis=1, keepdims=True)
    return best


def fitted(families: Sequence[Family], parents: Sequence[NDArray[np.intp]]) -> tuple[float, ...]:
    """The weights under which parents in sight and hidden ones (-1) are likeliest; -2 marks models that are no cases."""
    most = max(len(family) for family in families)
    cases, barred, truth = [], [], []
    for family, known in zip(families, parents, strict=True):
        count, found = len(family), terms(family)
        asked = np.flatnonzero(known > -2)
        for child in asked:
            rows = found[child]
            cases.append(np.pad(rows, ((0, most - count), (0, 0))))
            barred.append(np.where((np.arange(most) < count) & (np.arange(most) != child), 0.0, _FARTHEST))
        truth.append(known[asked])
    x, shut, answer = np.stack(cases), np.stack(barred), np.concatenate(truth)
    present = np.flatnonzero(answer >= 0)
    scale = np.sqrt(np.square(x).mean(axis=(0, 1)))

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        scores = x @ (weights / scale) + shut
        top = np.maximum(scores.max(axis=1), 0.0)
        total = np.exp(scores - top[:, None]).sum(axis=1) + np.exp(-top)
        chance = np.exp(scores - top[:, None]) / total[:, None]
        nats = np.log(total) + top
        nats[present] -= scores[present, answer[present]]
        chance[present, answer[present]] -= 1.0
        slope = np.einsum("nk,nkt->t", chance, x) / len(x) / scale
        return float(nats.mean() + _RIDGE * np.square(weights).sum()), slope + 2 * _RIDGE * weights

    best = minimize(loss, np.zeros(len(TERMS)), jac=True, method="L-BFGS-B")
    return tuple(float(weight) for weight in best.x / scale)
