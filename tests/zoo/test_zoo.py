from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.zoo import ZooModel, build, load_truth
from benchmarks.zoo.breeding import cosine
from benchmarks.zoo.plan import plan


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("zoo"), size="tiny", seed=1)


@pytest.fixture(scope="session")
def models(folder: Path) -> dict[str, ZooModel]:
    return {model.id: model for model in load_truth(folder)}


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
