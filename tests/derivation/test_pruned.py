"""Pruned copies in every pattern, tuned on or not; zeros that were there before are no pruning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hub_lineage.derivation import LEAST, pruned
from tests.derivation.trained import Weights, family, model, models, network, tune, weights

Cut = Callable[[NDArray[Any]], NDArray[Any]]


def smallest(share: float) -> Cut:
    return lambda held: np.where(np.abs(held) < np.quantile(np.abs(held), share), 0, held).astype(np.float32)


def at_random(held: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.random.default_rng(0).random(held.shape) < 0.4, 0, held).astype(np.float32)


def two_of_four(held: NDArray[Any]) -> NDArray[Any]:
    groups = held.reshape(-1, 4).copy()
    np.put_along_axis(groups, np.abs(groups).argsort(axis=1)[:, :2], 0, axis=1)
    return groups.reshape(held.shape)


def cut(held: Weights, way: Cut) -> Weights:
    return {name: way(value) if "proj" in name else value for name, value in held.items()}


def tuned_on(held: Weights) -> Weights:
    """Trained further with its zeros held."""
    net: Any = network(held)
    kept = {name: torch.from_numpy(held[name] != 0) for name, _ in net.named_parameters()}
    for name, weight in net.named_parameters():
        weight.register_hook(lambda slope, name=name: slope * kept[name])
    tune(net, 70, 20, 3e-4)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.mul_(kept[name])
    return weights(net)


@pytest.mark.parametrize("source", ["root", "near", "far"])
@pytest.mark.parametrize(
    ("way", "said"),
    [
        (smallest(0.2), "of the weights set to zero, the smallest, in 14 of"),
        (smallest(0.9), "the smallest"),
        (at_random, "set to zero, in "),
        (two_of_four, "50.0% of the weights set to zero, two in every four"),
    ],
)
def test_names_the_parent_the_share_and_the_way(source: str, way: Cut, said: str) -> None:
    found = pruned.explain(model("child", cut(family()[source], way)), models())
    assert found is not None
    assert (found.relation, found.method, found.parents[0].id) == ("finetune", "pruned", source)
    assert found.probability > 0.99
    assert said in found.summary
    assert found.null is not None
    assert found.null.mean < 0.01


def test_says_when_the_rest_was_tuned_since() -> None:
    found = pruned.explain(model("child", tuned_on(cut(family()["far"], smallest(0.5)))), models())
    assert found is not None
    assert found.parents[0].id == "far"
    assert "tuned since" in found.summary
    assert found.probability < 0.99


@pytest.mark.parametrize("way", [smallest(0.5), at_random, two_of_four])
def test_names_no_relative_for_sure_where_the_source_is_unknown(way: Cut) -> None:
    tuned = model("cut", tuned_on(cut(family()["child"], way)))
    found = pruned.explain(tuned, [other for other in models() if other.id != "child"])
    assert found is None or found.probability < LEAST


@pytest.mark.parametrize("way", [smallest(0.5), two_of_four])
def test_the_smallest_of_the_very_source_fell_away(way: Cut) -> None:
    found = pruned.explain(model("cut", tuned_on(cut(family()["child"], way))), models())
    assert found is not None
    assert found.parents[0].id == "child"
    assert found.probability >= LEAST


def test_claims_nothing_of_models_without_zeros() -> None:
    for child in models():
        assert pruned.explain(child, [other for other in models() if other is not child]) is None


def test_a_stranger_that_was_pruned_has_no_parent_here() -> None:
    known = [one for one in models() if one.id != "stranger"]
    assert pruned.explain(model("child", cut(family()["stranger"], smallest(0.5))), known) is None


def test_zeros_that_were_there_before_are_no_pruning() -> None:
    before = cut(family()["root"], smallest(0.5))
    assert pruned.explain(model("child", tuned_on(before)), [model("before", before), *models()]) is None


def test_quantised_copies_are_not_pruned() -> None:
    assert pruned.explain(model("child", cut(family()["root"], smallest(0.5)), packed="Q4_0"), models()) is None
    assert pruned.explain(model("child", cut(family()["root"], smallest(0.5))), []) is None
