from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from hashlib import sha256

import pytest

from benchmarks.zoo.family import DEEPEST, Planned
from benchmarks.zoo.nets import VARIANTS, in_body
from benchmarks.zoo.plan import plan

SPLITS = ("train", "validation", "test")
WAYS = {"train", "merge", "prune", "noise", "distil", "checkpoint"}
EARLIER_FIELDS = (
    *("id", "parent", "root", "family", "generation", "variant", "regime", "dtype", "task", "recipe", "seed", "hidden"),
    *("head_replaced", "twin_of_seed", "recipe_group", "checkpoint_of"),
)
# What these sizes planned before there was a grown zoo: models that were fitted on them stand or fall with it.
EARLIER_PLANS = {
    ("full", 0): "980bc1088da59437",
    ("training", 1): "c89c172101bc8faa",
    ("training", 4): "e4b8769ff801d169",
    ("stars", 5): "3ec0ada38b14ea44",
    ("small", 0): "6864a3ae88120dd0",
    ("tiny", 1): "dc905a9a9871493f",
}


@pytest.fixture(scope="module")
def grown() -> list[Planned]:
    return plan("grown", 0)


def _split(model: Planned) -> str:
    return VARIANTS[model.variant].split


def _families(models: Iterable[Planned]) -> dict[str, list[Planned]]:
    families: dict[str, list[Planned]] = defaultdict(list)
    for model in models:
        families[model.family].append(model)
    return families


@pytest.mark.parametrize(("size", "seed"), EARLIER_PLANS)
def test_earlier_sizes_plan_what_they_always_did(size: str, seed: int) -> None:
    rows = [[getattr(model, name) for name in EARLIER_FIELDS] for model in plan(size, seed)]
    assert sha256(repr(rows).encode()).hexdigest()[:16] == EARLIER_PLANS[size, seed]


def test_a_plan_follows_from_its_seed(grown: list[Planned]) -> None:
    assert plan("grown", 0) == grown
    assert [model.seed for model in plan("grown", 1)] != [model.seed for model in grown]


def test_a_grown_zoo_shares_no_seed_with_the_others(grown: list[Planned]) -> None:
    others = {model.seed for size, seed in EARLIER_PLANS for model in plan(size, seed)}
    assert len({model.seed for model in grown} & others) <= 2  # of a thousand million: chance


def test_splits_differ_in_architecture_data_root_and_recipe(grown: list[Planned]) -> None:
    shapes = {
        name: tuple(
            sorted(tuple(value.shape) for key, value in variant.make().state_dict().items() if value.ndim > 1 and in_body(key))
        )
        for name, variant in VARIANTS.items()
    }
    assert len(set(shapes.values())) == len(shapes)
    told: dict[str, dict[str, set[object]]] = {split: defaultdict(set) for split in SPLITS}
    for model in grown:
        mine = told[_split(model)]
        mine["architecture"].add(shapes[model.variant])
        mine["data"].update(model.task.source.split("+"))
        mine["root"].add(model.root)
        mine["recipe"].add((VARIANTS[model.variant].kind, model.recipe.batch, model.recipe.schedule))
    for what in ("architecture", "data", "root", "recipe"):
        held = [told[split][what] for split in SPLITS]
        assert sum(map(len, held)) == len(set().union(*held)), what


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_holds_every_regime_way_and_architecture(grown: list[Planned], split: str) -> None:
    models = [model for model in grown if _split(model) == split]
    assert {model.regime for model in models} == {"deep", "star", "published", "hub", "scratch"}
    assert {model.made_by for model in models} == WAYS
    assert max(model.generation for model in models if model.made_by == "train") >= DEEPEST
    names = {model.variant for model in models}
    assert len(names) >= 8
    assert len({VARIANTS[name].kind for name in names}) == 7
    assert sum(20 <= len(family) <= 60 for family in _families(models).values()) >= 4
    hubs = [family for family in _families(models).values() if family[0].regime == "hub"]
    assert {model.dtype for family in hubs for model in family} == {"BF16"}
    assert len({VARIANTS[family[0].variant].kind for family in hubs if len(family) >= 8}) >= 3
    dtypes = Counter(model.dtype for model in models)
    assert dtypes["F16"] + dtypes["BF16"] >= len(models) / 3


def test_the_grown_zoo_is_large_and_its_training_zoo_holds_that_split_alone(grown: list[Planned]) -> None:
    assert len(grown) >= 1500
    more = plan("grown-training", 11)
    assert len(more) >= 700
    assert {_split(model) for model in more} == {"train"}
    assert {model.made_by for model in more} == WAYS


def test_what_a_model_is_made_from_comes_before_it_and_fits_it(grown: list[Planned]) -> None:
    made: dict[str, Planned] = {}
    for model in grown:
        sources = [made[source] for source in model.made_from]
        assert all((source.variant, source.family) == (model.variant, model.family) for source in sources)
        if model.parent is not None:
            (parent,) = sources
            assert (model.generation, model.root) == (parent.generation + 1, parent.root)
        elif model.merged_from:
            assert 2 <= len(sources) <= 3
            assert {source.root for source in sources} == {model.root}
            assert {source.task.outputs for source in sources} == {model.task.outputs}
            assert sum(coefficient for _, coefficient in model.merged_from) == pytest.approx(1.0)
        else:
            assert (model.root, model.generation) == (model.id, 0)
        assert (model.recipe.steps == 0) == (
            model.made_by in ("merge", "noise") or (model.made_by == "prune" and not model.recipe.lr)
        )
        made[model.id] = model


@pytest.mark.parametrize("split", SPLITS)
def test_published_stars_have_long_roots_and_graded_children(grown: list[Planned], split: str) -> None:
    models = [model for model in grown if model.regime == "published" and _split(model) == split]
    stars = list(_families(models).values())
    for star in stars:
        base = star[0]
        trained = [model for model in star if model.parent == base.id and model.made_by == "train"]
        children = [model for model in trained if model.id != base.checkpoint_of]
        graded = [model for model in children if model.recipe == children[0].recipe]
        assert len({model.task for model in graded}) >= min(2, len(graded))
        assert 5 <= base.recipe.steps / graded[0].recipe.steps <= 21
        assert base.hidden == (base.checkpoint_of is not None)
    assert len(stars) >= 10
    assert sum(star[0].hidden for star in stars) == len(stars) / 2
