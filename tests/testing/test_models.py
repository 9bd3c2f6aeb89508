"""The models that tests serve."""

from __future__ import annotations

import json
import math
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open

from hub_lineage.testing import LoopbackHub, llama_shapes, sparse_model, write_model

TENSORS = {f"layer.{number}.weight": np.full((4, number + 1), number, np.float32) for number in range(7)}


def read_back(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as opened:
            for name in opened.keys():  # noqa: SIM118 - not a dict
                found[name] = opened.get_tensor(name)
    return found


@pytest.mark.parametrize("shards", [1, 3, 7, 20])
def test_weights_come_back(tmp_path: Path, shards: int) -> None:
    write_model(tmp_path / "model", TENSORS, shards=shards)
    found = read_back(tmp_path / "model")
    assert set(found) == set(TENSORS)
    assert all(np.array_equal(found[name], tensor) for name, tensor in TENSORS.items())


def test_shards_have_an_index(tmp_path: Path) -> None:
    write_model(tmp_path, TENSORS, shards=3, config={"a": 1})
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(TENSORS)
    assert set(index["weight_map"].values()) == {f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)}
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in TENSORS.values())
    assert json.loads((tmp_path / "config.json").read_text()) == {"a": 1}


def test_storing_in_another_dtype(tmp_path: Path) -> None:
    write_model(tmp_path, {**TENSORS, "steps": np.arange(3)}, dtype=ml_dtypes.bfloat16)
    header = (tmp_path / "model.safetensors").read_bytes()
    entries = json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])
    assert {entry["dtype"] for name, entry in entries.items() if name.startswith("layer")} == {"BF16"}
    assert entries["steps"]["dtype"] == "I64"


def test_the_shapes_of_a_llama() -> None:
    shapes = llama_shapes()
    assert len(shapes) == 291
    assert sum(map(math.prod, shapes.values())) == 6_738_415_616


def test_a_sparse_model_takes_no_room(tmp_path: Path) -> None:
    folder = sparse_model(tmp_path / "huge")
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == 4
    assert sum(file.stat().st_size for file in files) > 13.4e9
    assert sum(file.stat().st_blocks * 512 for file in files) < 10_000_000


def test_a_sparse_model_is_a_model(tmp_path: Path) -> None:
    shapes = llama_shapes(layers=2, hidden=32, inner=64, vocabulary=100)
    folder = sparse_model(tmp_path / "small", shapes, shards=2, patches=2, patch_bytes=16)
    found = read_back(folder)
    assert {name: tensor.shape for name, tensor in found.items()} == shapes
    assert all(0 < np.count_nonzero(tensor) <= 16 for tensor in found.values())
    again = read_back(sparse_model(tmp_path / "again", shapes, shards=2, patches=2, patch_bytes=16))
    other = read_back(sparse_model(tmp_path / "other", shapes, shards=2, patches=2, patch_bytes=16, seed=1))
    assert all(np.array_equal(found[name], again[name]) for name in shapes)
    assert not all(np.array_equal(found[name], other[name]) for name in shapes)


def test_commits_depend_on_content_alone(tmp_path: Path) -> None:
    for seed in (0, 1):
        sparse_model(tmp_path / f"copy-{seed}", seed=0)
    sparse_model(tmp_path / "other", seed=1)
    hubs = [LoopbackHub() for _ in range(3)]
    folders = [tmp_path / "copy-0", tmp_path / "copy-1", tmp_path / "other"]
    commits = [hub.add_repo("org/name", folder=folder).at("main") for hub, folder in zip(hubs, folders, strict=True)]
    assert commits[0].oid == commits[1].oid != commits[2].oid
    name = "model-00001-of-00004.safetensors"
    assert commits[0].files[name].sha256 == commits[1].files[name].sha256 != commits[2].files[name].sha256
