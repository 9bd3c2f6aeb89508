"""Neighbour joining against trees that are known, and the cues of an inner node."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from hub_lineage.evidence import tree as evidence
from tests.simulated import family_of, orthogonal_tree
from tests.strategies import OFTEN, SELDOM, AdditiveTree, additive_trees, seeds

#            0
#      1           2
#    3   4       5   6     7, 8: another family
PARENTS = [-1, 0, 0, 1, 1, 2, 2, -1, 7]
STEPS = [4.0, 1.5, 1.2, 0.9, 1.1, 0.8, 1.3, 4.0, 1.0]
INNER = [0, 1, 2]
LEAVES = [3, 4, 5, 6]


@given(additive_trees())
@OFTEN
def test_joining_finds_any_additive_tree_again(known: AdditiveTree) -> None:
    found = evidence.join(known.distance)
    np.testing.assert_allclose(found.pendant, known.pendant, atol=1e-8)
    np.testing.assert_allclose(found.between, known.between, atol=1e-8)
    np.testing.assert_array_equal(found.joints, known.joints)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_taxa_share_what_lies_between(count: int) -> None:
    found = evidence.join(6.0 * (1 - np.eye(count)))
    assert found.pendant.tolist() == [3.0 * (count == 2)] * count


def test_equal_distances_make_a_star() -> None:
    found = evidence.join(2.0 * (1 - np.eye(6)))
    np.testing.assert_allclose(found.pendant, 1.0)
    np.testing.assert_allclose(found.between, 0.0, atol=1e-12)


def test_the_origin_is_the_zero_vector() -> None:
    points = np.random.default_rng(0).standard_normal((4, 9))
    all_points = np.vstack([points, np.zeros(9)])
    expected = [[float(((a - b) ** 2).sum()) for b in all_points] for a in all_points]
    np.testing.assert_allclose(evidence.with_origin(points @ points.T), expected, atol=1e-9)


@given(seeds)
@SELDOM
def test_inner_nodes_have_no_branch_of_their_own_and_leaves_have(seed: int) -> None:
    found = evidence.cues(family_of(orthogonal_tree(PARENTS, STEPS, seed)))
    pendant = found["pendant"]
    assert (pendant == pendant[0]).all()
    assert np.abs(pendant[0, INNER]).max() < 1e-5
    squares = np.square([STEPS[leaf] for leaf in LEAVES])
    np.testing.assert_allclose(pendant[0, LEAVES] / pendant[0, LEAVES].sum(), squares / squares.sum(), rtol=1e-4)


@given(seeds)
@SELDOM
def test_increments_are_square_to_the_parent_and_not_to_the_child(seed: int) -> None:
    found = evidence.cues(family_of(orthogonal_tree(PARENTS, STEPS, seed)))
    for child, parent in enumerate(PARENTS):
        if parent >= 0:
            assert abs(found["increment_along_candidate"][child, parent]) < 1e-4
            assert found["increment_along_candidate"][parent, child] < -0.1
            assert found["increment_along_child"][parent, child] == found["increment_along_candidate"][child, parent]
            assert found["log_norm_ratio"][child, parent] > 0


def test_gromov_products_are_small_at_the_parent_and_large_at_a_sibling() -> None:
    gromov = evidence.cues(family_of(orthogonal_tree(PARENTS[:7], STEPS[:7])))["gromov"]
    assert abs(gromov[3, 1]) < 0.01
    assert gromov[3, 4] > gromov[3, 1] + 0.2
    assert gromov[3, 6] > gromov[3, 1] + 0.2
