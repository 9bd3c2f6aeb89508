"""``hub-lineage card`` over real HTTP: the diff, the question, the link, JSON, and exit statuses."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_lineage.testing import LoopbackHub
from hub_lineage.types import SCHEMA
from tests.card.cases import CHILD, LATE, READER, TOKEN, case, commits_of, put_all, put_child
from tests.cli.conftest import Run


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        put_all(hub)
        put_child(hub)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HUB_LINEAGE_REGISTRY", str(tmp_path / "registry"))
        yield hub
    assert hub.crashes == []


def test_a_dry_run_prints_the_diff_and_sends_nothing(server: LoopbackHub, run: Run) -> None:
    done = run("card", CHILD, "--among", *case().among, "--dry-run")
    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert lines[:2] == ["--- a/README.md", "+++ b/README.md"]
    assert f"+base_model: {case().parent}" in lines
    assert lines[-1] == "Nothing was sent."
    assert "\x1b" not in done.out
    assert commits_of(server) == 0


def test_yes_opens_a_pull_request_and_prints_its_link(server: LoopbackHub, run: Run) -> None:
    done = run("card", CHILD, "--among", *case().among, "--yes")
    assert done.status == 0
    assert done.out.splitlines()[-1] == f"Opened a pull request: {server.url}/{CHILD}/discussions/1"
    again = run("card", CHILD, "--among", *case().among, "--yes")
    assert again.out.splitlines()[-1] == f"Such a pull request is open already: {server.url}/{CHILD}/discussions/1"
    assert commits_of(server) == 1


def test_json_is_one_object(server: LoopbackHub, run: Run) -> None:
    answer = run("card", CHILD, "--among", *case().among, "--yes", "--json").json
    assert list(answer) == ["schema", "card"]
    assert answer["schema"] == SCHEMA
    assert list(answer["card"]) == ["id", "revision", "status", "parents", "relation", "reason", "diff", "url"]
    assert answer["card"]["status"] == "opened"
    assert answer["card"]["parents"] == [case().parent]
    assert answer["card"]["url"] == f"{server.url}/{CHILD}/discussions/1"


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_without_anybody_to_ask_it_asks_for_yes(server: LoopbackHub, run: Run, more: list[str]) -> None:
    done = run("card", CHILD, "--among", *case().among, *more)
    assert done.status == 2
    assert "--yes" in done.out + done.err
    assert server.requests == []


def in_terminal(answer: str) -> tuple[int, str]:
    """Runs the command as a person would, in a terminal, and types an answer."""
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "hub_lineage.cli", "card", CHILD, "--among", *case().among]
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env={**os.environ, "NO_COLOR": "1"}) as running:
        os.close(inner)
        shown = b""
        try:
            while piece := os.read(outer, 4096):
                shown += piece
                if b"[y/N]: " in shown and answer:
                    os.write(outer, f"{answer}\n".encode())
                    answer = ""
        except OSError:  # how a terminal says that nobody is left at its other end
            pass
        os.close(outer)
        return running.wait(60), shown.decode()


@pytest.mark.parametrize(("answer", "commits", "words"), [("n", 0, "Nothing was sent."), ("y", 1, "Opened a pull request: ")])
def test_a_person_is_shown_the_diff_and_asked(server: LoopbackHub, answer: str, commits: int, words: str) -> None:
    status, shown = in_terminal(answer)
    assert status == 0, shown
    assert shown.count(f"+base_model: {case().parent}") == 1
    assert shown.index("+base_model:") < shown.index("[y/N]") < shown.index(words)
    assert commits_of(server) == commits


def test_what_is_declared_otherwise_is_an_answer(server: LoopbackHub, run: Run) -> None:
    put_child(server, b"---\nbase_model: org/other\n---\n")
    done = run("card", CHILD, "--among", *case().among, "--yes")
    assert done.status == 0
    assert "base_model: org/other. Add --overwrite to replace it. Nothing was written." in done.out
    assert run("card", CHILD, "--among", *case().among, "--yes", "--overwrite").out.splitlines()[-1].startswith("Opened")


def test_an_opt_out_is_an_answer(server: LoopbackHub, run: Run) -> None:
    put_child(server, b"<!-- hub-lineage: off -->")
    done = run("card", CHILD, "--among", *case().among, "--yes")
    assert (done.status, done.out.endswith("Nothing was written.\n")) == (0, True)


@pytest.mark.parametrize(("token", "code"), [(READER, "missing_scope"), (LATE, "expired_token"), ("hf_nobody", "bad_token")])
def test_a_token_that_does_not_go_so_far(
    server: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch, token: str, code: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    done = run("card", CHILD, "--among", *case().among, "--yes", "--json")
    assert (done.status, done.json["error"]["code"]) == (4, code)
    assert "hf auth login" in done.json["error"]["hint"]
    assert server.repository(CHILD).discussions == []


def test_failures_have_their_statuses(server: LoopbackHub, run: Run) -> None:
    put_child(server, b"---\nlicense: [\n---\n")
    among = ("--among", *case().among)
    assert run("card", CHILD, *among, "--yes").status == 5
    assert run("card", "no/such", *among, "--yes").status == 3
    assert run("card", f"{CHILD}@main", *among, "--yes").status == 2
    assert run("card", CHILD, "--yes", "--dry-run").status == 5
    put_child(server)
    assert run("card", CHILD, *among, "--yes", "--daily-cap", "0").status == 6
    assert run("card", CHILD, "--dry-run", "--registry", str(Path(__file__).parent)).status == 7  # that is none
    assert commits_of(server) == 0
