"""``hub-lineage crawl`` and ``registry`` over real HTTP."""

from __future__ import annotations

from pathlib import Path

from hub_lineage.testing import LoopbackHub
from tests.cli.conftest import Run
from tests.family import TREE


def test_a_crawl_adds_what_is_new_and_tells_what_failed(hub: LoopbackHub, run: Run) -> None:
    first = run("crawl", "--limit", "100", "--json").json["crawl"]
    assert first["added"] == len(TREE)
    failed = {each["id"]: each["code"] for each in first["failed"]}
    assert failed["bad/gated"] == "gated"
    assert failed["bad/empty"] == "no_weights"
    assert failed["bad/lie"] == "bad_weights"
    again = run("crawl", "--limit", "100", "--json").json["crawl"]
    assert (again["added"], again["unchanged"]) == (0, len(TREE))


def test_a_crawl_in_words(hub: LoopbackHub, run: Run) -> None:
    done = run("crawl", "--author", "bob")
    assert done.out.splitlines()[0] == "Saw 2 models: 2 added, 0 unchanged, 0 not read."
    assert done.err == ""


def test_a_crawl_of_a_list(hub: LoopbackHub, run: Run) -> None:
    done = run("crawl", "--ids-file", "-", "--json", stdin="ann/root\n# no more\nno/such\n")
    assert done.json["crawl"]["added"] == 1
    assert done.json["crawl"]["failed"][0]["id"] == "no/such"


def test_a_crawl_of_everything_must_be_meant(hub: LoopbackHub, run: Run) -> None:
    done = run("crawl")
    assert done.status == 2
    assert "--author" in done.err


def test_the_registry_is_described_and_listed(hub: LoopbackHub, run: Run, tmp_path: Path) -> None:
    folder = str(tmp_path / "other")
    run("crawl", "--author", "ann", "--registry", folder)
    info = run("registry", "info", "--registry", folder, "--json").json["registry"]
    assert (info["folder"], info["models"]) == (folder, 3)
    assert "3 models of 1 architectures" in run("registry", "info", "--registry", folder).out
    assert run("registry", "list", "--registry", folder).out.split() == ["ann/left", "ann/right", "ann/root"]
    assert run("registry", "list", "--registry", folder, "--json").json["models"] == ["ann/left", "ann/right", "ann/root"]


def test_no_registry_is_told(hub: LoopbackHub, run: Run, tmp_path: Path) -> None:
    done = run("registry", "info", "--registry", str(tmp_path / "none"))
    assert done.status == 7
    assert "crawl" in done.err
