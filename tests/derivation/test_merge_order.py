"""Merges among the other ways: each child goes to the way that it was made by, whatever else is tried before or after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

from benchmarks.derivatives import merging
from hub_lineage import derivation, layers
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.read.dtypes import round_to
from hub_lineage.types import Model
from tests.derivation.test_adapter import adapted, inside
from tests.derivation.test_pruned import cut, smallest
from tests.derivation.trained import Weights, family, model, models

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # of peft's own call


def made(held: Weights, known: tuple[Model, ...] | None = None, packed: str = "") -> Derivation | None:
    return derivation.explain(model("child", held, packed=packed), known or models())


def test_a_merge_of_plain_fine_tunes_is_one() -> None:
    found = made(merging.linear([family()["far"], family()["near"]], [0.6, 0.4]))
    assert found is not None
    assert (found.relation, found.method, [parent.id for parent in found.parents]) == ("merge", "linear", ["far", "near"])


def test_merged_adapters_stay_adapters_and_a_merge_of_such_is_a_merge() -> None:
    held = [adapted("root", rank)[1] for rank in (2, 8)]
    known = (*models(), replace(inside("root", 2), id="two"), replace(inside("root", 8), id="eight"))
    merged = made(merging.linear(held, [0.6, 0.4]), known)
    assert merged is not None
    assert {parent.id: parent.coefficient for parent in merged.parents} == pytest.approx({"two": 0.6, "eight": 0.4}, abs=1e-4)
    lora = made(held[0], known[:-2])
    assert lora is not None
    assert (lora.relation, lora.method, lora.parents[0].id) == ("adapter", "lora", "root")


def test_pruned_and_quantised_copies_stay_what_they_are() -> None:
    pruned = made(cut(family()["far"], smallest(0.5)))
    assert pruned is not None
    assert (pruned.method, pruned.parents[0].id) == ("pruned", "far")
    copy = {
        name: dequantize(quantize(value, Kind.Q4_0), Kind.Q4_0) if "proj" in name else value
        for name, value in family()["far"].items()
    }
    quantised = made(copy, packed="Q4_0")
    assert quantised is not None
    assert (quantised.relation, quantised.parents[0].id) == ("quantized", "far")


def test_a_hybrid_of_copies_is_told_as_one() -> None:
    other = family()["stranger"]
    held = {name: other[name] if "mlp" in name else value for name, value in family()["far"].items()}
    found = made(held)
    assert found is not None
    assert (found.method, {parent.id for parent in found.parents}) == ("hybrid", {"far", "stranger"})


@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
def test_nothing_that_was_trained_is_made_of_others(dtype: str) -> None:
    for name, held in family().items():
        known = tuple(one for one in models() if one.id != name)
        found = made({key: round_to(dtype, value) for key, value in held.items()}, known)
        assert found is None, name


def test_layers_show_the_shares_of_a_merge() -> None:
    places = np.linspace(0.2, 0.8, len(family()["far"]))
    held = {
        name: np.float32(place) * family()["far"][name] + np.float32(1 - place) * family()["stranger"][name]
        for name, place in zip(family()["far"], places, strict=True)
    }
    told = layers.told(model("child", held), models())
    assert told.method == "linear"
    wanted = dict(zip(held, places, strict=True))
    for layer in told.layers:
        shares = dict(layer.origins)
        assert shares == pytest.approx({"far": wanted[layer.tensor], "stranger": 1 - wanted[layer.tensor]}, abs=1e-3)
