"""The command as a process: help, start, pipes, interruption, and what a terminal shows."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_lineage.cli.group import COMMANDS
from hub_lineage.testing import LoopbackHub
from tests.cli.conftest import Run
from tests.family import CHILD

COMMAND = [sys.executable, "-m", "hub_lineage.cli"]


def test_help_teaches_by_examples(run: Run) -> None:
    assert all(name in run("--help").out for name in COMMANDS)
    for name in [*COMMANDS, "registry info", "registry list"]:
        done = run(*name.split(), "--help")
        assert done.status == 0
        assert name == "registry" or f"hub-lineage {name}" in done.out.partition("Example")[2]


def test_the_group_says_what_each_command_says_of_itself(run: Run) -> None:
    assert run("--version").out.startswith("hub-lineage, version ")
    assert "Look into the registry" in run("registry", "--help").out


def test_help_needs_nothing_heavy() -> None:
    code = "import sys; from hub_lineage.cli import main; main(['--help']); sys.stdout.write(' '.join(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "click" in modules
    assert {"gradio", "pandas", "torch"}.isdisjoint(
        modules
    )  # the package itself is there at once: hub_lineage.trace is a function


def test_without_the_extra_the_app_names_the_command_that_brings_it() -> None:
    code = "import sys; sys.modules['gradio'] = None; from hub_lineage.cli import main; sys.exit(main(['app']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'hub-lineage[app]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_progress_is_shown_in_a_terminal_and_wiped(hub: LoopbackHub) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen([*COMMAND, "crawl", "--author", "ann"], stdout=subprocess.PIPE, stderr=follower, text=True) as process:
        out, _ = process.communicate(timeout=120)
    os.close(follower)
    shown = drain(leader)
    assert "Saw 3 models" in out
    assert "Reading ann/root" in shown
    assert shown.endswith("\r\x1b[2K")


def drain(leader: int) -> str:
    """What a terminal was sent, once its other side is closed."""
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux says EIO where others say the end
            part = b""
        if not part:
            os.close(leader)
            return b"".join(parts).decode()
        parts.append(part)


def test_a_terminal_gets_bold_and_a_pipe_does_not(hub: LoopbackHub) -> None:
    leader, follower = pty.openpty()
    command = [*COMMAND, "trace", CHILD, "--among", "bob/left-one"]
    subprocess.run(command, stdout=follower, stderr=subprocess.DEVNULL, check=True)
    os.close(follower)
    assert "\x1b[1m" in drain(leader)
    assert b"\x1b" not in subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A background job is started with interruptions ignored, and its children with it; here they count."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interruption_is_told_and_loses_nothing(hub: LoopbackHub) -> None:
    hub.fault("hang", origin="cdn", seconds=15, times=100)
    with subprocess.Popen([*COMMAND, "trace", CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not hub.requests and process.poll() is None:  # the first answer shows that it is under way
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Stopped; nothing was lost." in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_failure(hub: LoopbackHub) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, "trace", CHILD, "--among", "ann/root"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


def test_the_demonstration_plays_through(family: Path) -> None:
    done = subprocess.run([*COMMAND, "demo", "--no-app", "--models", str(family)], capture_output=True, text=True, check=True)
    assert "7 models known" in done.stdout
    assert f"$ hub-lineage trace {CHILD}" in done.stdout
    assert "◀ this model" in done.stdout
    assert done.stderr == ""


def test_a_demonstration_without_models_is_told(run: Run, tmp_path: Path) -> None:
    assert run("demo", "--no-app", "--models", str(tmp_path)).status == 3


@pytest.mark.parametrize("port", ["-1", "70000", "x"])
def test_a_port_out_of_range_is_a_usage_error(run: Run, port: str) -> None:
    assert run("app", "--port", port).status == 2
