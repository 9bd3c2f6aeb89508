"""Likeness, and the null that stands beside it."""

from __future__ import annotations

import numpy as np
import pytest

from hub_lineage import report
from hub_lineage.evidence import asymmetry, correlation
from hub_lineage.types import Null
from tests.simulated import SHAPES, Values, family_of, tree

STRANGERS = [-1] * 16


def p_values(models: list[Values]) -> list[float]:
    """Of model 0 and each of the others."""
    family = family_of(models)
    mean, spread = correlation.null(family, 0)
    nulls = [Null(float(m), float(s), correlation.TURNS, "") for m, s in zip(mean, spread, strict=True)]
    return [report._p_value(float(family.cosine[0, k]), nulls[k]) for k in range(1, len(models))]


def drawn(seed: int, shapes: tuple[tuple[int, ...], ...], mean_kernel: float) -> list[Values]:
    """Unrelated models that share, as networks of one shape do, the look of their kernels."""
    common = [mean_kernel * np.random.default_rng(1).standard_normal(shape[2:]) for shape in shapes]
    return [[t + c for t, c in zip(model, common, strict=True)] for model in tree(STRANGERS, [1.0] * 16, seed, shapes)]


@pytest.mark.parametrize("mean_kernel", [0.0, 0.3])
@pytest.mark.parametrize("shapes", [((12, 6, 3, 3), (20, 12)), ((40, 40), (40, 40), (16, 40))])
def test_unrelated_models_get_small_p_values_as_rarely_as_stated(shapes: tuple[tuple[int, ...], ...], mean_kernel: float) -> None:
    found = np.array([p for seed in range(60) for p in p_values(drawn(seed, shapes, mean_kernel))])
    assert len(found) == 900
    assert 0.02 < np.mean(found < 0.05) <= 0.08
    assert np.mean(found < 0.01) <= 0.02
    assert np.mean(found < 0.001) <= 0.005
    assert 0.4 < np.mean(found < 0.5) < 0.6


def test_kin_get_tiny_p_values_and_strangers_do_not() -> None:
    found = p_values(tree([-1, 0, 1, -1, -1], [1.0, 1.0, 1.0, 1.0, 1.0]))
    assert max(found[:2]) < 1e-6
    assert min(found[2:]) > 0.01


def test_the_p_value_is_student_s() -> None:
    null = Null(0.1, 0.02, 24, "")
    widened = 0.02 * np.sqrt(1 + 1 / 24)
    quantiles = {1.3195: 0.1, 1.7139: 0.05, 2.4999: 0.01, 3.4850: 0.001, 3.7676: 0.0005}  # Student's t, 23 degrees of freedom
    for quantile, p_value in quantiles.items():
        assert report._p_value(0.1 + quantile * widened, null) == pytest.approx(p_value, rel=0.02)
    assert report._p_value(0.1, null) == report._p_value(-1.0, null) == 1.0
    assert 0 < report._p_value(1.0, Null(0.0, 1e-6, 24, "")) < 1e-15


def test_kinship_is_the_less_sure_the_more_were_compared() -> None:
    null = Null(0.0, 0.02, 24, "")
    alone = 1 - report._p_value(0.08, null)
    assert report._kin_probability(0.08, null, 1) == pytest.approx(alone, abs=1e-4)
    assert report._kin_probability(0.08, null, 100) == pytest.approx(1 - 100 * (1 - alone), abs=1e-4)
    assert report._kin_probability(0.03, null, 100) == report._kin_probability(-1.0, null, 1) == 0


def test_the_null_is_the_same_every_time_and_knows_its_candidate() -> None:
    family = family_of(tree([-1, 0, -1], [1.0, 0.5, 5.0]))
    for one, other in zip(correlation.null(family, 0), correlation.null(family, 0), strict=True):
        np.testing.assert_array_equal(one, other)
    mean, spread = correlation.null(family, 0)
    assert mean.shape == spread.shape == (3,)
    assert (spread > 0).all()


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
