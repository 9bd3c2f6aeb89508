"""Which models a crawl is about: every condition alone and together, dates, roots."""

from __future__ import annotations

import pytest

from hub_lineage.crawl import Entry, Selection, crawl, most_derived, plan
from hub_lineage.crawl.selection import moment
from hub_lineage.errors import UsageError
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from tests.test_crawl import add, content

FILES = {"model.safetensors": content(1)}


@pytest.fixture
def varied(loopback_hub: LoopbackHub) -> None:
    """Models that differ in one thing each."""
    for name, options in {
        "ann/plain": {},
        "ann/task": {"pipeline_tag": "text-classification"},
        "bob/task": {"pipeline_tag": "text-classification", "library": "transformers"},
        "bob/library": {"library": "transformers"},
        "bob/kind": {"tags": ["bert"]},
    }.items():
        loopback_hub.add_repo(name, files=FILES, **options)  # type: ignore[arg-type]  # each as its name says


@pytest.mark.usefixtures("varied")
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"task": "text-classification"}, {"ann/task", "bob/task"}),
        ({"library": "transformers"}, {"bob/task", "bob/library"}),
        ({"architecture": "bert"}, {"bob/kind"}),
        ({"task": "text-classification", "library": "transformers"}, {"bob/task"}),
        ({"author": "ann", "task": "text-classification"}, {"ann/task"}),
        ({"author": "nobody"}, set()),
        ({}, {"ann/plain", "ann/task", "bob/task", "bob/library", "bob/kind"}),
    ],
)
def test_conditions_narrow(hub: Hub, registry: Registry, conditions: dict[str, str], expected: set[str]) -> None:
    found = crawl(registry, hub=hub, **conditions)  # type: ignore[arg-type]  # conditions are texts
    assert (found.seen, found.failed) == (len(expected), ())
    assert set(registry.ids()) == expected


def test_since_takes_what_changed_then_or_later(loopback_hub: LoopbackHub, hub: Hub) -> None:
    for day in (1, 2, 3):
        loopback_hub.add_repo(f"org/day{day}", files=FILES, created_at=f"2026-01-0{day}T12:00:00+00:00")
    changed = loopback_hub.repository("org/day2").last_modified.isoformat()
    assert {entry.id for entry in Selection(since=changed).listed(hub)} >= {"org/day2"}
    assert list(Selection(since="2999-01-01").listed(hub)) == []
    assert len(list(Selection(since="1999-01-01").listed(hub))) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", "2026-01-31T00:00:00"),
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00"),
        (" 2026-01-31T10:00:00+02:00 ", "2026-01-31T08:00:00"),
    ],
)
def test_dates_are_read_as_utc(text: str, expected: str) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "31.1.2026"])
def test_what_is_no_date_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="no date"):
        moment(text)


def test_a_plan_counts_and_writes_nothing(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 3)
    crawl(registry, hub=hub)
    add(loopback_hub, 2, first=3)
    loopback_hub.forget()
    made = plan(registry, Selection(), hub)
    assert (made.to_read, made.unchanged, made.seen) == (2, 3, 5)
    assert [record.path for record in loopback_hub.requests] == ["/api/models"]
    assert len(registry) == 3
    assert plan(None, Selection(), hub).seen == plan(None, Selection(), hub).to_read == 5


def test_the_most_derived_are_found_by_what_others_name(loopback_hub: LoopbackHub, hub: Hub) -> None:
    for k in range(3):
        loopback_hub.add_repo(f"org/child{k}", files=FILES, card={"base_model": "org/root"})
    loopback_hub.add_repo("org/odd", files=FILES, card={"base_model": "org/child1"})
    assert [entry.id for entry in most_derived(hub, 1)] == ["org/root"]
    assert [entry.id for entry in most_derived(hub, 9)] == ["org/root", "org/child1"]


def test_the_commit_of_a_root_is_told_where_it_was_listed_too(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    root = loopback_hub.add_repo("org/root", files=FILES)
    loopback_hub.add_repo("org/child", files=FILES, card={"base_model": ["org/root", "elsewhere/root"]})
    expected = [Entry("elsewhere/root"), Entry("org/root", root.at("main").oid)]
    assert most_derived(hub, 9) == expected
    crawl(registry, hub=hub)
    assert plan(registry, Selection(entries=most_derived(hub, 1, among=9)), hub).to_read == 1
    assert plan(registry, Selection(entries=most_derived(hub, 2)[1:]), hub).unchanged == 1
