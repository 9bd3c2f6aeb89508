"""Whose base an adapter's is, by a known model that it was merged into; and what can't be told without one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from hub_lineage.derivation import adapter, column_space
from hub_lineage.types import Model
from tests.derivation.trained import Weights, family, model, models, network, tune, weights

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # of peft's own call


@cache
def adapted(base: str, rank: int) -> tuple[Weights, Weights]:
    """What a trained adapter adds by the base's names, and the base with it merged in, by peft."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - seconds of import

    wrapped: Any = get_peft_model(
        network(family()[base]), LoraConfig(r=rank, lora_alpha=rank, target_modules=["q_proj", "v_proj"])
    )
    tune(wrapped, 50 + rank, 20, 3e-3)
    parts = wrapped.base_model.model.named_modules()
    adds = {
        f"{name}.weight": part.get_delta_weight("default").detach().numpy() for name, part in parts if hasattr(part, "lora_A")
    }
    return adds, weights(wrapped.merge_and_unload())


def apart(base: str, rank: int, declared: str = "") -> Model:
    return model("adapter", adapted(base, rank)[0], packed=f"LORA-{rank}", base=declared)


def inside(base: str, rank: int) -> Model:
    return model("merged", adapted(base, rank)[1])


@pytest.mark.parametrize(("base", "rank"), [("root", 2), ("far", 8), ("near", 32)])
def test_names_the_base_of_a_merge(base: str, rank: int) -> None:
    found = adapter.explain(apart(base, rank), [*models(), inside(base, rank)])
    assert found is not None
    assert (found.relation, found.method, found.parents[0].id) == ("adapter", "lora", base)
    assert found.probability > 0.95
    assert f"rank {rank} " in found.summary
    assert found.unexplained < 1e-6


def test_names_the_base_of_a_merge_that_was_tuned_on() -> None:
    merged = adapted("root", 8)[1]
    on = model("on", weights(tune(network(merged), 60, 20, 1e-3)))
    others = [one for one in models() if one.id != "near"]
    found = adapter.explain(apart("root", 8), [*others, on])
    assert found is not None
    assert found.parents[0].id == "root"
    assert "tuned on" in found.summary
    beside = adapter.explain(apart("root", 8), [*models(), on])  # which hardly differs from the base
    assert beside is None or beside.probability < 0.6


def test_claims_nothing_where_no_merge_is_known() -> None:
    assert adapter.explain(apart("root", 8), models()) is None
    assert adapter.explain(apart("root", 8), [*models(), inside("root", 2)]) is None
    assert adapter.explain(apart("root", 8), models()[:1]) is None
    assert adapter.explain(apart("root", 8), []) is None


def test_models_that_are_no_adapters_are_left_alone() -> None:
    assert all(adapter.explain(one, models()) is None for one in models())
    assert adapter.rank(models()[0].fingerprint) == 0


def test_a_declared_base_is_confirmed_or_contradicted() -> None:
    known = [*models(), inside("root", 8)]
    assert adapter.declared(apart("root", 8, "root"), known)[0] == "confirmed"
    lie, why = adapter.declared(apart("root", 8, "stranger"), known)
    assert lie == "contradicted"
    assert "root" in why


def test_without_evidence_a_declared_base_stays_open() -> None:
    agreement, why = adapter.declared(apart("root", 8, "root"), models())
    assert agreement == "unverifiable"
    assert "does not hold its base" in why
    assert adapter.declared(apart("root", 8, "gone"), models())[0] == "unverifiable"
    assert adapter.declared(apart("root", 8), models())[0] == "undeclared"


def test_a_declared_base_of_other_shapes_is_contradicted() -> None:
    narrow = model("narrow", {name: np.zeros((48, 40), np.float32) + 1 for name in ("a.proj.weight", "b.proj.weight")})
    assert adapter.declared(apart("root", 8, "narrow"), [narrow])[0] == "contradicted"


def test_names_that_wrappers_changed_are_understood() -> None:
    adds = {f"base_model.model.{name}": value for name, value in adapted("far", 8)[0].items()}
    found = adapter.explain(model("adapter", adds, packed="LORA-8"), [*models(), inside("far", 8)])
    assert found is not None
    assert found.parents[0].id == "far"


def test_a_declared_stranger_is_contradicted_by_the_outputs_that_are_changed() -> None:
    agreement, why = adapter.declared(apart("root", 8, "stranger"), models())
    assert agreement == "contradicted"
    assert "strongest outputs" in why
    for rank in (2, 8, 32):
        kin, stranger = (adapter.leaning(apart("root", rank).fingerprint, models()[i].fingerprint) for i in (0, -1))
        assert kin is not None
        assert stranger is not None
        assert kin > column_space.RELATED
        assert stranger < column_space.UNRELATED


def test_random_subspaces_share_nothing() -> None:
    random = np.random.default_rng(0)
    found = [column_space.shared([(random.standard_normal((48, 40)), random.standard_normal((48, 40)))], 8) for _ in range(200)]
    scores = np.array(found, dtype=np.float64)
    assert abs(scores.mean()) < 0.25
    assert 0.8 < scores.std() < 1.2
    assert column_space.shared([(np.zeros((48, 40)), np.ones((48, 40)))], 8) is None
