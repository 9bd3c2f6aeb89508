"""One shrinkage for a whole body: exact where it is exact, and the slow likelihood agrees."""

from __future__ import annotations

import numpy as np
import pytest

from hub_lineage.evidence import shrinkage
from tests.simulated import SHAPES, Values, family_of


def _decayed(factor: float, seed: int = 0, uneven: bool = False) -> list[Values]:
    """A parent, its child after weight decay, and a model that went on beyond the parent."""
    random = np.random.default_rng(seed)
    steps = np.linspace(0.1, 0.9, len(SHAPES)) if uneven else np.full(len(SHAPES), 0.2)
    parent = [random.standard_normal(shape) for shape in SHAPES]
    child = [factor * tensor + 0.2 * random.standard_normal(tensor.shape) for tensor in parent]
    later = [tensor + step * random.standard_normal(tensor.shape) for tensor, step in zip(parent, steps, strict=True)]
    return [parent, child, later]


@pytest.mark.parametrize("factor", [0.6, 0.9, 1.0])
def test_the_factor_of_decay_is_found(factor: float) -> None:
    found = shrinkage.cues(family_of(_decayed(factor)))
    assert found["shrinkage_factor"][1, 0] == pytest.approx(factor, abs=0.02)
    assert found["shrinkage_factor_reversed"][0, 1] == found["shrinkage_factor"][1, 0]
    assert found["shrinkage_bend"][1, 0] == pytest.approx(0.0, abs=0.05)


def test_one_factor_fits_a_parent_and_not_a_model_that_went_on_beyond_it() -> None:
    for seed in range(5):
        found = shrinkage.cues(family_of(_decayed(0.8, seed, uneven=True)))
        assert found["shrinkage_uneven"][1, 0] < 0.01
        assert found["shrinkage_uneven"][1, 2] > 10 * found["shrinkage_uneven"][1, 0]
        assert found["shrinkage_any"][1, 0] > found["shrinkage_uneven"][1, 0]


def test_large_weights_of_a_model_with_few_large_moves_seem_shrunk_more() -> None:
    random = np.random.default_rng(3)
    parent, child, later = _decayed(0.9)
    later = [tensor + 3.0 * (random.random(tensor.shape) < 0.05) * random.standard_normal(tensor.shape) for tensor in parent]
    found = shrinkage.cues(family_of([parent, child, later]))
    assert found["shrinkage_bend"][1, 2] < -0.05
    assert abs(found["shrinkage_bend"][1, 0]) < 0.03


def test_the_likeliest_factor_is_no_worse_than_any_on_a_grid() -> None:
    random = np.random.default_rng(5)
    for _ in range(20):
        rest, squares = random.uniform(0.1, 2.0, (2, 4, 1))
        factors = 0.8 + 0.05 * random.standard_normal((4, 1, 1))
        weights = np.full((4, 1, 1), 0.25)

        def nats(factor: float, rest: np.ndarray = rest, squares: np.ndarray = squares, factors: np.ndarray = factors) -> float:
            return float(np.log(rest[:, 0] + (factors[:, 0, 0] - factor) ** 2 * squares[:, 0]).sum())

        found = float(shrinkage.one_factor(factors, rest[:, :, None], squares, weights)[0, 0])
        assert nats(found) <= min(nats(factor) for factor in np.linspace(0.5, 1.1, 601)) + 1e-4


@pytest.mark.parametrize("count", [1, 2, 3])
def test_constant_tensors_and_few_models_give_finite_figures(count: int) -> None:
    models = [[np.full(shape, float(k)) for shape in SHAPES] for k in range(count)]
    for value in shrinkage.cues(family_of(models)).values():
        assert value.shape == (count, count)
        assert np.isfinite(value).all()


def test_the_same_figures_stand_whatever_the_family() -> None:
    constant = shrinkage.cues(family_of([[np.ones(shape) for shape in SHAPES]] * 2))
    assert list(constant) == list(shrinkage.cues(family_of(_decayed(0.9))))


def test_the_order_of_models_tells_nothing() -> None:
    family = family_of(_decayed(0.8, 7))
    order = np.array([2, 0, 1])
    there, here = shrinkage.cues(family.only(order)), shrinkage.cues(family)
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value[np.ix_(order, order)], atol=1e-9)
