"""Partial correlations against regressions, and the separation that a parent makes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence import independence
from hub_lineage.family import Matrix
from tests.simulated import family_of, orthogonal_tree, tree
from tests.strategies import OFTEN, SELDOM, seeds

PARENTS = [-1, 0, 0, 1, 1, 2, 2]
STEPS = [2.0, 1.5, 1.2, 0.9, 1.1, 0.8, 1.3]
LEAVES = [3, 4, 5, 6]


def by_regression(values: Matrix) -> Matrix:
    """Correlations of the residuals that least squares leaves, one triple at a time."""
    count = len(values)
    centred = values - values.mean(axis=1, keepdims=True)
    found = np.zeros((count, count, count))
    for k in range(count):
        column = centred[k][:, None]
        rest = [row - column[:, 0] * np.linalg.lstsq(column, row, rcond=None)[0][0] for row in centred]
        for i in range(count):
            for j in range(count):
                if k not in (i, j):
                    found[i, j, k] = rest[i] @ rest[j] / np.sqrt((rest[i] @ rest[i]) * (rest[j] @ rest[j]))
    return found


@given(seeds, st.integers(2, 5))
@OFTEN
def test_partial_correlations_are_those_of_residuals(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    values = random.standard_normal((count, 3)) @ random.standard_normal((3, 20)) + random.standard_normal((count, 20)) + 7
    found = independence.partial_correlations(np.asarray(np.corrcoef(values)))
    np.testing.assert_allclose(found, by_regression(values), atol=1e-6)


def test_what_is_explained_but_for_rounding_counts_as_nothing() -> None:
    found = independence.partial_correlations(np.ones((3, 3)))
    assert not found.any()


@given(seeds)
@SELDOM
def test_a_parent_separates_its_child_and_nothing_else_does(seed: int) -> None:
    found = independence.cues(family_of(orthogonal_tree(PARENTS, STEPS, seed)))
    kept = np.abs(found["kept_given_candidate"])
    for child in LEAVES:
        parent = PARENTS[child]
        assert kept[child, parent] < 1e-5
        assert abs(found["kept_worst"][child, parent]) < 1e-5
        others = [k for k in range(len(PARENTS)) if k not in (child, parent)]
        assert kept[child, others].min() > 0.05
        assert found["asymmetry_of_separation"][child, parent] > 0.05


@given(seeds, st.floats(0.3, 0.9))
@SELDOM
def test_shrinking_by_weight_decay_changes_nothing(seed: int, shrink: float) -> None:
    models = orthogonal_tree(PARENTS, STEPS, seed)
    shrunk = [[tensor * shrink**i for tensor in model] for i, model in enumerate(models)]
    plain, decayed = (independence.cues(family_of(family)) for family in (models, shrunk))
    for name, value in plain.items():
        np.testing.assert_allclose(decayed[name], value, atol=1e-4, err_msg=name)


def test_increments_at_random_keep_little_given_the_parent() -> None:
    kept = independence.cues(family_of(tree(PARENTS, STEPS)))["kept_given_candidate"]
    for child in LEAVES:
        assert abs(kept[child, PARENTS[child]]) < 0.05
        assert kept[child, [k for k in LEAVES if k != child]].min() > 0.1


def test_strangers_tell_nothing() -> None:
    found = independence.cues(family_of(tree([-1, -1, -1, -1], [1.0] * 4)))
    assert np.abs(found["kept_given_candidate"]).max() < 0.1


def test_two_alone_have_no_third_to_tell() -> None:
    found = independence.cues(family_of(tree([-1, 0], [1.0, 0.5])))
    assert not found["kept_given_candidate"].any()
    assert not found["least_given_other"].any()
