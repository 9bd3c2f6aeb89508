"""Merged adapters, told by a difference of low rank; plain fine-tunes, siblings and strangers aren't."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.derivation import low_rank
from hub_lineage.types import Model
from tests.derivation.test_adapter import adapted, inside
from tests.derivation.trained import family, model, models, network, tune, weights

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # of peft's own call


@pytest.mark.parametrize(("base", "rank"), [("root", 2), ("far", 8), ("near", 16)])
def test_names_base_and_rank(base: str, rank: int) -> None:
    found = low_rank.explain(inside(base, rank), models())
    assert found is not None
    assert (found.relation, found.method, found.parents[0].id) == ("adapter", "lora", base)
    assert found.probability > 0.95
    assert f"4 of 16 matrices differ, by rank {rank} " in found.summary
    assert found.unexplained < 1e-6
    assert len(found.layers) == 4


def test_rounding_to_half_precision_is_no_rank() -> None:
    held = {name: value.astype(np.float16) for name, value in adapted("root", 2)[1].items()}
    found = low_rank.explain(model("merged", held), models())
    assert found is not None
    assert found.parents[0].id == "root"
    assert "by rank 2 " in found.summary


def test_claims_nothing_of_plain_fine_tunes_siblings_and_strangers() -> None:
    for child in models():
        for other in models():
            assert low_rank.explain(child, [other]) is None


def test_the_merge_is_no_base_of_its_base() -> None:
    root = models()[0]
    assert low_rank.explain(root, [inside("root", 2), *models()[1:]]) is None


def test_another_merge_of_the_base_is_no_base() -> None:
    assert low_rank.explain(inside("root", 2), [inside("root", 8)]) is None
    found = low_rank.explain(inside("root", 2), [Model("twin", None, inside("root", 8).fingerprint), *models()])
    assert found is not None
    assert found.parents[0].id == "root"


def test_a_merge_that_was_tuned_on_is_none() -> None:
    on = weights(tune(network(adapted("root", 2)[1]), 60, 10, 1e-4))
    assert low_rank.explain(model("on", on), models()) is None


def test_a_copy_is_none() -> None:
    assert low_rank.explain(model("copy", family()["root"]), models()) is None
    assert low_rank.explain(models()[0], []) is None


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_any_low_rank_is_found(rank: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    base = {f"{i}.weight": random.standard_normal((40, 32), dtype=np.float32) for i in range(3)}
    step = random.standard_normal((40, rank)) @ random.standard_normal((rank, 32))
    child = base | {"1.weight": base["1.weight"] + (0.5 * step).astype(np.float32)}
    found = low_rank.explain(model("child", child), [model("base", base)])
    assert found is not None
    assert f"1 of 3 matrices differ, by rank {rank} " in found.summary
