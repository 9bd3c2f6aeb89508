"""``hub-lineage crawl`` and ``registry`` over real HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub_lineage.cli.crawl import pace
from hub_lineage.crawl import planning
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


def test_a_dry_run_says_what_there_is_to_do_and_makes_nothing(hub: LoopbackHub, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    done = run("crawl", "--author", "ann", "--dry-run", "--json", "--registry", str(folder))
    assert (done.json["plan"]["seen"], done.json["plan"]["to_read"]) == (3, 3)
    assert done.json["plan"]["requests"] > 3
    assert not folder.exists()
    run("crawl", "--author", "ann", "--registry", str(folder))
    words = run("crawl", "--all", "--dry-run", "--registry", str(folder)).out
    assert "3 unchanged" in words
    assert "requests" in words
    assert {record.path.count("/resolve/") for record in hub.requests if "/bob/" in record.path} <= {0}


def test_what_failed_waits_and_is_told(hub: LoopbackHub, run: Run) -> None:
    run("crawl", "--author", "bad")
    again = run("crawl", "--author", "bad")
    assert "wait for their time" in again.out
    assert run("crawl", "--author", "bad", "--json").json["crawl"]["postponed"] > 0
    assert run("crawl", "--author", "bad", "--retry", "--json").json["crawl"]["postponed"] == 0


def test_what_is_gone_is_told(hub: LoopbackHub, run: Run) -> None:
    run("crawl", "--author", "bob")
    name = next(name for name in sorted(hub.site.catalogue.repositories) if name.startswith("bob/"))
    hub.remove(name)
    assert f"{name} is no longer on the Hub" in run("crawl", "--author", "bob").out


def test_seeds_show_their_cost_beforehand(hub: LoopbackHub, run: Run) -> None:
    for k in range(9):
        hub.add_repo(f"new/child{k}", files={"config.json": "{}"}, card={"base_model": "ann/root"})
    done = run("crawl", "--seed", "1", "--json")
    assert "1 to read" in done.err
    assert done.json["crawl"]["added"] == 1
    assert run("registry", "list").out.split() == ["ann/root"]


def test_the_most_derived_roots_are_taken_and_their_cost_is_known_before_they_are_read(hub: LoopbackHub, run: Run) -> None:
    named = (["ann/root"], ["ann/root", "bob/left-one"], ["ann/root", "no/such"], ["bob/left-one", "no/such"], ["no/such"])
    for k, parents in enumerate(3 * named):
        hub.add_repo(f"new/child{k}", files={"config.json": "{}"}, card={"base_model": parents})
    hub.forget()
    shown = run("crawl", "--seed", "3", "--dry-run", "--json").json["plan"]
    assert (shown["to_read"], shown["requests"] > 3, shown["bytes"] > 0) == (3, True, True)
    assert {record.path for record in hub.requests} == {"/api/models"}
    done = run("crawl", "--seed", "3", "--json")
    assert done.err.splitlines()[0].startswith("3 models: 3 to read")
    assert "requests" in done.err
    assert (done.json["crawl"]["added"], [each["id"] for each in done.json["crawl"]["failed"]]) == (2, ["no/such"])
    assert run("registry", "list").out.split() == ["ann/root", "bob/left-one"]
    again = run("crawl", "--seed", "3")
    assert again.err.splitlines()[0].startswith("3 models: 0 to read, 2 unchanged, 1 that failed before")


def test_changes_alone_are_told(hub: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_PAGE", 1)
    assert run("crawl", "--author", "ann", "--json").json["crawl"]["changes_since"] is None
    again = run("crawl", "--author", "ann", "--json").json["crawl"]
    assert again["changes_since"] is not None
    assert f"models changed since {again['changes_since']}" in run("crawl", "--author", "ann").out
    assert "changed since" in run("crawl", "--author", "ann", "--dry-run").out
    assert run("crawl", "--author", "ann", "--relist", "--json").json["crawl"]["changes_since"] is None


def test_limits_that_never_lift_are_told(hub: LoopbackHub, run: Run) -> None:
    hub.limit("api", calls=1, window=10**6)
    done = run("crawl", "--author", "ann", "--json")
    assert (done.status, done.json["error"]["code"]) == (6, "rate_limited")
    assert "higher limits" in done.json["error"]["hint"]


def test_lists_and_conditions_exclude_each_other(hub: LoopbackHub, run: Run) -> None:
    assert run("crawl", "--seed", "1", "--author", "ann").status == 2
    assert run("crawl", "--seed", "1", "--ids-file", "-", stdin="a/b\n").status == 2
    assert run("crawl", "--since", "yesterday").status == 2


@pytest.mark.parametrize(
    ("done", "total", "seconds", "expected"),
    [
        (10, 20, 10.0, "1.0 a second, 10 s left"),
        (10, 3010, 10.0, "50 min left"),
        (1, 90001, 1.0, "25.0 h"),
        (50, 0, 10.0, "5.0 a second)"),
    ],
)
def test_rate_and_time_left(done: int, total: int, seconds: float, expected: str) -> None:
    assert expected in pace(done, total, seconds)
