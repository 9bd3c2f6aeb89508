"""The judge that is a likelihood: odds that sum to 1, and a fit that finds parents and hidden ones in simulated trees."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.kinds import tree_likelihood
from hub_lineage.family import Family
from tests.simulated import SHAPES, family_of, tree


def _grown(seed: int) -> tuple[Family, np.ndarray]:
    """Nine models of a tree of Brownian motion, of which one inner node is hidden, and the parents in sight."""
    random = np.random.default_rng(seed)
    parents = np.array([-1, 0, 0, 1, 1, 2, 2, 2, 0, 1])
    models = tree(parents.tolist(), [1.0, *random.uniform(0.3, 0.6, 9)], seed)
    hidden = 1 + seed % 2
    seen = [k for k in range(10) if k != hidden]
    known = np.array([seen.index(p) if p in seen else -1 for p in parents[seen]], dtype=np.intp)
    return family_of([models[k] for k in seen]), known


def test_weights_fitted_on_some_trees_find_parents_and_hidden_ones_in_others() -> None:
    learned = [_grown(seed) for seed in range(12)]
    weights = tree_likelihood.fitted([family for family, _ in learned], [known for _, known in learned])
    right, nearest = [], []
    for seed in range(20, 26):
        family, known = _grown(seed)
        judged = tree_likelihood.judgement(family, weights)
        best = np.where(judged.parent.max(axis=1) > judged.none, judged.parent.argmax(axis=1), -1)
        right += (best == known).tolist()
        nearest += ((family.cosine - 2 * np.eye(len(family))).argmax(axis=1) == known).tolist()
    assert np.mean(right) > 0.75
    assert np.mean(right) > np.mean(nearest) + 0.2


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_odds_of_all_and_of_none_sum_to_one(count: int) -> None:
    constant = [[np.full(shape, float(k)) for shape in SHAPES] for k in range(count)]
    for models in (constant, tree([-1, *range(count - 1)], [1.0] * count)):
        judged = tree_likelihood.judgement(family_of(models))
        np.testing.assert_allclose(judged.parent.sum(axis=1) + judged.none, 1.0)
        assert (np.diagonal(judged.parent) == 0.0).all()
