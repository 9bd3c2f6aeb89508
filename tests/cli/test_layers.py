"""``hub-lineage layers`` on folders and over real HTTP."""

from __future__ import annotations

import xml.etree.ElementTree as ET  # the file is our own
from collections.abc import Sequence
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from hub_lineage.testing import LoopbackHub
from hub_lineage.types import SCHEMA
from tests.cli.conftest import Run
from tests.family import CHILD, TREE
from tests.stacks import Weights, headed, stack

DEPTH = 4


def write(folder: Path, name: str, weights: Weights) -> str:
    (folder / name).mkdir()
    save_file(weights, folder / name / "model.safetensors")
    return str(folder / name)


@pytest.fixture
def parts(tmp_path: Path) -> Sequence[str]:
    """A hybrid, a stack of two, and the two that both were made of."""
    trunk, neck = (headed(stack(seed, range(DEPTH)), seed) for seed in (1, 2))
    hybrid = {name: (neck if ".layers.3." in name else trunk)[name] for name in trunk}
    grown = headed(stack(1, [0, 1, 2, 1, 2, 3]), 1)
    models = {"hybrid": hybrid, "grown": grown, "trunk": trunk, "neck": neck}
    return [write(tmp_path, name, weights) for name, weights in models.items()]


def test_a_hybrid_is_told_tensor_by_tensor(parts: Sequence[str], run: Run, tmp_path: Path) -> None:
    child, _, trunk, neck = parts
    done = run("layers", child, "--among", trunk, neck, "--svg", str(tmp_path / "strip.svg"))
    assert (done.status, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    told = {line[0]: line[4] for line in lines if line and line[0].startswith("model.layers")}
    assert told == {name: "B" if ".layers.3." in name else "A" for name in told}
    assert len(told) == 7 * DEPTH
    assert ["A", trunk] in lines
    assert ["B", neck] in lines
    assert len(list(ET.parse(tmp_path / "strip.svg").iter("{http://www.w3.org/2000/svg}title"))) == 1 + 7 * DEPTH


def test_a_grown_network_is_told_block_by_block_as_json(parts: Sequence[str], run: Run) -> None:
    _, child, trunk, neck = parts
    found = run("layers", child, "--among", trunk, neck, "--json").json
    assert list(found) == ["schema", "child", "layers", "origins", "method", "summary", "cost"]
    assert found["schema"] == SCHEMA
    assert found["origins"] == [trunk]
    assert all(row["origins"] == [[trunk, 1.0]] and row["unexplained"] == 0 for row in found["layers"])
    assert found["cost"]["bytes_read"] > 0


def test_models_on_the_hub_are_named_by_id(hub: LoopbackHub, run: Run) -> None:
    found = run("layers", CHILD, "--among", *TREE, "--json").json
    assert found["child"]["id"] == CHILD
    assert set(found["origins"]) <= set(TREE) - {CHILD}
    assert "eve/stranger" not in found["origins"]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["layers"], 2, "usage"),
        (["layers", "no/such"], 3, "not_found"),
        (["layers", CHILD, "--among"], 2, "usage"),
        (["layers", CHILD, "--among", "ann/root", "--svg", "/no/such/folder/strip.svg"], 2, "usage"),
    ],
)
def test_a_trouble_is_told(hub: LoopbackHub, run: Run, arguments: list[str], status: int, code: str) -> None:
    done = run(*arguments, "--json")
    assert done.status == status
    assert done.json["error"]["code"] == code
