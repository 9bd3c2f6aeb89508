"""The plan of a crawl lies on disk: each model once, in order, in portions, and in no more memory for many than for few."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_lineage.crawl import Entry, Ledger, Order, Selection, crawl, crawling
from hub_lineage.crawl import agenda as agenda_module
from hub_lineage.crawl.agenda import PORTION, POSTPONED, TODO, UNCHANGED, Agenda
from hub_lineage.crawl.planning import draw_up
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from tests.test_crawl import content

STATES = st.sampled_from([TODO, UNCHANGED, POSTPONED])
NAMES = st.text(max_size=4)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(NAMES, st.none() | NAMES.filter(bool), st.booleans(), STATES), max_size=30), st.integers(1, 7))
def test_what_goes_in_comes_out_once_and_in_order(rows: list[tuple[str, str | None, bool, int]], size: int) -> None:
    with Ledger(None, write=False) as ledger:
        agenda = Agenda(ledger)
        entries = [(Entry(name, revision, listed), state) for name, revision, listed, state in rows]
        added = sum(agenda.add(entries[at : at + size]) for at in range(0, len(entries), size))
        first: dict[str, tuple[Entry, int]] = {}
        for entry, state in entries:
            first.setdefault(entry.id, (entry, state))
        assert added == len(first)
        assert [task.entry for task in agenda.tasks()] == [entry for entry, state in first.values() if state == TODO]
        assert sum(agenda.counts().values()) == len(first)


def test_more_than_a_portion_comes_out_whole() -> None:
    names = [f"org/m{k}" for k in range(2 * PORTION + 1)]
    with Ledger(None, write=False) as ledger:
        agenda = Agenda(ledger)
        agenda.add([(Entry(name), TODO) for name in names])
        assert [task.entry.id for task in agenda.tasks()] == names


def test_what_vanished_comes_out_in_portions_while_it_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda_module, "PORTION", 5)
    names = sorted(f"org/m{k:04}" for k in range(31))
    with Ledger(tmp_path, write=True) as ledger:
        agenda = Agenda(ledger)
        agenda.add([(Entry(name), TODO) for name in names])
        agenda.keep_listed("all")
        agenda.keep_listed("other")
        later = Agenda(ledger)
        later.add([(Entry(names[7]), TODO)])
        assert later.count_vanished("all") == len(names) - 1
        found = []
        for name in later.vanished("all"):
            ledger.unlist("all", [name])
            found.append(name)
        assert found == [name for name in names if name != names[7]]
        assert (ledger.listed("all"), len(ledger.listed("other"))) == ({names[7]}, len(names))


@pytest.mark.parametrize("limit", [0, 1, 7, 499, 501, 1200, 5000])
def test_a_limit_counts_models_and_not_repeats(limit: int) -> None:
    with Ledger(None, write=False) as ledger, Hub("http://127.0.0.1:9", False) as hub:
        entries = [Entry(f"org/m{k // 2}") for k in range(2400)]
        made = draw_up(Agenda(ledger), None, Order(Selection(limit=limit, entries=entries)), hub)
        assert made.seen == min(limit, 1200)


def listing(count: int) -> Iterator[Entry]:
    """As a Hub lists them, none of them kept."""
    return (Entry(f"organisation-{k % 997}/model-{k:07}", f"{k:040x}", last_modified="2024-01-01T00:00:00") for k in range(count))


def highest(count: int, folder: Path) -> int:
    """The most memory that planning and going through the plan take, in bytes."""
    with (
        Registry.open(folder, write=True) as registry,
        Ledger(folder, write=True) as ledger,
        Hub("http://127.0.0.1:9", False) as hub,
    ):
        tracemalloc.start()
        try:
            agenda = Agenda(ledger)
            made = draw_up(agenda, registry, Order(Selection(entries=listing(count))), hub)
            assert made.to_read == sum(1 for _ in agenda.tasks()) == count
            agenda.keep_listed("all")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_memory_does_not_grow_with_the_plan(tmp_path: Path) -> None:
    highest(1_000, tmp_path / "warm")  # what is made once and kept
    few, many = highest(5_000, tmp_path / "few"), highest(50_000, tmp_path / "many")
    assert many < 1.2 * few
    assert many < 2_000_000


def test_a_report_tells_the_first_failures_and_counts_all(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawling, "_TOLD", 2)
    for k in range(5):
        loopback_hub.add_repo(f"org/bare{k}", files={"README.md": "words"})
    loopback_hub.add_repo("org/m", files={"model.safetensors": content(0)})
    found = crawl(registry, hub=hub)
    assert (found.seen, found.added, found.unchanged, found.not_read, len(found.failed)) == (6, 1, 0, 5, 2)
    assert len(registry.failures()) == 5
