"""``hub-lineage unmerge`` over real HTTP: what is printed, as words and as JSON, from candidates named and from a registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hub_lineage.testing import LoopbackHub, write_model
from hub_lineage.types import SCHEMA
from hub_lineage.unmerge import unmerge
from tests.cli.conftest import Run
from tests.family import TREE

MERGED = "zoe/merged"
PARENTS = {"bob/left-one": 0.6, "eve/stranger": 0.4}


@pytest.fixture
def merged(hub: LoopbackHub, family: Path, tmp_path: Path) -> LoopbackHub:
    """The Hub with a merge of two strangers beside the family."""
    held = [load_file(family / name.replace("/", "__") / "model.safetensors") for name in PARENTS]
    made = {key: np.float32(0.6) * held[0][key] + np.float32(0.4) * held[1][key] for key in held[0]}
    hub.add_repo(MERGED, folder=write_model(tmp_path / "merged", made, config={"model_type": "cnn"}))
    return hub


def test_a_merge_is_taken_apart(merged: LoopbackHub, run: Run) -> None:
    done = run("unmerge", MERGED, "--among", *TREE)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith(f"{MERGED} is a weighted sum: 0.6 of bob/left-one and 0.4 of eve/stranger. ")
    rows = [line.split()[:2] for line in lines[3:5]]
    assert rows == [["bob/left-one", "0.6000"], ["eve/stranger", "0.4000"]]
    assert lines[-1].startswith("Compared with 7 different models of its architecture. Cost: ")


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_json_has_all_of_it(merged: LoopbackHub, run: Run, depth: str) -> None:
    found = run("unmerge", MERGED, "--among", *TREE, MERGED, "--depth", depth, "--json").json
    assert list(found) == [
        "schema", "model", "revision", "kind", "method", "summary", "parents", "unexplained", "null", "layers", "compared",
        "unread", "cost",
    ]  # fmt: skip
    assert (found["schema"], found["model"], found["kind"], found["method"]) == (SCHEMA, MERGED, "merge", "linear")
    assert {row["id"]: row["coefficient"] for row in found["parents"]} == pytest.approx(PARENTS, abs=1e-5)
    assert found["unexplained"] < 1e-10 < found["null"]["mean"]
    assert all(dict(layer["origins"]) == pytest.approx(PARENTS, abs=1e-4) for layer in found["layers"])
    assert found["cost"]["requests"] > 0


def test_parents_are_found_in_a_registry_and_kept_there(merged: LoopbackHub, run: Run) -> None:
    named = run("trace", "ann/root", "--json").json  # the search keeps what it reads
    assert named["candidates"]
    found = run("unmerge", MERGED, "--json").json
    assert found["kind"] == "merge"
    assert {row["id"] for row in found["parents"]} == set(PARENTS)
    again = run("unmerge", MERGED, "--budget", "0", "--json").json
    assert again["parents"] == found["parents"]


def test_a_missing_parent_is_told(merged: LoopbackHub, run: Run) -> None:
    kin = [name for name in TREE if name != "bob/left-one"]
    done = run("unmerge", MERGED, "--among", *kin)
    assert done.status == 0
    assert "a parent is missing here, or that was trained on" in done.out
    assert run("unmerge", MERGED, "--among", *kin, "--json").json["kind"] == "incomplete"


def test_what_is_no_merge_is_said_to_be_none(merged: LoopbackHub, run: Run) -> None:
    assert run("unmerge", "cid/deep", "--among", *TREE).out.startswith("Nothing shows cid/deep to be a merge of these models: ")
    copy = run("unmerge", "ann/root", "--among", "bad/copy", "ann/left", "--json")
    assert copy.status == 0
    assert copy.json["kind"] == "none"
    assert [one["id"] for one in copy.json["unread"]] == ["bad/copy"]
    source = run("unmerge", "bob/left-one", "--among", MERGED, "eve/stranger", "ann/root", "--json").json
    assert (source["kind"], source["layers"]) == ("source", [])


def test_tensors_put_together_are_told(hub: LoopbackHub, family: Path, run: Run, tmp_path: Path) -> None:
    one, other = (load_file(family / name.replace("/", "__") / "model.safetensors") for name in PARENTS)
    hub.add_repo("zoe/joined", folder=write_model(tmp_path / "joined", one | {"conv3.weight": other["conv3.weight"]}))
    found = run("unmerge", "zoe/joined", "--among", *TREE, "--json").json
    assert (found["kind"], found["method"]) == ("merge", "passthrough")
    assert {row["id"] for row in found["parents"]} == set(PARENTS)
    origins = {layer["tensor"]: {name for name, weight in layer["origins"] if round(weight)} for layer in found["layers"]}
    assert origins == {key: {"eve/stranger" if key == "conv3.weight" else "bob/left-one"} for key in one if key in origins}
    said = run("unmerge", "zoe/joined", "--among", *TREE).out
    assert said.startswith("zoe/joined is put together tensor by tensor: bob/left-one and eve/stranger. ")


def test_nothing_to_compare_is_an_answer(merged: LoopbackHub, run: Run) -> None:
    alone = run("unmerge", MERGED, "--among", MERGED)
    assert alone.status == 0
    assert alone.out.startswith(f"Nothing can be said of what {MERGED} is made of: no other model is known here.")


def test_local_folders_need_no_network(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    folders = [str(family / name.replace("/", "__")) for name in TREE]
    held = [load_file(Path(folder) / "model.safetensors") for folder in folders[:2]]
    made = {key: np.float32(0.5) * (held[0][key] + held[1][key]) for key in held[0]}
    found = unmerge(str(write_model(tmp_path / "local", made)), among=folders)
    assert {parent.id for parent in found.parents} == set(folders[:2])


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["unmerge"], 2, "usage"),
        (["unmerge", "no/such"], 3, "not_found"),
        (["unmerge", "ann/root", "--depth", "deep"], 2, "usage"),
        (["unmerge", "ann/root", "--among", "no/such"], 3, "not_found"),
        (["unmerge", "bad/short", "--among", "ann/root"], 5, "bad_weights"),
    ],
)
def test_a_trouble_is_told(hub: LoopbackHub, run: Run, arguments: list[str], status: int, code: str) -> None:
    said = run(*arguments)
    assert (said.status, said.out) == (status, "")
    as_json = run(*arguments, "--json")
    assert (as_json.status, as_json.json["error"]["code"]) == (status, code)
