"""Likeness, and what the shape of a joint distribution says of direction."""

from __future__ import annotations

import numpy as np

from hub_lineage.evidence import asymmetry, correlation
from tests.simulated import SHAPES, family_of, tree


def test_ranks_and_ratios_say_who_is_nearest() -> None:
    found = correlation.cues(family_of(tree([-1, 0, 1, 1], [1.0, 0.5, 0.1, 0.3])))
    assert found["cosine_rank"][2].tolist() == [2, 0, 3, 1]
    assert found["times_nearest"][2, 1] == 0
    assert found["times_nearest"][2, 0] > 0
    assert found["distance_rank"][2, 1] == 0
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found["log_away"][off], np.log10(1 - found["cosine"][off]))
    np.testing.assert_allclose(found["cosine"], found["cosine"].T, atol=1e-12)


def test_the_median_holds_where_one_tensor_lies() -> None:
    models = tree([-1, 0], [1.0, 0.2], shapes=(*SHAPES, (64, 64)))
    lying = [models[0], [*models[1][:-1], np.random.default_rng(9).standard_normal((64, 64))]]
    found = correlation.cues(family_of(lying))
    assert found["median_cosine"][0, 1] > 0.95
    assert found["cosine"][0, 1] < 0.8
    assert found["cosine_spread"][0, 1] > 0.3


def test_the_cubic_cue_is_turned_round_with_the_pair() -> None:
    found = asymmetry.cues(family_of(tree([-1, 0, 0], [1.0, 0.5, 0.8])))
    for name in ("cubic", "kurtosis_difference"):
        np.testing.assert_allclose(found[name], -found[name].T, atol=1e-6)


def test_a_heavy_tailed_parent_shows_in_its_child() -> None:
    random = np.random.default_rng(0)
    parent = [random.standard_t(5, shape) for shape in SHAPES]
    child = [tensor + random.standard_normal(tensor.shape) for tensor in parent]
    found = asymmetry.cues(family_of([child, parent]))
    assert found["cubic"][0, 1] > 0.1 > -0.1 > found["cubic"][1, 0]
    assert found["kurtosis_difference"][1, 0] > 0
