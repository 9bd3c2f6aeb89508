"""Real writers in other processes: killed at random moments, and read while they work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub_lineage.errors import RegistryError
from hub_lineage.registry import Registry
from hub_lineage.registry.folder import DATABASE
from tests.registry.models import contents, numbered
from tests.registry.writing import SIZE, batch


def start(folder: Path, first: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.registry.writing", str(folder), str(first)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2])
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def kill(writer: subprocess.Popen[str]) -> list[int]:
    """The numbers of the batches whose put had returned."""
    writer.send_signal(signal.SIGKILL)
    printed, _ = writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    return [int(line) for line in printed.split()]


def whole_batches(registry: Registry, upto: int) -> list[int]:
    """The batches that are there with every model exact; fails on one that is there in part."""
    found = []
    for number in range(upto):
        held = [(registry.get(model.id, model.revision), model) for model in batch(number)]
        there = [contents(got) == contents(put) for got, put in held if got is not None]
        assert there in ([], [True] * SIZE), f"batch {number} is there in part"
        if there:
            found.append(number)
    return found


@pytest.mark.parametrize("killed_at", ["start", "work"])
def test_twenty_kills_lose_nothing_and_show_nothing_half_written(tmp_path: Path, killed_at: str) -> None:
    chance = random.Random(killed_at)
    done: list[int] = []
    for _ in range(10):
        writer = start(tmp_path / "r", len(done))
        time.sleep(chance.uniform(0, 0.02) if killed_at == "start" else chance.uniform(0.05, 0.2))
        printed = kill(writer)
        assert printed == list(range(len(done), len(done) + len(printed)))
        with Registry.open(tmp_path / "r", write=True) as registry:
            found = whole_batches(registry, len(done) + len(printed) + 2)
        done += printed
        assert found[: len(done)] == done
        assert len(found) <= len(done) + 1  # a put may be durable before the word of it is out
        done = found
    assert killed_at == "start" or done


def test_reader_finds_all_after_a_kill_without_a_writer(tmp_path: Path) -> None:
    writer = start(tmp_path, 0)
    time.sleep(0.2)
    done = kill(writer)
    with Registry.open(tmp_path) as registry:
        assert whole_batches(registry, len(done) + 2)[: len(done)] == done


def test_reader_sees_only_whole_states_while_a_writer_works(tmp_path: Path) -> None:
    writer = start(tmp_path, 0)
    while not (tmp_path / DATABASE).exists() or not tmp_path.joinpath("long.bin").exists():
        time.sleep(0.01)
    lengths: list[int] = []
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        with Registry.open(tmp_path) as reader:
            while len(set(lengths)) < 5:
                lengths.append(len(reader))
                assert len(reader.search(numbered(-1, size=20_000).fingerprint)) == 1  # many revisions, one newest
    finally:
        kill(writer)
    assert lengths == sorted(lengths)
    assert all(length % (SIZE - 1) == 1 for length in lengths)


def test_second_writer_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    writer = start(tmp_path, 0)
    assert writer.stdout is not None
    writer.stdout.readline()
    with pytest.raises(RegistryError, match="Another process is writing") as refused:
        Registry.open(tmp_path, write=True)
    assert "Wait" in refused.value.hint
    kill(writer)
    with Registry.open(tmp_path, write=True) as registry:
        assert len(registry) > 0
        with pytest.raises(RegistryError, match="Another process"):
            Registry.open(tmp_path, write=True)
