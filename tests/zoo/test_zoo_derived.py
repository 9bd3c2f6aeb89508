from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.zoo import ZooModel, build, load_truth
from benchmarks.zoo.data import Task, examples
from benchmarks.zoo.derived import State, merged, noised, prunable, pruned
from benchmarks.zoo.nets import VARIANTS
from benchmarks.zoo.recipes import Recipe
from benchmarks.zoo.train import Job, padded, train

SEED = 17  # a small zoo in which every way of making a model occurs, merges of three included
RECIPE = Recipe("adamw", 2e-3, 0.01, 40, 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("grown"), size="tiny-grown", seed=SEED)


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, ZooModel]:
    return {model.id: model for model in load_truth(folder)}


def _made(models: dict[str, ZooModel], way: str) -> list[ZooModel]:
    found = [model for model in models.values() if model.made_by == way]
    assert found
    return found


def _fresh(variant: str, seed: int) -> State:
    torch.manual_seed(seed)
    return {name: value.clone() for name, value in VARIANTS[variant].make().state_dict().items()}


def _matrices(state: State) -> Tensor:
    return torch.cat([value.flatten() for name, value in state.items() if prunable(name, value)])


def test_a_grown_zoo_is_the_same_to_the_byte_whatever_the_number_of_workers(folder: Path, tmp_path: Path) -> None:
    again = build(tmp_path, size="tiny-grown", seed=SEED, workers=1)
    assert (again / "truth.json").read_bytes() == (folder / "truth.json").read_bytes()
    for file in (folder / "models").iterdir():
        assert (again / "models" / file.name).read_bytes() == file.read_bytes()


def test_the_coefficients_of_a_merge_reproduce_its_weights(models: dict[str, ZooModel]) -> None:
    for model in _made(models, "merge"):
        assert model.parent is None
        assert model.cosine_to_parent is None
        assert model.merged_from
        weights = load_file(model.path)
        sources = [(load_file(models[source].path), coefficient) for source, coefficient in model.merged_from]
        for name, value in weights.items():
            if value.is_floating_point():
                wanted = sum(coefficient * state[name].double() for state, coefficient in sources)
                precision = 1e-6 if value.dtype == torch.float32 else 2**-8
                torch.testing.assert_close(value.double(), wanted, rtol=precision, atol=1e-6)


def test_a_pruned_child_has_its_share_of_noughts_where_its_parent_is_smallest(models: dict[str, ZooModel]) -> None:
    for model in _made(models, "prune"):
        assert model.parent is not None
        weights, parent = load_file(model.path), load_file(models[model.parent].path)
        for name, value in weights.items():
            if not prunable(name, value):
                continue
            gone = value == 0
            assert int(gone.sum()) == int(model.recipe["pruned"] * value.numel())
            assert parent[name][gone].abs().max() <= parent[name][~gone].abs().min()
            assert model.recipe["steps"] or torch.equal(value[~gone], parent[name][~gone])


def test_a_noised_child_is_as_far_from_its_parent_as_stated(models: dict[str, ZooModel]) -> None:
    for model in _made(models, "noise"):
        assert model.parent is not None
        child, parent = (_matrices(load_file(path)).float() for path in (model.path, models[model.parent].path))
        tangent = float((child - parent).norm() / parent.norm())
        assert tangent == pytest.approx(model.recipe["noise"], rel=0.1)


def test_a_student_is_a_root_and_knows_its_teacher(models: dict[str, ZooModel]) -> None:
    for model in _made(models, "distil"):
        assert model.parent is None
        assert model.root == model.id
        assert models[model.distilled_from or ""].architecture == model.architecture


def test_a_checkpoint_is_hidden_and_what_it_became_is_served(models: dict[str, ZooModel]) -> None:
    for model in _made(models, "checkpoint"):
        assert model.hidden
        later = models[model.checkpoint_of or ""]
        assert (later.parent, later.hidden) == (model.id, False)


