"""``hub-lineage schedule`` against a Hub on loopback: jobs on record, and a registry that lives in a dataset."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from hub_lineage.hub.jobs import JOB_TOKEN, MARK, Jobs
from hub_lineage.registry import Registry
from hub_lineage.schedule import IMAGE, SCRIPT, Work, job_command
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import SCHEMA
from tests.cli.conftest import Run
from tests.schedule.conftest import READER, STORE, TOKEN

# The client sends files in a way that its own HTTP library warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROOT = Path(__file__).parents[2]
CRAWL = ("--", "--author", "ann")


def specs(server: LoopbackHub) -> list[dict[str, Any]]:
    return [job.spec for job in server.site.scheduled.values()]


def stored(server: LoopbackHub, folder: Path) -> set[str]:
    """The models in the dataset's registry."""
    Jobs(server.url, TOKEN).fetch(STORE, folder)
    with Registry.open(folder) as known:
        return {name for name in ("ann/root", "ann/left", "ann/right", "bob/left-one") if known.revision(name)}


def test_a_job_is_scheduled_once(server: LoopbackHub, run: Run) -> None:
    done = run("schedule", "--store", STORE, *CRAWL)
    assert (done.status, done.err) == (0, "")
    ((name, job),) = server.site.scheduled.items()
    assert done.out.splitlines()[0] == f"Scheduled job {name} of ann, @daily."
    assert job.spec["command"] == job_command(Work(("--author", "ann"), STORE))
    assert (job.spec["dockerImage"], job.schedule, job.concurrency) == (IMAGE, "@daily", False)
    assert run("schedule", "--store", STORE, *CRAWL).out.startswith("It is scheduled already:")
    assert run("schedule", "--store", STORE, "--every", "0 6 * * 1", *CRAWL).out.startswith("Gave other times")
    assert [one.schedule for one in server.site.scheduled.values()] == ["0 6 * * 1"]
    run("schedule", "--store", STORE, "--", "--author", "bob")
    assert len(server.site.scheduled) == 2


def test_the_token_is_a_secret_and_nothing_else(server: LoopbackHub, run: Run) -> None:
    done = run("schedule", "--store", STORE, "--json", *CRAWL)
    assert done.json["schema"] == SCHEMA
    assert done.json["schedule"]["status"] == "created"
    (spec,) = specs(server)
    assert spec.pop("secrets") == {"HF_TOKEN": TOKEN}
    assert spec["environment"] == {"HF_ENDPOINT": server.url}
    assert TOKEN not in json.dumps(spec) + done.out + done.err


def test_a_job_may_have_a_token_of_its_own(server: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JOB_TOKEN, "hf_narrow")
    done = run("schedule", "--store", STORE, "--namespace", "org", *CRAWL)
    assert (done.status, specs(server)[0]["secrets"]) == (0, {"HF_TOKEN": "hf_narrow"})
    assert [job.namespace for job in server.site.scheduled.values()] == ["org"]


