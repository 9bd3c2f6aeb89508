"""Boosted trees: by numpy, by slow walking, by scikit-learn, and through JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import load, save
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.judgement.baselines import FIRST_JUDGE
from benchmarks.kinds.boosting import from_json, read_boosted, to_json
from benchmarks.training import exported
from hub_lineage.trees import Boosted, Trees, context, from_tensors, to_tensors
from tests.strategies import OFTEN, boosted, seeds


def walked(trees: Trees, row: list[float]) -> float:
    """The sum of leaves, one branch at a time."""

    def leaf(node: int) -> float:
        left, right = int(trees.left[node]), int(trees.right[node])
        if left == right == node:
            return float(trees.value[node])
        return leaf(left if row[int(trees.feature[node])] <= trees.threshold[node] else right)

    return trees.base + sum(leaf(int(root)) for root in trees.roots)


@given(boosted(), seeds)
@OFTEN
def test_log_odds_are_those_of_slow_walking(trees: Trees, seed: int) -> None:
    rows = np.round(np.random.default_rng(seed).standard_normal((30, 3)), 2)
    np.testing.assert_allclose(trees.log_odds(rows), [walked(trees, row) for row in rows.tolist()], atol=1e-12)
    assert trees.log_odds(rows[:0]).shape == (0,)


@given(boosted())
@OFTEN
def test_json_gives_the_trees_back_to_six_digits(trees: Trees) -> None:
    back = from_json(json.loads(json.dumps(to_json(trees))))
    for field in fields(Trees):
        one, other = getattr(trees, field.name), getattr(back, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(other, one, rtol=1e-5)
        else:
            assert one == other
    assert to_json(back) == to_json(trees)


@given(boosted(), boosted())
@OFTEN
def test_both_rounds_come_back_from_a_file_of_tensors(first: Trees, second: Trees) -> None:
    one = np.zeros((1, 1))
    names = (*first.names, *context({"cosine": one}, one))
    both = Boosted(first, replace(second, names=names))
    back = from_tensors(first.names, load(save(to_tensors(both))))
    for trees, again in ((both.first, back.first), (both.second, back.second)):
        for field in fields(Trees):
            value, read = getattr(trees, field.name), getattr(again, field.name)
            if field.name == "value":
                np.testing.assert_allclose(read, value, rtol=1e-6)
            else:
                np.testing.assert_array_equal(read, value)


@pytest.mark.parametrize("seed", [0, 1])
def test_log_odds_are_scikit_learn_s(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((600, 5))
    rows[::7, 2] = 0.0
    label = (rows[:, 0] + rows[:, 1] * rows[:, 2] + 0.3 * random.standard_normal(600) > 0.2).astype(int)
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=9, early_stopping=False, random_state=0).fit(rows, label)
    unseen = np.concatenate([rows, 2 * random.standard_normal((300, 5))])
    trees = exported(model, "abcde")
    assert trees.names == tuple("abcde")
    np.testing.assert_allclose(trees.log_odds(unseen), model.decision_function(unseen), atol=1e-9)
    stored = from_json(json.loads(json.dumps(to_json(trees))))
    np.testing.assert_allclose(stored.log_odds(unseen), trees.log_odds(unseen), atol=1e-4)


def test_the_trees_of_the_first_judge_are_whole() -> None:
    (first,) = read_boosted(FIRST_JUDGE).boosted
    for trees in (first.first, first.second):
        nodes = len(trees.feature)
        assert nodes == len(trees.threshold) == len(trees.left) == len(trees.right) == len(trees.value)
        assert min(trees.feature) >= 0
        assert max(trees.feature) < len(trees.names)
        inner = trees.left != np.arange(nodes)
        assert (trees.left[inner] > np.flatnonzero(inner)).all(), "a child stands after its node, so no walk goes in a circle"
        assert (trees.right[inner] > np.flatnonzero(inner)).all()
        assert max(trees.left.max(), trees.right.max(), trees.roots.max()) < nodes
        row = [[0.0] * len(trees.names)]
        assert trees.log_odds(np.array(row))[0] == pytest.approx(walked(trees, row[0]))
