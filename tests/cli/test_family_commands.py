"""``hub-lineage family`` and ``hub-lineage phylogeny`` over real HTTP, and ``--with`` on all that judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_lineage.testing import LoopbackHub
from hub_lineage.types import SCHEMA
from tests.cli.conftest import Run
from tests.family import CHILD, TREE

KIN = {name for name in TREE if name != "eve/stranger"}


def test_a_family_is_drawn_from_its_root(hub: LoopbackHub, run: Run) -> None:
    done = run("family", CHILD, "--among", *TREE)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"{CHILD} has 5 relatives among the models known here."
    assert sum(line.endswith("◀ this model") for line in lines) == 1
    assert all(sum(name in line for line in lines[1:]) == 1 for name in KIN)
    assert "Compared, and not of the family: eve/stranger." in done.out
    assert lines[-1].startswith("Cost: ")


def test_a_family_is_found_without_naming_it_and_kept(hub: LoopbackHub, run: Run) -> None:
    found = run("family", CHILD, "--json").json
    assert {row["id"] for row in found["models"]} == KIN
    again = run("family", CHILD, "--budget", "0", "--json").json
    assert {row["id"] for row in again["models"]} == KIN


def test_a_phylogeny_is_of_the_models_named_alone(hub: LoopbackHub, run: Run, tmp_path: Path) -> None:
    listed = tmp_path / "models.txt"
    listed.write_text("ann/root\nann/left  # a child\n\neve/stranger\n", encoding="utf-8")
    named = run("phylogeny", "--among", "ann/root", "ann/left", "eve/stranger", "--json").json
    assert named["schema"] == SCHEMA
    assert list(named) == ["schema", "model", "models", "kinship", "graph", "outside", "unread", "cost"]
    assert {row["id"]: row["family"] for row in named["models"]} == {"ann/root": 1, "ann/left": 1, "eve/stranger": None}
    for arguments in (["--among-file", str(listed)], ["--among-file", "-"]):
        other = run("phylogeny", *arguments, "--json", stdin=listed.read_text("utf-8")).json
        assert other["models"] == named["models"]
        assert other["graph"] == named["graph"]


@pytest.mark.parametrize(("form", "start"), [("mermaid", "flowchart TD\n"), ("dot", "digraph lineage {\n"), ("json", "{")])
def test_both_are_exported(hub: LoopbackHub, run: Run, form: str, start: str) -> None:
    for command in (["family", CHILD], ["phylogeny"]):
        done = run(*command, "--among", *TREE, "--format", form)
        assert done.status == 0
        assert done.out.startswith(start)
        assert "cid/deep" in done.out


def test_what_cannot_be_read_is_told_and_spoils_nothing(hub: LoopbackHub, run: Run) -> None:
    done = run("phylogeny", "--among", "ann/root", "ann/left", "bad/short", "no/such")
    assert done.status == 0
    assert "Could not be read: bad/short." in done.out
    assert "Could not be read: no/such." in done.out
    found = run("family", "ann/root", "--among", "ann/left", "bad/gated", "--json").json
    assert [(one["id"], one["code"]) for one in found["unread"]] == [("bad/gated", "gated")]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (["phylogeny"], 2, "usage"),
        (["phylogeny", "--among"], 2, "usage"),
        (["phylogeny", "--among", "no/such"], 3, "not_found"),
        (["phylogeny", "--among", "two words"], 2, "bad_reference"),
        (["family"], 2, "usage"),
        (["family", "no/such"], 3, "not_found"),
        (["family", CHILD, "--with", "names"], 2, "usage"),
        (["phylogeny", "--among", "ann/root", "--no-declared", "--with", "declared"], 2, "usage"),
        (["trace", CHILD, "--with", "dates,date"], 2, "usage"),
        (["trace", CHILD, "--with"], 2, "usage"),
        (["trace", CHILD, "--no-declared", "--with", "declared"], 2, "usage"),
    ],
)
def test_a_trouble_is_told(hub: LoopbackHub, run: Run, arguments: list[str], status: int, code: str) -> None:
    said = run(*arguments)
    assert said.status == status
    assert said.out == ""
    assert len(said.err.splitlines()) == 2
    as_json = run(*arguments[:1], "--json", *arguments[1:])
    assert (as_json.status, as_json.json["error"]["code"]) == (status, code)


def test_soft_evidence_is_asked_for_by_commas_or_again(hub: LoopbackHub, run: Run) -> None:
    def candidates(*arguments: str) -> object:
        return run("trace", CHILD, "--among", *TREE, *arguments, "--json").json["candidates"]

    both = candidates("--with", "dates,declared")
    assert candidates("--with", "declared", "--with", "dates") == both
    assert candidates("--with", "dates, declared") == both
    assert candidates() != both
    done = run("trace", CHILD, "--among", *TREE, "--with", "dates,declared")
    assert done.status == 0
    row = next(line for line in done.out.splitlines() if line.startswith("1  bob/left-one "))
    assert "uploaded before it: odds × " in row
    assert "named as its base: odds × 10" in row
    assert "by weights alone" in row


def test_dates_move_a_phylogeny_as_they_move_a_trace(hub: LoopbackHub, run: Run) -> None:
    def edges(*arguments: str) -> dict[str, float]:
        graph = run(*arguments, "--among", *TREE, "--with", "dates", "--json").json["graph"]
        return {edge["child"]: edge["probability"] for edge in graph["edges"] if edge["detected"]}

    assert edges("trace", CHILD)[CHILD] == edges("family", CHILD)[CHILD] == edges("phylogeny")[CHILD]
