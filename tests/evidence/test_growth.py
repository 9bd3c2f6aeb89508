"""Gains and biases that training carries away from where it starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given

from hub_lineage.evidence import growth
from hub_lineage.family import Family
from hub_lineage.types import Floats
from tests.simulated import family_of, tree
from tests.strategies import SELDOM, orders, seeds

COUNT = 4


def chain(seed: int) -> tuple[Floats, ...]:
    """Gains around 1 and biases around 0 of a line of models, each further away than the one before."""
    random = np.random.default_rng(seed)
    gain, bias = (np.cumsum(random.standard_normal((COUNT, 64)) * 0.05, axis=0) for _ in range(2))
    return (1 + gain).astype(np.float32), bias.astype(np.float32)


def family_with(vectors: tuple[Floats, ...]) -> Family:
    return replace(family_of(tree([-1, 0, 1, 2], [1.0, 0.2, 0.2, 0.2])), vectors=vectors)


@given(seeds)
@SELDOM
def test_a_later_model_has_grown(seed: int) -> None:
    found = growth.cues(family_with(chain(seed)))
    for name in ("gain_growth", "bias_growth"):
        np.testing.assert_allclose(found[name], -found[name].T)
        assert found[name][3, 0] > 0
    assert found["vector_votes"][3, 0] == 1
    assert found["vector_cosine"][1, 0] > found["vector_cosine"][3, 0]


def test_gains_are_told_from_biases_by_their_values() -> None:
    gains, biases = chain(0)
    alone = growth.cues(family_with((gains,)))
    assert not alone["bias_growth"].any()
    assert alone["gain_growth"].any()
    turned = growth.cues(family_with((biases, gains)))
    for name, value in growth.cues(family_with((gains, biases))).items():
        np.testing.assert_allclose(turned[name], value)


@given(orders(COUNT))
@SELDOM
def test_order_tells_nothing(order: np.ndarray) -> None:
    family = family_with(chain(1))
    straight, turned = growth.cues(family), growth.cues(family.only(order))
    for name, value in straight.items():
        np.testing.assert_allclose(turned[name], value[np.ix_(order, order)], atol=1e-12)


def test_a_network_without_vectors_says_nothing() -> None:
    assert not any(value.any() for value in growth.cues(family_with(())).values())


def test_vectors_of_zero_are_no_trouble() -> None:
    nothing = (np.zeros((COUNT, 8), dtype=np.float32), np.ones((COUNT, 8), dtype=np.float32))
    found = growth.cues(family_with(nothing))
    assert all(np.isfinite(value).all() for value in found.values())
    assert not found["gain_growth"].any()
