"""Every failure is a sentence with what to do, its documented status, and JSON where JSON was asked for."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hub_lineage.testing import LoopbackHub
from hub_lineage.types import SCHEMA
from tests.cli.conftest import Run
from tests.family import CHILD

TROUBLES = {
    "unknown": (["no/such"], 3, "not_found"),
    "no revision": ([f"{CHILD}@none"], 3, "not_found"),
    "no folder": (["./no/such/folder"], 3, "not_found"),
    "gated": (["bad/gated"], 4, "gated"),
    "empty": (["bad/empty"], 5, "no_weights"),
    "words alone": (["bad/words"], 5, "no_weights"),
    "truncated": (["bad/short"], 5, "bad_weights"),
    "lying header": (["bad/lie"], 5, "bad_weights"),
    "spaces": (["two words"], 2, "bad_reference"),
    "nothing": ([""], 2, "bad_reference"),
    "unknown option": ([CHILD, "--colour"], 2, "usage"),
    "bad choice": ([CHILD, "--depth", "shallow"], 2, "usage"),
    "no candidates file": ([CHILD, "--among-file", "no-such-file"], 2, "usage"),
    "no candidate readable": ([CHILD, "--among", "no/such"], 3, "not_found"),
    "no registry": ([CHILD, "--budget", "0"], 7, "registry"),
}


@pytest.mark.parametrize(("arguments", "status", "code"), TROUBLES.values(), ids=TROUBLES)
def test_a_trouble_is_told(hub: LoopbackHub, run: Run, arguments: list[str], status: int, code: str) -> None:
    said = run("trace", *arguments)
    assert said.status == status
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert len(said.err.splitlines()) == 2  # what happened, what to do
    assert "Traceback" not in said.err
    as_json = run("trace", *arguments, "--json")
    assert as_json.status == status
    assert as_json.err == ""
    assert as_json.json["schema"] == SCHEMA
    assert as_json.json["error"]["code"] == code
    assert all(as_json.json["error"][part] for part in ("message", "hint"))


def test_a_private_model_is_not_told_from_one_that_is_not_there(hub: LoopbackHub, run: Run) -> None:
    assert run("trace", "bad/private").status in {3, 4}


def test_no_network_is_told(hub: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = run("trace", CHILD, "--json")
    assert done.status == 6
    assert done.json["error"]["code"] == "network"


def test_a_registry_from_the_future_is_told(hub: LoopbackHub, run: Run, tmp_path: Path) -> None:
    assert run("crawl", "--author", "bob").status == 0
    with sqlite3.connect(tmp_path / "registry" / "registry.sqlite") as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    done = run("trace", CHILD, "--json")
    assert done.status == 7
    assert done.json["error"]["code"] == "registry_version"


def test_no_command_shows_help_and_a_wrong_one_is_a_usage_error(run: Run) -> None:
    assert "Start here" in run().err
    done = run("trice", "--json")
    assert done.status == 2
    assert "trice" in done.json["error"]["message"]


def test_an_unforeseen_failure_says_how_to_see_more(hub: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr("hub_lineage.cli.trace.trace", fail)
    done = run("trace", CHILD)
    assert done.status == 1
    assert "ValueError: a mistake of ours" in done.err
    assert "HUB_LINEAGE_DEBUG=1" in done.err
    monkeypatch.setenv("HUB_LINEAGE_DEBUG", "1")
    with pytest.raises(ValueError, match="a mistake of ours"):
        run("trace", CHILD)
