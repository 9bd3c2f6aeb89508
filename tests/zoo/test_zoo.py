from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.zoo import ZooModel, build, load_truth
from benchmarks.zoo.breeding import cosine
from benchmarks.zoo.data import TEXT_KINDS, Task, examples, text
from benchmarks.zoo.nets import VARIANTS, in_body
from benchmarks.zoo.plan import DEEPEST, SOURCES, Planned, plan
from benchmarks.zoo.recipes import Recipe
from benchmarks.zoo.train import Job, State, train


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("zoo"), size="tiny", seed=1)


@pytest.fixture(scope="session")
def models(folder: Path) -> dict[str, ZooModel]:
    return {model.id: model for model in load_truth(folder)}


@pytest.fixture(scope="module")
def full_plan() -> list[Planned]:
    return plan("full", 0)


def _bytes(folder: Path) -> dict[str, bytes]:
    files = [*sorted((folder / "models").iterdir()), folder / "truth.json"]
    return {file.name: file.read_bytes() for file in files}


def test_two_builds_are_the_same_to_the_byte_whatever_the_number_of_workers(folder: Path, tmp_path: Path) -> None:
    assert _bytes(build(tmp_path, size="tiny", seed=1, workers=1)) == _bytes(folder)


def test_a_zoo_that_is_there_is_not_built_again(folder: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    build(folder, size="tiny", seed=1)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before


def test_another_seed_makes_another_zoo(folder: Path) -> None:
    first, second = plan("tiny", 1), plan("tiny", 2)
    assert [model.seed for model in first] != [model.seed for model in second]


def test_training_improves_the_score(models: dict[str, ZooModel]) -> None:
    def gain(model: ZooModel) -> float:
        change = float(model.score["after"] - model.score["before"])
        return change if model.score["measure"] == "accuracy" else -change

    roots = [gain(model) for model in models.values() if model.parent is None]
    children = [gain(model) for model in models.values() if model.parent is not None]
    assert min(roots) > 0
    assert sum(children) / len(children) > 0


def test_every_child_differs_from_its_parent_and_the_cosine_is_the_one_stated(models: dict[str, ZooModel]) -> None:
    for model in models.values():
        if model.parent is None:
            assert model.cosine_to_parent is None
            continue
        parent, child = load_file(models[model.parent].path), load_file(model.path)
        assert any(not torch.equal(parent[name], child[name]) for name in child if parent[name].shape == child[name].shape)
        assert model.cosine_to_parent == pytest.approx(cosine(parent, child), abs=1e-6)


def test_weights_are_stored_in_the_dtype_stated(models: dict[str, ZooModel]) -> None:
    dtypes = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    for model in models.values():
        matrices = [value for value in load_file(model.path).values() if value.ndim > 1]
        assert {value.dtype for value in matrices} == {dtypes[model.dtype]}
        assert all(torch.isfinite(value).all() for value in matrices)


def test_hidden_revisions_are_not_served(folder: Path, models: dict[str, ZooModel]) -> None:
    hidden = {model.id for model in models.values() if model.hidden}
    served = {model.id for model in load_truth(folder, served=True)}
    assert hidden
    assert served == set(models) - hidden


def test_the_summary_counts_every_model(folder: Path, models: dict[str, ZooModel]) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["models"] == len(models) == sum(summary["split"].values())
    assert sum(summary["cosine"].values()) == sum(model.parent is not None for model in models.values())


# What is planned for the full zoo, without training it.


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


# Training.


def _fresh(variant: str, seed: int) -> State:
    torch.manual_seed(seed)
    return {name: value.clone() for name, value in VARIANTS[variant].make().state_dict().items()}


RECIPE = Recipe("adamw", 2e-3, 0.01, 12, 16)


def test_a_frozen_trunk_is_bit_identical_and_an_early_freeze_holds_the_first_half() -> None:
    start = _fresh("cnn_bn-a", 0)
    jobs = [Job(frozen, start, Task("digits"), replace(RECIPE, frozen=frozen), 3) for frozen in ("", "early", "trunk")]
    done = {trained.id: trained.state for trained in train(VARIANTS["cnn_bn-a"].make(), jobs)}
    body = [name for name in start if in_body(name)]
    assert all(torch.equal(done["trunk"][name], start[name]) for name in body)
    assert not torch.equal(done["trunk"]["classifier.weight"], start["classifier.weight"])
    assert torch.equal(done["early"]["features.0.weight"], start["features.0.weight"])
    assert not torch.equal(done["early"]["features.6.weight"], start["features.6.weight"])
    assert all(not torch.equal(done[""][name], start[name]) for name in body if name.endswith("weight"))


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_a_stack_trains_as_torch_does(optimiser: str) -> None:
    start, task, recipe = _fresh("mlp-a", 0), Task("digits"), replace(RECIPE, optimiser=optimiser, schedule="constant")
    others = [Job(str(seed), _fresh("mlp-a", seed), task, replace(RECIPE, steps=seed * 4), seed) for seed in (1, 2)]
    done = {
        trained.id: trained.state for trained in train(VARIANTS["mlp-a"].make(), [Job("it", start, task, recipe, 7), *others])
    }["it"]
    net = VARIANTS["mlp-a"].make()
    net.load_state_dict(start)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    options = {"momentum": 0.9} if optimiser == "sgd" else {}
    steps = kinds[optimiser](net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, **options)  # type: ignore[operator]
    data = examples(task)
    rows = torch.randint(len(data.x), (recipe.steps, recipe.batch), generator=torch.Generator().manual_seed(7))
    for row in rows:
        steps.zero_grad()
        torch.autograd.backward(torch.nn.functional.cross_entropy(net(data.x[row]), data.y[row]))
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        steps.step()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(done[name], value, rtol=1e-3, atol=2e-5)


def test_a_smaller_head_is_stored_small_and_learns_only_its_classes() -> None:
    task = Task("digits", classes=(1, 3, 5))
    start = {name: value if in_body(name) else value[:3] for name, value in _fresh("mlp-a", 0).items()}
    (done,) = train(VARIANTS["mlp-a"].make(), [Job("it", start, task, replace(RECIPE, steps=60), 0)])
    assert done.state["head.weight"].shape[0] == 3
    assert done.after > max(done.before, 0.6)


def test_pure_bfloat16_weights_stay_on_the_grid() -> None:
    start = {name: value.bfloat16().float() for name, value in _fresh("mlp-a", 0).items()}
    (done,) = train(VARIANTS["mlp-a"].make(), [Job("it", start, Task("digits"), replace(RECIPE, precision="pure"), 0)])
    assert all(torch.equal(value, value.bfloat16().float()) for value in done.state.values())


# Data.


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_every_kind_of_text_is_at_hand(kind: str) -> None:
    assert len(text(kind)) > 30_000


@pytest.mark.parametrize("source", ["digits", "mnist-a", "mnist-b", "mnist-c", "fashion", "photos-a", "photos-b", "photos-c"])
def test_every_source_of_images_has_training_and_held_out_examples(source: str) -> None:
    data = examples(Task(source))
    assert len(data.x) >= 700
    assert len(data.held_x) >= 200
    assert torch.isfinite(data.x).all()


def test_like_tasks_share_a_source_and_no_example() -> None:
    first, second = examples(Task("digits").like(1)), examples(Task("digits").like(2))
    assert not {tuple(row) for row in first.x.flatten(1).tolist()} & {tuple(row) for row in second.x.flatten(1).tolist()}


def test_a_description_tells_tasks_apart() -> None:
    tasks = {model.task for model in plan("full", 0)}
    assert len({task.describe() for task in tasks}) == len(tasks)
