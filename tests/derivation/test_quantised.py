"""Which model a quantised copy was rounded from, whatever the format, among relatives nearer than a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import torch
from gguf import quants
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.derivatives.rounding import gptq
from hub_lineage.derivation import LEAST, grid, quantised
from hub_lineage.types import Model
from tests.derivation.trained import Weights, family, model, models, network, tune, weights

Rounded = Callable[[NDArray[Any]], NDArray[Any]]


def by_gguf(word: str) -> Rounded:
    kind = gguf.GGMLQuantizationType[word]
    return lambda held: np.asarray(quants.dequantize(quants.quantize(held, kind), kind), np.float32)


def by_bitsandbytes(kind: str) -> Rounded:
    from bitsandbytes import functional  # noqa: PLC0415 - seconds of import

    def rounded(held: NDArray[Any]) -> NDArray[Any]:
        packed, state = functional.quantize_4bit(torch.from_numpy(np.array(held)), quant_type=kind, blocksize=64)
        return np.asarray(functional.dequantize_4bit(packed, state))

    return rounded


FORMATS = {word: by_gguf(word) for word in ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1")} | {
    "NF4": by_bitsandbytes("nf4"),
    "FP4": by_bitsandbytes("fp4"),
}


def copy_of(held: Weights, rounded: Rounded) -> Weights:
    return {name: rounded(value) if "proj" in name else value for name, value in held.items()}


@pytest.mark.parametrize(("word", "source"), [*((word, "near") for word in FORMATS), ("Q4_0", "root"), ("NF4", "child")])
def test_names_the_source_among_its_relatives(word: str, source: str) -> None:
    copy = model("copy", copy_of(family()[source], FORMATS[word]), packed=word)
    found = quantised.explain(copy, models())
    assert found is not None
    assert (found.relation, found.method, found.parents[0].id) == ("quantized", word, source)
    assert found.probability > 0.95
    assert found.null is not None
    assert found.null.mean < 0.5
    assert "F32" in found.summary


@pytest.mark.parametrize(
    ("word", "dtype"), [("Q8_0", np.float16), ("Q4_0", np.float16), ("Q4_1", np.float32), ("NF4", np.float32)]
)
def test_knows_a_copy_that_was_unpacked_again(word: str, dtype: type[np.floating[Any]]) -> None:
    held = copy_of(family()["near"], FORMATS[word])
    found = quantised.explain(model("copy", {name: value.astype(dtype) for name, value in held.items()}), models())
    assert found is not None
    assert found.parents[0].id == "near"
    assert found.method == ("8-bit" if word == "Q8_0" else "4-bit")


@pytest.mark.parametrize(("word", "rate"), [("Q8_0", 3e-4), ("Q4_0", 3e-4), ("Q5_1", 2e-3), ("FP4", 2e-3)])
def test_claims_no_source_for_a_copy_of_an_unknown_fine_tune(word: str, rate: float) -> None:
    hidden = weights(tune(network(family()["root"]), 9, 20, rate))
    assert quantised.explain(model("copy", copy_of(hidden, FORMATS[word]), packed=word), models()) is None


@pytest.mark.parametrize("word", FORMATS)
def test_names_no_relative_for_sure_however_near_the_unknown_source(word: str) -> None:
    copy = model("copy", copy_of(family()["near"], FORMATS[word]), packed=word)
    found = quantised.explain(copy, [other for other in models() if other.id != "near"])
    assert found is None or found.probability < LEAST


@pytest.mark.parametrize(("source", "known"), [("near", True), ("child", True), ("child", False)])
def test_errors_that_are_made_up_for_lean_to_relatives_of_an_unknown_source(source: str, *, known: bool) -> None:
    generator = np.random.default_rng(3)
    held = {
        name: gptq(value, generator.standard_normal((256, value.shape[1])).astype(np.float32)) if "proj" in name else value
        for name, value in family()[source].items()
    }
    others = [other for other in models() if known or other.id != source]
    found = quantised.explain(model("copy", held, packed="GPTQ-4"), others)
    if known:
        assert found is not None
        assert found.parents[0].id == source
    else:
        assert found is None or found.probability < LEAST


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_knows_floating_point_levels_that_were_unpacked_again(dtype: Any) -> None:
    def rounded(held: NDArray[Any]) -> NDArray[Any]:
        scale = np.abs(held).max() / 448
        return np.asarray((held / scale).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * scale)

    held = {name: value.astype(dtype) for name, value in copy_of(family()["near"], rounded).items()}
    found = quantised.explain(model("copy", held), models())
    assert found is not None
    assert (found.method, found.parents[0].id) == ("FP8", "near")
    assert quantised.explain(model("copy", held), [other for other in models() if other.id != "near"]) is None


def test_the_source_in_two_precisions_is_no_doubt() -> None:
    copy = model("copy", copy_of(family()["near"], FORMATS["Q4_0"]), packed="Q4_0")
    cast = model("cast", {name: value.astype(np.float16) for name, value in family()["near"].items()})
    found = quantised.explain(copy, [*models(), cast])
    assert found is not None
    assert found.parents[0].id in {"near", "cast"}
    assert found.probability > 0.95


def test_claims_nothing_of_plain_models() -> None:
    for child in models():
        assert quantised.explain(child, [other for other in models() if other is not child]) is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_claims_nothing_of_a_cast(dtype: type[np.floating[Any]]) -> None:
    cast = model("cast", {name: value.astype(dtype) for name, value in family()["root"].items()})
    assert quantised.explain(cast, models()) is None


def test_a_copy_of_the_copy_is_no_source() -> None:
    held = copy_of(family()["root"], FORMATS["Q4_0"])
    found = quantised.explain(model("copy", held, packed="Q4_0"), [model("same", held), *models()])
    assert found is not None
    assert found.parents[0].id == "root"


def test_compares_what_tensors_there_are() -> None:
    copy = model("copy", copy_of(family()["far"], FORMATS["Q4_0"]), packed="Q4_0")
    print_ = copy.fingerprint
    kept = tuple(sample for place, sample in enumerate(print_.samples) if place % 3)
    found = quantised.explain(Model("copy", None, replace(print_, samples=kept, architecture="other")), models())
    assert found is not None
    assert found.parents[0].id == "far"


def test_the_order_of_models_tells_nothing() -> None:
    copy = model("copy", copy_of(family()["near"], FORMATS["Q5_0"]), packed="Q5_0")
    forth, back = (quantised.explain(copy, order) for order in (models(), models()[::-1]))
    assert forth is not None
    assert back is not None
    assert forth.parents[0].id == back.parents[0].id
    assert forth.probability == pytest.approx(back.probability)


def test_has_nothing_to_say_alone() -> None:
    copy = model("copy", copy_of(family()["near"], FORMATS["Q5_0"]), packed="Q5_0")
    assert quantised.explain(copy, []) is None
    assert quantised.explain(copy, [copy]) is None


@given(st.integers(0, 2**32 - 1), st.integers(6, 15), st.floats(1e-3, 10.0), st.floats(-3.0, 3.0))
def test_finds_the_step_of_an_even_grid(seed: int, most: int, step: float, origin: float) -> None:
    codes = np.random.default_rng(seed).integers(0, most + 1, (4, 32))
    codes[:, :2] = 0, 1  # neighbours, else no step but a multiple shows
    table = (codes + origin).astype(np.float64) * step
    assert grid.steps(table, "F32") == pytest.approx(step, rel=1e-2)


@given(st.integers(0, 2**32 - 1))
def test_a_source_lies_within_the_cells_of_its_levels(seed: int) -> None:
    source = np.random.default_rng(seed).standard_normal((8, 32))
    levels = np.array([-2.0, -1.1, -0.4, -0.1, 0.0, 0.3, 0.7, 1.9, 3.0])
    table = levels[np.abs(source[:, :, None] - levels).argmin(axis=2)]
    below, above = grid.cells(table, "F32", even=False)
    assert (source >= table - below - 1e-12).all()
    assert (source <= table + above + 1e-12).all()