@pytest.mark.parametrize("printed", ["cron", "github", "uv", "job"])
def test_printing_asks_nothing_and_tells_no_token(server: LoopbackHub, run: Run, printed: str) -> None:
    done = run("schedule", "--store", STORE, "--print", printed, *CRAWL)
    assert (done.status, done.err, server.requests) == (0, "", [])
    assert STORE in done.out
    assert "ann" in done.out
    assert TOKEN not in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--store", STORE),
        CRAWL,
        ("--store", STORE, "--", "--no-such-option"),
        ("--store", STORE, "--", "--limit", "many"),
        ("--store", STORE, "--every", "soon", *CRAWL),
        ("--store", STORE, "--now", "--print", "cron", *CRAWL),
        ("--store", STORE, *CRAWL, "--registry", "here"),
        ("--store", STORE, "--", "--ids-file", "-"),
    ],
)
def test_what_would_fail_at_night_fails_today(server: LoopbackHub, run: Run, arguments: tuple[str, ...]) -> None:
    done = run("schedule", *arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error:")
    assert server.site.scheduled == {}


@pytest.mark.parametrize("refused", [(READER, "missing_scope"), ("hf_nobody", "bad_token")])
@pytest.mark.parametrize("more", [(), ("--now",)])
def test_a_token_that_does_not_go_so_far(
    server: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch, refused: tuple[str, str], more: tuple[str, ...]
) -> None:
    token, code = refused
    monkeypatch.setenv("HF_TOKEN", token)
    done = run("schedule", "--store", STORE, "--json", *more, *CRAWL)
    assert (done.status, done.json["error"]["code"]) == (4, code)
    assert "hf auth login" in done.json["error"]["hint"]
    assert token not in done.out
    assert server.site.scheduled == {}


def test_nobody_is_logged_in(server: LoopbackHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert run("schedule", "--store", STORE, *CRAWL).status == 4
    assert server.requests == []


def test_a_run_puts_the_registry_into_a_private_dataset(server: LoopbackHub, run: Run, tmp_path: Path) -> None:
    done = run("schedule", "--now", "--store", STORE, *CRAWL)
    assert done.status == 0, done.err
    assert "3 added" in done.out
    dataset = server.repository(STORE, kind="dataset")
    assert dataset.private
    names = set(dataset.at("main").files)
    assert {"registry.sqlite", "long.bin", "short.f16"} <= names
    assert not [name for name in names if name.endswith((".lock", "-wal", "-shm", "-journal")) or name.startswith(".cache")]
    assert stored(server, tmp_path / "a") == {"ann/root", "ann/left", "ann/right"}
    again = run("schedule", "--now", "--store", STORE, *CRAWL)
    assert "3 unchanged" in again.out
    assert run("schedule", "--now", "--store", STORE, "--", "--author", "bob").status == 0
    assert stored(server, tmp_path / "b") == {"ann/root", "ann/left", "ann/right", "bob/left-one"}
    titles = [one.title for one in HfApi(server.url, TOKEN).list_repo_commits(STORE, repo_type="dataset")]
    assert MARK in titles


def test_what_somebody_else_put_there_meanwhile_stays(server: LoopbackHub, run: Run, tmp_path: Path) -> None:
    assert run("schedule", "--now", "--store", STORE, *CRAWL).status == 0
    jobs = Jobs(server.url, TOKEN)
    parent = jobs.fetch(STORE, tmp_path / "late")
    assert run("schedule", "--now", "--store", STORE, "--", "--author", "bob").status == 0
    (tmp_path / "late" / "short.f16").write_bytes(b"other")
    with pytest.raises(Exception, match="changed meanwhile"):
        jobs.store(STORE, tmp_path / "late", parent=parent)
    assert "bob/left-one" in stored(server, tmp_path / "now")


def test_a_crawl_that_takes_too_long_ends_in_time_and_the_next_goes_on(server: LoopbackHub, run: Run, tmp_path: Path) -> None:
    assert run("schedule", "--now", "--store", STORE, "--", "--author", "bob").status == 0
    server.fault("hang", path="^/api/models$", seconds=2.0)
    done = run("schedule", "--now", "--hours", "0.0001", "--store", STORE, *CRAWL)
    assert (done.status, done.out) == (0, "")
    assert done.err.endswith("Time is up; the next run goes on from here.\n")
    assert stored(server, tmp_path / "a") == {"bob/left-one"}
    assert run("schedule", "--now", "--store", STORE, *CRAWL).status == 0
    assert len(stored(server, tmp_path / "b")) == 4


def test_without_a_dataset_a_run_is_a_plain_crawl(server: LoopbackHub, run: Run, tmp_path: Path) -> None:
    place = tmp_path / "here"
    assert run("schedule", "--now", *CRAWL, "--registry", str(place)).status == 0
    with Registry.open(place) as known:
        assert known.revision("ann/root")


def test_the_script_for_uv_does_the_same(server: LoopbackHub, tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / SCRIPT), "--store", STORE, *CRAWL]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert stored(server, tmp_path / "a") == {"ann/root", "ann/left", "ann/right"}