def test_a_table_from_before_there_were_merges_reads_as_ever(tmp_path: Path, folder: Path) -> None:
    import json  # noqa: PLC0415

    rows = json.loads((folder / "truth.json").read_text())
    for row in rows:
        for key in ("merged_from", "distilled_from", "made_by"):
            del row[key]
    (tmp_path / "truth.json").write_text(json.dumps(rows))
    for model in load_truth(tmp_path):
        assert (model.merged_from, model.distilled_from) == (None, None)
        assert model.made_by == ("train" if model.checkpoint_of is None else "checkpoint")


@given(st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=3), st.integers(0, 1000))
def test_a_merge_is_linear(coefficients: list[float], seed: int) -> None:
    states = [{"w": torch.randn(4, 3, generator=torch.Generator().manual_seed(seed + at))} for at in range(len(coefficients))]
    made = merged(list(zip(states, coefficients, strict=True)))["w"]
    wanted = torch.einsum("m,mij->ij", torch.tensor(coefficients), torch.stack([state["w"] for state in states]))
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-5)


@given(st.floats(0, 1), st.integers(0, 1000))
def test_pruning_takes_the_smallest_and_leaves_the_rest(share: float, seed: int) -> None:
    value = torch.randn(7, 5, generator=torch.Generator().manual_seed(seed))
    made = pruned({"layers.0.weight": value, "head.weight": value, "layers.0.bias": value[0]}, share)
    kept = made["layers.0.weight"] != 0
    assert int((~kept).sum()) == int(share * value.numel())
    assert torch.equal(made["layers.0.weight"][kept], value[kept])
    if 0 < int(kept.sum()) < value.numel():
        assert value[~kept].abs().max() <= value[kept].abs().min()
    assert torch.equal(made["head.weight"], value)
    assert torch.equal(made["layers.0.bias"], value[0])


def test_noise_follows_its_seed_and_leaves_running_statistics() -> None:
    start = _fresh("cnn_bn-a", 0)
    first, again, other = noised(start, 0.1, 1), noised(start, 0.1, 1), noised(start, 0.1, 2)
    assert all(torch.equal(first[name], again[name]) for name in start)
    assert not torch.equal(first["features.0.weight"], other["features.0.weight"])
    assert all(torch.equal(first[name], start[name]) for name in start if "running_" in name)


def test_what_pruning_took_stays_gone_while_the_rest_learns() -> None:
    start = pruned(_fresh("cnn_bn-a", 0), 0.5)
    (done,) = train(VARIANTS["cnn_bn-a"].make(), [Job("it", start, Task("digits"), RECIPE, 3, pruned=True)])
    before, after = _matrices(start), _matrices(done.state)
    assert torch.equal(before == 0, after == 0)
    assert not torch.equal(before, after)


@pytest.mark.parametrize(("variant", "source"), [("mlp-a", "digits"), ("restorer-b", "photos-a"), ("llama-a", "css")])
def test_a_student_learns_what_its_teacher_answers(variant: str, source: str) -> None:
    net, task = VARIANTS[variant].make(), Task(source)
    teacher = _fresh(variant, 1)
    for name, value in teacher.items():  # an untrained teacher, of strong opinions: nothing but its answers can be learnt
        if value.ndim > 1:
            teacher[name] = value * 2
    student = _fresh(variant, 2)
    job = Job("it", student, task, Recipe("adamw", 4e-3, 0.0, 150, 16), 3, teacher=teacher)
    (done,) = train(net, [job])
    x = examples(task).held_x[:64]
    x = x.long().view(2, 32) if task.problem == "text" else x
    net.eval()
    with torch.no_grad():
        said = [torch.func.functional_call(net, padded(net, state), (x,)) for state in (teacher, student, done.state)]
    if task.problem != "restore":
        said = [answer.softmax(-1) for answer in said]
    wanted, untaught, taught = said
    assert (taught - wanted).square().mean() < 0.75 * (untaught - wanted).square().mean()
