"""``hub-lineage trace`` over real HTTP: its forms, its options, its notes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hub_lineage.testing import LoopbackHub, write_model
from hub_lineage.types import SCHEMA
from tests.cli.conftest import Run
from tests.family import CHILD, TREE
from tests.simulated import tree

OTHERS = [name for name in TREE if name != CHILD]


def test_the_tree_form_answers_in_words(hub: LoopbackHub, run: Run) -> None:
    done = run("trace", CHILD, "--among", *OTHERS)
    assert done.status == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert any(line.startswith("#  model") for line in lines)
    assert sum(line.lstrip().startswith("1  ") for line in lines) == 1
    assert sum(line.endswith("◀ this model") for line in lines) == 1
    assert all(f" {name} " in done.out for name in OTHERS)
    assert "\x1b" not in done.out
    assert lines[-1].startswith("Cost: ")


def test_the_json_form_is_the_schema(hub: LoopbackHub, run: Run) -> None:
    answer = run("trace", CHILD, "--among", *OTHERS, "--json").json
    assert list(answer) == ["schema", "child", "verdict", "candidates", "declared", "agreement", "graph", "cost"]
    assert answer["schema"] == SCHEMA
    assert answer["child"]["id"] == CHILD
    assert {candidate["id"] for candidate in answer["candidates"]} == set(OTHERS)
    total = answer["verdict"]["none_probability"] + sum(candidate["probability"] for candidate in answer["candidates"])
    assert total == pytest.approx(1, abs=1e-6)
    assert answer["cost"]["requests"] > 0


def test_candidates_come_in_three_ways(hub: LoopbackHub, run: Run, tmp_path: Path) -> None:
    def ids(*arguments: str, stdin: str = "") -> list[str]:
        return [row["id"] for row in run("trace", *arguments, "--json", stdin=stdin).json["candidates"]]

    expected = ids(CHILD, "--among", "ann/root", "bob/left-one")
    assert set(expected) == {"ann/root", "bob/left-one"}
    assert ids(CHILD, "--among", "ann/root", "--among", "bob/left-one") == expected
    assert ids("--among", "ann/root", "bob/left-one", "--no-declared", CHILD) == expected
    listed = tmp_path / "candidates.txt"
    listed.write_text("# two of them\nann/root\n\nbob/left-one  # the parent\n", encoding="utf-8")
    assert ids(CHILD, "--among-file", str(listed)) == expected
    assert ids(CHILD, "--among-file", "-", stdin="bob/left-one\nann/root\n") == expected


def test_a_child_after_the_candidates_is_missed(hub: LoopbackHub, run: Run) -> None:
    done = run("trace", "--among", "ann/root", CHILD)
    assert done.status == 2
    assert "CHILD" in done.err


def test_among_without_a_word_is_a_usage_error(hub: LoopbackHub, run: Run) -> None:
    assert run("trace", CHILD, "--among").status == 2
    assert run("trace", CHILD, "--among", "--json").json["error"]["code"] == "usage"


@pytest.mark.parametrize(("form", "start"), [("mermaid", "flowchart TD\n"), ("dot", "digraph lineage {\n")])
def test_the_ancestry_is_exported(hub: LoopbackHub, run: Run, form: str, start: str) -> None:
    done = run("trace", CHILD, "--among", *OTHERS, "--format", form)
    assert done.status == 0
    assert done.out.startswith(start)
    assert "cid/deep" in done.out


def test_a_pasted_address_is_understood_and_said_so(hub: LoopbackHub, run: Run) -> None:
    done = run("trace", f"{hub.url}/{CHILD}/tree/main", "--among", "ann/root", "--json")
    assert done.json["child"]["id"] == CHILD
    assert CHILD in done.err


def test_a_folder_is_traced_by_the_path_that_was_given(hub: LoopbackHub, run: Run, family: Path) -> None:
    folder = str(family / "cid__deep")
    answer = run("trace", folder, "--among", "bob/left-one", str(family / "ann__root"), "--json").json
    assert answer["child"]["id"] == folder
    assert answer["candidates"][0]["id"] == "bob/left-one"


def test_the_registry_gives_the_candidates(hub: LoopbackHub, run: Run) -> None:
    assert run("crawl", "--author", "bob").status == 0
    rows = run("trace", CHILD, "--budget", "0", "--json").json["candidates"]
    assert {row["id"] for row in rows} == {"bob/left-one", "bob/left-two"}


def test_without_a_registry_candidates_are_found_and_kept(hub: LoopbackHub, run: Run) -> None:
    rows = run("trace", CHILD, "--json").json["candidates"]
    assert {"bob/left-one", "ann/left", "ann/root"} <= {row["id"] for row in rows}
    kept = run("trace", CHILD, "--budget", "0", "--json").json["candidates"]
    assert {row["id"] for row in kept} == {row["id"] for row in rows}


def test_the_card_is_left_out_on_command(hub: LoopbackHub, run: Run) -> None:
    assert run("trace", CHILD, "--among", "bob/left-one", "--json").json["declared"][0]["id"] == "bob/left-one"
    plain = run("trace", CHILD, "--among", "bob/left-one", "--no-declared", "--json").json
    assert plain["declared"] == []
    assert not any(edge["declared"] for edge in plain["graph"]["edges"])


def test_top_bounds_the_list(hub: LoopbackHub, run: Run) -> None:
    assert len(run("trace", CHILD, "--among", *OTHERS, "--top", "2", "--json").json["candidates"]) == 2


def test_json_is_plain_ascii_lines(hub: LoopbackHub, run: Run) -> None:
    text = run("trace", CHILD, "--among", "ann/root", "--format", "json").out
    assert json.loads(text)["schema"] == SCHEMA
    assert text.isascii()


def test_depth_full_reads_more_and_what_is_held_whole_not_again(hub: LoopbackHub, run: Run, tmp_path: Path) -> None:
    quick, full = (run("trace", CHILD, "--among", *OTHERS, "--depth", depth, "--json").json for depth in ("quick", "full"))
    assert {**full, "cost": None} == {**quick, "cost": None}
    assert full["cost"]["bytes_read"] == quick["cost"]["bytes_read"]
    for name, model in zip("abc", tree([-1, 0, 1], [1.0, 0.3, 0.3], shapes=[(400, 200), (200, 400)]), strict=True):
        write_model(tmp_path / name, {f"{place}.weight": tensor.astype(np.float32) for place, tensor in enumerate(model)})
    child, *others = [str(tmp_path / name) for name in "cba"]
    costs = [run("trace", child, "--among", *others, "--depth", depth, "--json").json["cost"] for depth in ("quick", "full")]
    assert costs[1]["bytes_read"] - costs[0]["bytes_read"] > 3 * 2 * 400 * 200 * 4
    assert costs[1]["bytes_total"] == costs[0]["bytes_total"]


def test_depth_deep_is_said_not_to_be_there(hub: LoopbackHub, run: Run) -> None:
    done = run("trace", CHILD, "--among", *OTHERS, "--depth", "deep", "--json")
    assert done.status == 2
    assert done.json["error"]["code"] == "usage"
    assert "--depth full" in done.json["error"]["hint"]
