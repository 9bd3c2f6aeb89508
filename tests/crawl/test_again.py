"""A crawl that isn't the first: what failed waits for its time, what is gone is noticed, limits end it in words."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote

import pytest

from hub_lineage.crawl import Entry, Ledger, Selection, crawl, plan
from hub_lineage.crawl.agenda import TODO, Agenda
from hub_lineage.crawl.ledger import LASTING, Failed, waiting_time
from hub_lineage.crawl.planning import waits
from hub_lineage.errors import RateLimited
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.registry.folder import LEDGER
from hub_lineage.testing import LoopbackHub
from tests.hub.clock import Sleeper
from tests.test_crawl import add, content, held

NOW = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def failed(code: str, hours_ago: float, tries: int = 1) -> Failed:
    """What is written down of the last of so many attempts, at the commit r1."""
    return Failed("r1", code in LASTING, tries, (NOW - hours_ago * HOUR + waiting_time(tries)).isoformat())


def tries(ledger: Ledger, name: str) -> int:
    """How often in a row a model could not be read."""
    failure = ledger.failure(name)
    return failure.tries if failure else 0


@pytest.mark.parametrize(
    ("code", "hours_ago", "tries", "expected"),
    [
        ("network", 0.9, 1, True),
        ("network", 1.1, 1, False),
        ("gated", 1.1, 2, True),
        ("gated", 2.1, 2, False),
        ("network", 24 * 6.9, 10**9, True),
        ("network", 24 * 7.1, 10**9, False),
        ("no_weights", 10**5, 1, True),
        ("bad_weights", 10**5, 1, True),
    ],
)
def test_failures_wait(code: str, hours_ago: float, tries: int, *, expected: bool) -> None:
    assert waits(Entry("org/m", "r1"), failed(code, hours_ago, tries), NOW) is expected


def test_a_new_commit_or_a_name_given_ends_the_wait() -> None:
    assert not waits(Entry("org/m", "r2"), failed("no_weights", 0), NOW)
    assert not waits(Entry("org/m", listed=False), failed("no_weights", 0), NOW)
    assert not waits(Entry("org/m"), failed("no_weights", 1.1), NOW)


def test_what_failed_costs_nothing_until_its_time(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 2)
    loopback_hub.add_repo("org/bare", files={"README.md": "words"})
    loopback_hub.add_repo("org/gated", files={"model.safetensors": content(0)}, gated="auto")
    assert crawl(registry, hub=hub).postponed == 0
    loopback_hub.forget()
    again = crawl(registry, hub=hub)
    assert (again.seen, again.added, again.unchanged, again.postponed, again.failed) == (4, 0, 2, 2, ())
    assert [record.path for record in loopback_hub.requests] == ["/api/models"]
    with Ledger(registry.folder, write=False) as ledger:
        assert [tries(ledger, name) for name in ("org/bare", "org/gated")] == [1, 1]
    forced = crawl(registry, hub=hub, retry=True)
    assert ({name for name, _, _ in forced.failed}, forced.postponed) == ({"org/bare", "org/gated"}, 0)
    with Ledger(registry.folder, write=False) as ledger:
        assert [tries(ledger, name) for name in ("org/bare", "org/gated")] == [2, 2]


def test_failures_wait_in_a_registry_that_holds_nothing_else(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    loopback_hub.add_repo("org/bare", files={"README.md": "words"})
    crawl(registry, hub=hub)
    assert (len(registry), crawl(registry, hub=hub).postponed) == (0, 1)


def test_success_ends_the_count_of_attempts(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    loopback_hub.add_repo("org/late", files={"README.md": "words"})
    crawl(registry, hub=hub)
    loopback_hub.repository("org/late").commit({"model.safetensors": content(0)})
    assert crawl(registry, hub=hub).added == 1
    assert registry.failures() == []
    with Ledger(registry.folder, write=False) as ledger:
        assert tries(ledger, "org/late") == 0


def test_what_is_gone_is_marked_once_and_kept(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 4)
    crawl(registry, hub=hub, author="org")
    loopback_hub.remove(names[1])
    loopback_hub.rename(names[2], "org/new")
    assert crawl(registry, hub=hub, author="org", limit=2).gone == ()
    assert crawl(registry, hub=hub, author="org").gone == (names[1], names[2])
    assert held(registry, names)
    with Ledger(registry.folder, write=False) as ledger:
        assert list(ledger.gone()) == [names[1], names[2]]
    loopback_hub.forget()
    assert crawl(registry, hub=hub, author="org").gone == ()
    assert [record.path for record in loopback_hub.requests] == ["/api/models"]
    add(loopback_hub, 1, first=1)
    crawl(registry, hub=hub, author="org")
    with Ledger(registry.folder, write=False) as ledger:
        assert list(ledger.gone()) == [names[2]]


def test_what_only_meets_a_condition_no_more_is_not_gone(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    repository = loopback_hub.add_repo("org/m", files={"model.safetensors": content(0)}, pipeline_tag="text-classification")
    crawl(registry, hub=hub, task="text-classification")
    repository.pipeline_tag = "fill-mask"
    found = crawl(registry, hub=hub, task="text-classification")
    assert (found.seen, found.gone) == (0, ())
    assert registry.get("org/m") is not None


def test_a_new_card_alone_costs_one_call_and_keeps_the_fingerprint(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry
) -> None:
    names = add(loopback_hub, 2)
    crawl(registry, hub=hub)
    loopback_hub.repository(names[0]).commit({"README.md": "---\nlicense: apache-2.0\n---\n"})
    loopback_hub.repository(names[1]).commit({"more.safetensors": content(9)})
    loopback_hub.forget()
    assert crawl(registry, hub=hub).added == 2
    assert [record.path for record in loopback_hub.requests if names[0] in unquote(record.path)] == [f"/api/models/{names[0]}"]
    assert any("/resolve/" in record.path for record in loopback_hub.requests if names[1] in unquote(record.path))
    model = registry.get(names[0])
    assert model is not None
    assert model.license == "apache-2.0"
    assert held(registry, names[:1])


def test_a_lost_ledger_does_no_harm(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 3)
    crawl(registry, hub=hub)
    (registry.folder / LEDGER).unlink()
    assert crawl(registry, hub=hub).unchanged == 3
    assert held(registry, names)


def test_a_ledger_of_an_earlier_version_is_no_ledger(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 2)
    with sqlite3.connect(registry.folder / LEDGER) as database:
        database.execute("CREATE TABLE attempt (id TEXT PRIMARY KEY, tries INTEGER NOT NULL)")
    database.close()
    assert plan(registry, Selection(), hub).to_read == 2
    assert crawl(registry, hub=hub).added == 2
    assert plan(registry, Selection(), hub).unchanged == 2


def test_a_kill_between_storing_and_noting_it_leaves_no_failure_for_ever(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry
) -> None:
    names = add(loopback_hub, 2)
    crawl(registry, hub=hub)
    with Ledger(registry.folder, write=True) as ledger:
        ledger.fail(names[0], None, "network")
    crawl(registry, hub=hub, ids=names)
    with Ledger(registry.folder, write=False) as ledger:
        assert tries(ledger, names[0]) == 0


def test_a_ledger_keeps_its_rows_where_a_write_fails(registry: Registry) -> None:
    with Ledger(registry.folder, write=True) as ledger:
        agenda = Agenda(ledger)
        agenda.add([(Entry("org/a"), TODO)])
        agenda.keep_listed("all")
        with sqlite3.connect(registry.folder / LEDGER) as other:
            other.execute("CREATE TRIGGER no BEFORE INSERT ON listed WHEN NEW.id = 'org/c' BEGIN SELECT RAISE(ABORT, 'no'); END")
        other.close()
        agenda.add([(Entry("org/b"), TODO), (Entry("org/c"), TODO)])
        with pytest.raises(Exception, match="no"):
            agenda.keep_listed("all")
        assert ledger.listed("all") == {"org/a"}


def test_a_limit_that_never_lifts_ends_the_crawl_and_loses_nothing(loopback_hub: LoopbackHub, registry: Registry) -> None:
    names = add(loopback_hub, 60)
    loopback_hub.limit("api", calls=30, window=10**6)
    with Hub(loopback_hub.url, False, clock=Sleeper().clock, patience=60) as hub, pytest.raises(RateLimited):
        crawl(registry, hub=hub)
    stored = len(registry)
    assert 0 < stored <= 29
    assert registry.failures() == []
    loopback_hub.limit("api", calls=10**6, window=300)
    with Hub(loopback_hub.url, False) as hub:
        found = crawl(registry, hub=hub)
    assert (found.added, found.unchanged, found.failed) == (60 - stored, stored, ())
    assert held(registry, names)


def test_a_hub_out_of_reach_ends_the_crawl(loopback_hub: LoopbackHub, registry: Registry) -> None:
    add(loopback_hub, 60)
    loopback_hub.fault("status", path="/api/models/org", status=503, times=10**6)
    with Hub(loopback_hub.url, False, clock=Sleeper().clock, retries=0) as hub, pytest.raises(Exception, match="503"):
        crawl(registry, hub=hub)
    assert 30 < len(registry.failures()) < 60
