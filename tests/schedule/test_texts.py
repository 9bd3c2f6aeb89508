"""What cron, GitHub and a Job are given: texts that hold the crawl as it was asked for, and never a token."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.errors import UsageError
from hub_lineage.schedule import NAMED, SCRIPT, Work, command, cron_line, job_command, uv_line, workflow
from hub_lineage.testing import LoopbackHub
from tests.schedule.conftest import STORE, TOKEN

ROOT = Path(__file__).parents[2]
WORDS = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12), min_size=1, max_size=4)
CRAWLS = WORDS.map(tuple).filter(lambda words: not any("${{" in word for word in words))


@given(CRAWLS)
def test_a_shell_reads_back_what_was_asked_for(crawl: tuple[str, ...]) -> None:
    assert shlex.split(command(Work(crawl))) == ["hub-lineage", "crawl", *crawl]
    stored = shlex.split(command(Work(crawl, "a/b")))
    assert stored == ["hub-lineage", "schedule", "--now", "--store", "a/b", "--", *crawl]


@given(CRAWLS)
def test_cron_reads_back_what_was_asked_for(crawl: tuple[str, ...]) -> None:
    line = cron_line(Work(crawl, every="@weekly"))
    fields, rest = line.split(" ", 5)[:5], line.split(" ", 5)[5]
    assert " ".join(fields) == NAMED["@weekly"]
    assert "%" not in rest.replace("\\%", "")
    assert shlex.split(rest.replace("\\%", "%")) == ["hub-lineage", "crawl", *crawl]


@given(CRAWLS)
def test_github_reads_back_what_was_asked_for(crawl: tuple[str, ...]) -> None:
    read = yaml.safe_load(workflow(Work(crawl, "a/b", "0 6 * * 1")))
    (last,) = read["jobs"]["crawl"]["steps"][-1:]
    assert shlex.split(last["run"]) == shlex.split(command(Work(crawl, "a/b")))
    assert last["env"] == {"HF_TOKEN": "${{ secrets.HF_TOKEN }}"}
    assert read[True]["schedule"] == [{"cron": "0 6 * * 1"}]  # YAML 1.1 reads the key "on" as a truth


@given(CRAWLS)
def test_a_job_s_shell_reads_no_option(crawl: tuple[str, ...]) -> None:
    words = job_command(Work(crawl, "a/b"))
    assert words[:2] == ["sh", "-c"]
    assert tuple(words[-len(crawl) :]) == crawl
    assert not any(word in words[2] for word in crawl if len(word) > 6)


def test_a_job_s_command_runs_as_it_stands(tmp_path: Path) -> None:
    for name in ("python", "hub-lineage"):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nprintf "%s|" {name} "$@"\necho\n')
        script.chmod(0o700)
    words = job_command(Work(("--author", "a b;$(exit)"), "a/b", package="hub-lineage==1.0"))
    done = subprocess.run(words, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, capture_output=True, text=True, check=True)
    installed, ran = done.stdout.splitlines()
    assert installed == "python|-m|pip|install|--quiet|hub-lineage==1.0|"
    assert ran == "hub-lineage|schedule|--now|--store|a/b|--|--author|a b;$(exit)|"


@pytest.mark.parametrize("table", [("--from-stats",), ("--from-stats=org/stats", "--limit", "5")])
def test_a_table_brings_what_reads_it(table: tuple[str, ...]) -> None:
    work = Work((*table, "--author", "ann"), "a/b")
    assert "hub-lineage[stats]" in job_command(work)
    assert "'hub-lineage[stats]'" in workflow(work)
    assert "--with 'hub-lineage[stats]'" in uv_line(work)
    assert "hub-lineage==1" in job_command(
        Work(table, "a/b", package="hub-lineage==1")
    )  # who names a package knows what it needs
    assert "stats" not in "".join(job_command(Work(("--author", "--from-stat"), "a/b")))


@pytest.mark.parametrize("table", [(), ("--from-stats",)])
def test_hf_takes_the_line_for_uv(server: LoopbackHub, tmp_path: Path, table: tuple[str, ...]) -> None:
    server.add_repo("ann/scripts", files={"crawl_job.py": (ROOT / SCRIPT).read_bytes()})
    address = f"{server.url}/ann/scripts/resolve/main/crawl_job.py"
    words = shlex.split(uv_line(Work((*table, "--author", "ann"), STORE), address))
    words.insert(5, "--dry-run")
    tool = Path(sys.executable).with_name(words[0])
    done = subprocess.run(
        [str(tool), *words[1:]], env=dict(os.environ), capture_output=True, text=True, check=False, cwd=tmp_path
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert " ".join(["--store", STORE, "--", *table, "--author", "ann"]) in said
    assert "@daily" in said
    assert "HF_TOKEN=***" in said
    assert TOKEN not in said


def test_the_script_says_what_it_needs() -> None:
    text = (ROOT / SCRIPT).read_text("utf-8")
    head = [line.removeprefix("# ") for line in text.splitlines()[1:3]]
    assert text.startswith("# /// script\n")
    assert head == ['requires-python = ">=3.10"', 'dependencies = ["hub-lineage"]']


@pytest.mark.parametrize("every", ["", "daily", "@dayly", "* * * *", "* * * * * *", "0 6 * * 1\n", "$(x) * * * *", "0  6 * * 1"])
def test_odd_times_are_refused(every: str) -> None:
    with pytest.raises(UsageError, match="no time that cron knows"):
        Work(("--author", "ann"), every=every)


@pytest.mark.parametrize(
    ("crawl", "options"),
    [
        ((), {}),
        (("--author", "a\nb"), {}),
        (("--author", "${{ secrets.HF_TOKEN }}"), {}),
        (("--author", "a"), {"store": "no-slash"}),
        (("--author", "a"), {"store": "a/b\nc"}),
        (("--author", "a"), {"package": "-r evil.txt"}),
        (("--author", "a"), {"package": "x; rm -rf"}),
    ],
)
def test_what_no_schedule_can_hold_is_refused(crawl: tuple[str, ...], options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        Work(crawl, **options)


@pytest.mark.parametrize("text", [workflow, uv_line, job_command])
def test_what_runs_on_a_borrowed_machine_needs_a_dataset(text: object) -> None:
    assert callable(text)
    with pytest.raises(UsageError, match="disk is gone"):
        text(Work(("--author", "a")))
