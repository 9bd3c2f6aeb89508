"""Merges of really trained models by plain merge code, in three storages: parents, coefficients, method; and what is no merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from safetensors.torch import save
from torch import bfloat16, float16, float32, from_numpy

from benchmarks.derivatives import merging
from benchmarks.derivatives.merging import Weights
from hub_lineage.derivation.merge import attempt, explain
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.types import Model
from tests.derivation.trained import network, tune, untrained
from tests.derivation.trained import weights as held_by
from tests.simulated import Memory

DTYPES = {"F32": float32, "BF16": bfloat16, "F16": float16}
STORAGES = list(DTYPES)


@cache
def zoo() -> dict[str, Weights]:
    """A root, four fine-tunes on tasks of their own, a child of one of them, and a stranger."""
    root = held_by(tune(untrained(1), 1, 120, 3e-3))
    tuned = {name: held_by(tune(network(root), task, 30, 1e-3)) for name, task in (("a", 11), ("b", 12), ("c", 13), ("d", 14))}
    child = held_by(tune(network(tuned["a"]), 15, 20, 5e-4))
    return {"root": root, **tuned, "a/child": child, "stranger": held_by(tune(untrained(2), 1, 120, 3e-3))}


def stored(name: str, held: Weights, dtype: str = "F32") -> Model:
    tensors = {key: from_numpy(np.array(value)).to(DTYPES[dtype]) for key, value in held.items()}
    return Model(name, None, read_fingerprint(Memory({"model.safetensors": save(tensors)})))


@cache
def models() -> tuple[Model, ...]:
    return tuple(stored(name, held) for name, held in zoo().items())


def of(*names: str) -> list[Weights]:
    return [zoo()[name] for name in names]


def solved(held: Weights, dtype: str, known: tuple[Model, ...] | None = None) -> Derivation:
    found = explain(stored("child", held, dtype), known or models())
    assert found is not None
    assert found.relation == "merge"
    return found


def shares(found: Derivation) -> dict[str, float | None]:
    return {parent.id: parent.coefficient for parent in found.parents}


@pytest.mark.parametrize("dtype", STORAGES)
@pytest.mark.parametrize(
    "wanted",
    [
        {"a": 0.6, "stranger": 0.4},
        {"a": 0.5, "b": 0.3, "c": 0.2},
        {"a": 0.6, "b": 0.7},
        {"root": 0.25, "d": 0.75},
        {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25},
    ],
    ids=str,
)
def test_a_weighted_sum_comes_back(wanted: dict[str, float], dtype: str) -> None:
    found = solved(merging.linear(of(*wanted), list(wanted.values())), dtype)
    assert found.method == "linear"
    assert shares(found) == pytest.approx(wanted, abs=2e-3)
    for parent in found.parents:
        assert parent.interval is not None
        low, high = parent.interval
        slack = 1e-6  # what the shares themselves lose in single precision
        assert low - slack - (high - low) <= wanted[parent.id] <= high + slack + (high - low)
    assert found.null is not None
    assert found.unexplained < 0.02 < found.null.mean
    assert [layer.tensor for layer in found.layers] == [s.label for s in models()[0].fingerprint.samples]
    assert all(layer.unexplained < 1e-4 for layer in found.layers)


@pytest.mark.parametrize("dtype", STORAGES)
def test_task_arithmetic_has_a_base_with_a_negative_weight(dtype: str) -> None:
    found = solved(merging.task_arithmetic(zoo()["root"], of("a", "b", "c"), [0.7, 0.5, 0.4]), dtype)
    assert found.method == "task_arithmetic"
    assert shares(found) == pytest.approx({"a": 0.7, "b": 0.5, "c": 0.4, "root": -0.6}, abs=5e-3)


@pytest.mark.parametrize("dtype", STORAGES)
@pytest.mark.parametrize("other", ["b", "stranger"])
def test_slerp_has_one_place_for_all_tensors(other: str, dtype: str) -> None:
    found = solved(merging.slerp(zoo()["a"], zoo()[other], 0.3), dtype)
    assert found.method == "slerp"
    assert shares(found) == pytest.approx({"a": 0.7, other: 0.3}, abs=2e-3)
    if other == "stranger":  # the weights themselves sum to more than 1 on so wide an arc
        assert all(sum(weight for _, weight in layer.origins) > 1.1 for layer in found.layers)


@pytest.mark.parametrize("dtype", STORAGES)
def test_model_stock_has_a_ratio_for_each_tensor(dtype: str) -> None:
    found = solved(merging.model_stock(zoo()["root"], of("a", "b", "c")), dtype)
    assert found.method == "model_stock"
    assert set(shares(found)) == {"root", "a", "b", "c"}
    ratios = [1 - dict(layer.origins)["root"] for layer in found.layers]
    assert np.ptp(ratios) > 0.01


@pytest.mark.parametrize("dtype", STORAGES)
@pytest.mark.parametrize("density", [0.3, 0.6])
def test_ties_gives_base_fine_tunes_scale_and_density(density: float, dtype: str) -> None:
    found = solved(merging.ties(zoo()["root"], of("a", "b", "c"), density, 0.8), dtype)
    assert found.method == "ties"
    assert shares(found) == {
        "root": None,
        **{name: pytest.approx(0.8, abs=0.01) for name in "abc"},
    }
    assert f"{density:.1f}" in found.summary


@pytest.mark.parametrize("dtype", STORAGES)
@pytest.mark.parametrize("elect", [False, True])
def test_dare_gives_what_was_kept_and_how_it_was_weighed(elect: bool, dtype: str) -> None:
    found = solved(merging.dare(zoo()["root"], of("a", "b"), 0.5, [0.6, 0.4], elect=elect, seed=3), dtype)
    assert found.method == ("dare_ties" if elect else "dare_linear")
    assert shares(found) == {"root": None, "a": pytest.approx(0.6, abs=0.04), "b": pytest.approx(0.4, abs=0.04)}


def test_swapped_layers_are_told_tensor_by_tensor() -> None:
    child = stored("child", merging.swapped(of("a", "b")), "BF16")
    assert explain(child, models()) is None  # a model between two others looks the same, and is left to those who know
    found = attempt(child, models()).derivation
    assert found is not None
    assert (found.method, found.probability) == ("passthrough", 0.9)
    names = sorted(zoo()["a"])
    for layer in found.layers:
        weights = {name: round(weight) for name, weight in layer.origins}
        wanted = "ab"[names.index(layer.tensor) % 2]
        assert weights == {wanted: 1, "ab".replace(wanted, ""): 0}


@pytest.mark.parametrize("dtype", STORAGES)
def test_what_was_trained_is_no_merge(dtype: str) -> None:
    for name, held in zoo().items():
        others = tuple(model for model in models() if model.id != name)
        child = stored(name, held, dtype)
        assert explain(child, others) is None, name
        assert attempt(child, others).kind == "none", name


def test_a_merge_trained_on_is_no_merge_any_more() -> None:
    on = held_by(tune(network(merging.linear(of("a", "b"), [0.5, 0.5])), 16, 10, 2e-4))
    assert explain(stored("on", on), models()) is None
    assert attempt(stored("on", on), models()).kind == "incomplete"


@pytest.mark.parametrize("dtype", STORAGES)
def test_a_missing_parent_is_told_and_nothing_claimed(dtype: str) -> None:
    child = stored("child", merging.linear(of("a", "b", "stranger"), [0.4, 0.4, 0.2]), dtype)
    known = tuple(model for model in models() if model.id != "b")
    assert explain(child, known) is None
    found = attempt(child, known)
    assert (found.kind, found.derivation) == ("incomplete", None)
    assert {"a", "stranger"} <= {parent.id for parent in found.parents}


@pytest.mark.parametrize("dtype", STORAGES)
def test_a_parent_is_no_merge_of_its_merge_and_its_other_parents(dtype: str) -> None:
    merged = stored("merged", merging.linear(of("a", "b"), [0.6, 0.4]), dtype)
    for name in "ab":
        child = next(model for model in models() if model.id == name)
        known = (merged, *(model for model in models() if model.id != name))
        assert explain(child, known) is None
        assert attempt(child, known).kind == "source"


def test_a_sister_merge_is_not_taken_for_a_parent() -> None:
    sister = stored("sister", merging.linear(of("a", "b"), [0.5, 0.5]))
    found = solved(merging.linear(of("a", "b"), [0.6, 0.4]), "F32", (sister, *models()))
    assert shares(found) == pytest.approx({"a": 0.6, "b": 0.4}, abs=1e-4)


def test_copies_of_a_parent_are_named_once_and_told() -> None:
    again = replace(stored("again", zoo()["a"]), created_at="2025-01-02")
    known = tuple(replace(model, created_at="2025-01-01") for model in models())
    found = solved(merging.linear(of("a", "b"), [0.6, 0.4]), "BF16", (again, *known))
    assert set(shares(found)) == {"a", "b"}
    assert "a has the weights of again" in found.summary


def test_a_copy_is_no_merge() -> None:
    child = stored("child", zoo()["a"], "BF16")
    assert explain(child, models()) is None
    found = attempt(child, models())
    assert (found.kind, [parent.id for parent in found.parents]) == ("copy", ["a"])


def test_nothing_to_compare_is_said() -> None:
    child = stored("child", zoo()["a"])
    other = replace(models()[0], fingerprint=replace(models()[0].fingerprint, architecture="other"))
    for known in ((), (other,), (child,)):
        assert explain(child, known) is None
        assert attempt(child, known).kind == "unknown"


@pytest.mark.parametrize("made", [lambda held: held * 0, lambda held: held * np.inf])
def test_blank_and_broken_weights_are_no_merge(made: Callable[[merging.Array], merging.Array]) -> None:
    with np.errstate(invalid="ignore"):
        held = {name: made(value) for name, value in zoo()["a"].items()}
    assert explain(stored("child", held), models()) is None
    broken = stored("broken", held)
    assert shares(solved(merging.linear(of("a", "b"), [0.6, 0.4]), "F32", (broken, *models()))).keys() == {"a", "b"}


def test_the_order_of_candidates_changes_nothing() -> None:
    child = stored("child", merging.ties(zoo()["root"], of("a", "b"), 0.4), "BF16")
    one, other = explain(child, models()), explain(child, models()[::-1])
    assert one is not None
    assert other is not None
    assert {p.id for p in one.parents} == {p.id for p in other.parents}
    assert one.method == other.method
