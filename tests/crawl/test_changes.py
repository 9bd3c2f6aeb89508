"""Crawls after the first of more than a page of models: only what changed is listed, and nothing is missed by that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub_lineage.crawl import Ledger, Selection, crawl, planning
from hub_lineage.errors import RateLimited
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.registry.folder import LEDGER
from hub_lineage.testing import LoopbackHub
from tests.hub.clock import Sleeper
from tests.test_crawl import content

PAGE = 3
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_PAGE", PAGE)


@pytest.fixture
def served() -> Iterator[LoopbackHub]:
    """Ten models, one made each day."""
    with LoopbackHub(list_page=PAGE) as hub:
        for day in range(10):
            hub.add_repo(f"org/m{day}", files={"model.safetensors": content(day)}, created_at=START + timedelta(days=day))
        yield hub
    assert hub.crashes == []


@pytest.fixture
def hub(served: LoopbackHub) -> Iterator[Hub]:
    with Hub(served.url, token=False) as opened:
        yield opened


def change(served: LoopbackHub, name: str, day: float, seed: int = 99) -> None:
    served.repository(name).commit({"model.safetensors": content(seed)}, date=START + timedelta(days=day))


def asked(served: LoopbackHub) -> list[str]:
    return [unquote(record.path) for record in served.requests]


def held(registry: Registry, served: LoopbackHub) -> bool:
    """Whether each model is there at the commit that the Hub has."""
    models = served.site.catalogue.repositories.values()
    return all(registry.revision(model.id) == model.at("main").oid for model in models)


def test_only_what_changed_is_listed_and_read(served: LoopbackHub, hub: Hub, registry: Registry) -> None:
    first = crawl(registry, hub=hub)
    assert (first.seen, first.added, first.changes_since) == (10, 10, None)
    change(served, "org/m4", 20)
    served.forget()
    again = crawl(registry, hub=hub)
    assert (again.added, again.not_read) == (1, 0)
    assert again.changes_since == "2024-01-09T18:00:00"  # a quarter of a day behind the newest of the first crawl
    assert again.seen == 2  # the changed one, and the newest, which lies in the overlap
    assert asked(served).count("/api/models") == 1
    assert {name for name in (f"org/m{k}" for k in range(10)) for path in asked(served) if name in path} == {"org/m4"}
    assert held(registry, served)
    served.forget()
    third = crawl(registry, hub=hub)
    assert (third.seen, third.added, asked(served)) == (1, 0, ["/api/models"])


def test_a_scope_of_one_page_is_listed_whole_each_time(served: LoopbackHub, hub: Hub, registry: Registry) -> None:
    for k in range(PAGE):
        served.add_repo(f"small/m{k}", files={"model.safetensors": content(k)})
    crawl(registry, hub=hub, author="small")
    served.remove("small/m1")
    assert crawl(registry, hub=hub, author="small").gone == ("small/m1",)


def test_conditions_have_marks_of_their_own(served: LoopbackHub, hub: Hub, registry: Registry) -> None:
    crawl(registry, hub=hub)
    assert crawl(registry, hub=hub, author="org").changes_since is None
    assert crawl(registry, hub=hub, since="2024-01-05").seen == 6
    assert crawl(registry, hub=hub, limit=4).seen == 4
    assert crawl(registry, hub=hub).changes_since is not None
    assert Selection(author="org").scope("a") != Selection(author="org").scope("b")  # another Hub is another scope


def test_what_is_gone_is_noticed_once_a_week_or_when_asked(served: LoopbackHub, hub: Hub, registry: Registry) -> None:
    crawl(registry, hub=hub)
    served.remove("org/m1")
    assert crawl(registry, hub=hub).gone == ()
    assert crawl(registry, hub=hub, relist=True).gone == ("org/m1",)
    served.remove("org/m2")
    assert crawl(registry, hub=hub).gone == ()
    week_ago = (datetime.now(timezone.utc) - timedelta(days=7)).isoformat()
    with sqlite3.connect(registry.folder / LEDGER) as database:
        database.execute("UPDATE pass SET whole_at = ?", (week_ago,))
    database.close()
    assert crawl(registry, hub=hub).gone == ("org/m2",)
    assert crawl(registry, hub=hub).changes_since is not None  # and the next week begins


def test_what_failed_is_tried_when_its_time_comes_though_no_listing_names_it(
    served: LoopbackHub, hub: Hub, registry: Registry
) -> None:
    served.add_repo("org/gated", files={"model.safetensors": content(0)}, gated="auto", created_at=START)
    served.add_repo("org/bare", files={"README.md": "words"}, created_at=START)
    assert crawl(registry, hub=hub).not_read == 2
    assert crawl(registry, hub=hub).seen == 1  # neither is due
    served.repository("org/gated").gated = False
    with sqlite3.connect(registry.folder / LEDGER) as database:
        database.execute("UPDATE failed SET due = '2024-01-01T00:00:00+00:00'")
    database.close()
    again = crawl(registry, hub=hub)
    assert (again.added, again.not_read, registry.get("org/gated") is not None) == (1, 0, True)  # what has no weights waits on
    assert {name for name, _, _ in crawl(registry, hub=hub, retry=True).failed} == {"org/bare"}


def test_a_crawl_that_broke_off_moves_no_mark(served: LoopbackHub, hub: Hub, registry: Registry) -> None:
    crawl(registry, hub=hub)
    for day in range(8):
        change(served, f"org/m{day}", 20 + day)
    served.limit("api", calls=6, window=10**6)
    with Hub(served.url, False, clock=Sleeper().clock, patience=60) as limited, pytest.raises(RateLimited):
        crawl(registry, hub=limited)
    assert not held(registry, served)
    change(served, "org/m9", 40)
    served.limit("api", calls=10**6)
    assert crawl(registry, hub=hub).changes_since == "2024-01-09T18:00:00"
    assert held(registry, served)


def test_a_registry_that_lost_models_is_filled_from_a_whole_listing(
    served: LoopbackHub, hub: Hub, registry: Registry, tmp_path: Path
) -> None:
    crawl(registry, hub=hub)
    with Registry.open(tmp_path / "other", write=True) as other:
        (other.folder / LEDGER).write_bytes((registry.folder / LEDGER).read_bytes())
        assert crawl(other, hub=hub).added == 10
        assert held(other, served)


def test_a_ledger_of_another_day_s_crawl_is_no_mark_in_the_future(served: LoopbackHub, hub: Hub, registry: Registry) -> None:
    """A model with a date to come must not hide what changes until then."""
    served.repository("org/m0").commit({"note.txt": "x"}, date=datetime(2999, 1, 1, tzinfo=timezone.utc))
    crawl(registry, hub=hub)
    with Ledger(registry.folder, write=False) as ledger:
        last = ledger.passed(Selection().scope(hub.endpoint))
    assert last is not None
    assert last.mark <= datetime.now(timezone.utc).isoformat()


STEPS = st.lists(
    st.tuples(st.sampled_from(["weights", "card", "new", "remove", "crawl"]), st.integers(0, 11)), min_size=1, max_size=12
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_changes_alone_lead_to_the_same_registry(steps: list[tuple[str, int]]) -> None:
    """Whatever happens between crawls, the registry holds the Hub's own commits after the last one."""
    with TemporaryDirectory() as folder, LoopbackHub(list_page=PAGE) as served, Hub(served.url, False) as hub:
        for day in range(6):
            served.add_repo(f"org/m{day}", files={"model.safetensors": content(day)}, created_at=START + timedelta(days=day))
        with Registry.open(Path(folder) / "r", write=True) as registry:
            crawl(registry, hub=hub)
            for number, (step, which) in enumerate(steps):
                name, when = f"org/m{which}", START + timedelta(days=30 + number)
                there = name in served.site.catalogue.repositories
                if step == "crawl":
                    crawl(registry, hub=hub)
                elif step == "remove" and there:
                    served.remove(name)
                elif step == "new" and not there:
                    served.add_repo(name, files={"model.safetensors": content(which)}, created_at=when)
                elif step in {"weights", "card"} and there:
                    files = {"model.safetensors": content(number)} if step == "weights" else {"README.md": str(number)}
                    served.repository(name).commit(files, date=when)
            crawl(registry, hub=hub)
            assert held(registry, served)
