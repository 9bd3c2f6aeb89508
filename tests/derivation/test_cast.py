"""Which model a cast was stored from: the one that holds more digits, and no relative of it."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hub_lineage.derivation import cast
from tests.derivation.trained import Weights, family, model, models


def stored(held: Weights, dtype: Any) -> Weights:
    return {name: value.astype(dtype) for name, value in held.items()}


@pytest.mark.parametrize("source", ["root", "near", "child"])
@pytest.mark.parametrize(("dtype", "word"), [(np.float16, "F16"), (ml_dtypes.bfloat16, "BF16")])
def test_names_what_was_cast_among_its_relatives(source: str, dtype: Any, word: str) -> None:
    found = cast.explain(model("cast", stored(family()[source], dtype)), models())
    assert found is not None
    assert (found.relation, found.method, found.parents[0].id) == ("quantized", word, source)
    assert found.probability > 0.99
    assert f"from F32 to {word}" in found.summary
    assert 0 < found.unexplained < 1e-4


def test_a_cast_is_not_the_source_of_what_it_was_cast_from() -> None:
    held = family()["root"]
    assert cast.explain(model("first", held), [model("cast", stored(held, np.float16))]) is None


def test_a_copy_that_was_stored_wider_again_is_no_source() -> None:
    narrow = stored(family()["root"], ml_dtypes.bfloat16)
    wide = model("wide", stored(narrow, np.float32))
    assert cast.explain(model("cast", narrow), [wide]) is None


def test_of_two_copies_neither_is_named_for_sure() -> None:
    held = family()["root"]
    found = cast.explain(model("cast", stored(held, np.float16)), [model("one", held), model("two", held)])
    assert found is not None
    assert found.probability < 0.5


def test_claims_nothing_of_plain_models() -> None:
    for child in models():
        assert cast.explain(child, [other for other in models() if other is not child]) is None
