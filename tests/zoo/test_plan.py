from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.zoo.family import DEEPEST, SOURCES, Planned
from benchmarks.zoo.nets import VARIANTS, in_body
from benchmarks.zoo.plan import plan


@pytest.fixture(scope="module")
def full_plan() -> list[Planned]:
    return plan("full", 0)


def test_truth_is_a_forest(full_plan: list[Planned]) -> None:
    by_id = {model.id: model for model in full_plan}
    assert len(by_id) == len(full_plan)
    for model in full_plan:
        steps, at = 0, model
        while at.parent is not None:
            parent = by_id[at.parent]
            assert parent.generation == at.generation - 1
            assert parent.variant == model.variant
            assert parent.root == at.root
            steps, at = steps + 1, parent
        assert steps == model.generation
        assert at.id == model.root


def test_names_do_not_follow_parenthood(full_plan: list[Planned]) -> None:
    later = [model.id > model.parent for model in full_plan if model.parent is not None]
    assert 0.4 < sum(later) / len(later) < 0.6


def test_splits_share_no_architecture_and_no_data(full_plan: list[Planned]) -> None:
    owners: dict[tuple[tuple[int, ...], ...], set[str]] = {}
    for variant in VARIANTS.values():
        shapes = sorted(
            tuple(value.shape) for name, value in variant.make().state_dict().items() if value.ndim > 1 and in_body(name)
        )
        owners.setdefault(tuple(shapes), set()).add(variant.name)
    assert all(len(names) == 1 for names in owners.values())
    sources = {split: {source for kinds in groups.values() for source in kinds} for split, groups in SOURCES.items()}
    assert not sources["train"] & sources["validation"]
    assert not (sources["train"] | sources["validation"]) & sources["test"]
    for model in full_plan:
        assert set(model.task.source.split("+")) <= sources[VARIANTS[model.variant].split]


def test_the_full_plan_holds_what_makes_it_hard(full_plan: list[Planned]) -> None:
    assert len(full_plan) >= 400
    shares = Counter(model.dtype for model in full_plan)
    assert shares["F16"] + shares["BF16"] >= len(full_plan) / 3
    assert {model.recipe.optimiser for model in full_plan} == {"sgd", "adam", "adamw"}
    assert {model.recipe.frozen for model in full_plan} == {"", "early", "trunk"}
    assert max(model.generation for model in full_plan) == DEEPEST
    assert {model.regime for model in full_plan} == {"deep", "star", "hub", "scratch"}
    assert any(model.head_replaced for model in full_plan)
    assert any(model.twin_of_seed for model in full_plan)
    assert any(model.recipe_group for model in full_plan if model.parent)
    assert any(model.checkpoint_of for model in full_plan)
    assert 0.02 < sum(model.hidden for model in full_plan) / len(full_plan) < 0.15
    assert sum(model.parent is None for model in full_plan if VARIANTS[model.variant].split == "test") >= 25


def test_a_twin_of_seed_shares_the_initialisation(full_plan: list[Planned]) -> None:
    by_id = {model.id: model for model in full_plan}
    twins = [model for model in full_plan if model.twin_of_seed]
    for twin in twins:
        first = by_id[twin.twin_of_seed or ""]
        assert twin.parent is None
        assert first.parent is None
        assert (twin.seed, twin.variant) == (first.seed, first.variant)
        assert (twin.task, twin.recipe) != (first.task, first.recipe)
