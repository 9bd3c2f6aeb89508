"""The daily cap: kept together by several processes, given back where nothing was sent."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hub_lineage.annotate.ledger import DAY, UNDER_WAY, Ledger, default_file
from hub_lineage.errors import AccessDenied, NetworkError, RateLimited, RegistryError, UsageError

HUB = "http://127.0.0.1:1"


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def ledger(tmp_path: Path, watch: Watch) -> Ledger:
    return Ledger(tmp_path / "deep" / "cards.sqlite", now=watch)


def send(ledger: Ledger, name: str, cap: int = 2) -> None:
    with ledger.slot(HUB, name, cap) as slot:
        slot.url = f"{HUB}/{name}/discussions/1"


def test_the_cap_holds_for_a_day(ledger: Ledger, watch: Watch) -> None:
    send(ledger, "org/a")
    watch.now += 10
    send(ledger, "org/b")
    with pytest.raises(RateLimited, match="2 pull requests"):
        send(ledger, "org/c")
    send(ledger, "org/c", cap=3)
    watch.now += DAY - 10
    with pytest.raises(RateLimited):
        send(ledger, "org/d")
    watch.now += 10
    send(ledger, "org/d")


def test_a_cap_of_none_sends_none(ledger: Ledger) -> None:
    with pytest.raises(RateLimited):
        send(ledger, "org/a", cap=0)


def test_what_was_not_sent_is_given_back(ledger: Ledger) -> None:
    for _ in range(3):
        with ledger.slot(HUB, "org/a", 1):
            pass
        with pytest.raises(AccessDenied), ledger.slot(HUB, "org/a", 1):
            raise AccessDenied("No.")
    send(ledger, "org/a", cap=1)


def test_what_may_have_been_sent_counts(ledger: Ledger, watch: Watch) -> None:
    with pytest.raises(NetworkError), ledger.slot(HUB, "org/a", 2):
        raise NetworkError("The answer was lost.")
    with pytest.raises(RateLimited):
        send(ledger, "org/b", cap=1)
    with pytest.raises(UsageError, match="Another run"):
        send(ledger, "org/a")
    watch.now += UNDER_WAY + 1
    send(ledger, "org/a")


def test_one_model_is_written_by_one_run_at_a_time(ledger: Ledger) -> None:
    with ledger.slot(HUB, "org/a", 9):
        with pytest.raises(UsageError, match="Another run"):
            send(ledger, "org/a", cap=9)
        send(ledger, "org/b", cap=9)
        with ledger.slot("http://127.0.0.1:2", "org/a", 9):
            pass
    send(ledger, "org/a", cap=9)


def test_a_clock_that_was_wrong_blocks_nobody_for_ever(ledger: Ledger, watch: Watch) -> None:
    watch.now += 400 * DAY
    send(ledger, "org/a", cap=1)
    watch.now -= 400 * DAY
    send(ledger, "org/b", cap=1)


def test_processes_at_once_share_the_last_slot(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom hub_lineage.annotate.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])).slot('h', sys.argv[2], 3) as slot:\n    slot.url = 'u'\n"
    )
    path = tmp_path / "cards.sqlite"
    runs = [subprocess.Popen([sys.executable, "-c", code, path, f"org/{i}"], stderr=subprocess.PIPE, text=True) for i in range(6)]
    errors = [run.communicate()[1] for run in runs]
    assert [run.returncode for run in runs].count(0) == 3
    assert sum("RateLimited" in error for error in errors) == 3


@pytest.mark.parametrize("content", [b"no database at all, but some words that are long enough to be read as a header", None])
def test_a_file_that_cannot_be_used_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cards.sqlite"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(RegistryError, match="can't be used"):
        send(Ledger(path), "org/a")


def test_it_lies_beside_the_default_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUB_LINEAGE_REGISTRY", str(tmp_path / "known"))
    assert default_file() == tmp_path / "known-cards.sqlite"
    send(Ledger(), "org/a")
    connection = sqlite3.connect(default_file())
    assert connection.execute("SELECT id FROM opened").fetchall() == [("org/a",)]
    connection.close()
