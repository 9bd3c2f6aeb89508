"""What a Hub may do to a crawl: said in words, nothing lost, nothing written that isn't so."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from hub_lineage.crawl import Ledger, crawl, crawling, planning
from hub_lineage.errors import BadToken, ExpiredToken
from hub_lineage.gathering import read_model
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import Model
from tests.hub.clock import Sleeper
from tests.test_crawl import add, content, held

WEIGHTS = "model.safetensors"


def gone(registry: Registry) -> list[str]:
    with Ledger(registry.folder, write=False) as ledger:
        return list(ledger.gone())


def test_what_vanishes_after_it_was_listed_is_a_failure_alone(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = add(loopback_hub, 4)

    def vanishing(*arguments: Any) -> Any:
        made = planning.draw_up(*arguments)
        loopback_hub.remove(names[3])
        return made

    monkeypatch.setattr(crawling, "draw_up", vanishing)
    found = crawl(registry, hub=hub)
    assert (found.added, [(name, code) for name, code, _ in found.failed]) == (3, [(names[3], "not_found")])
    assert held(registry, names[:3])
    assert gone(registry) == []  # it was never known


def test_odd_ids_in_a_listing_are_passed_over(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 2)
    for odd in ("../../etc/passwd", "a/b/c", "org/x y", "org/..", "org/é", "org/a%2Fb", "-org/x", "org/" + "x" * 200, "\x00/x"):
        loopback_hub.add_repo(odd, files={WEIGHTS: content(0)})
    loopback_hub.forget()
    found = crawl(registry, hub=hub)
    assert (found.seen, found.added, found.failed) == (2, 2, ())
    assert registry.ids() == names
    assert all(
        unquote(record.path) == "/api/models" or "org/m0" in record.path
        for record in loopback_hub.requests
        if record.origin == "hub"
    )


@pytest.mark.parametrize(("token", "kind"), [("hf_nobody", BadToken), ("hf_old", ExpiredToken)])
def test_a_token_that_is_not_accepted_ends_the_crawl_at_once(
    loopback_hub: LoopbackHub, registry: Registry, token: str, kind: type[BadToken]
) -> None:
    add(loopback_hub, 3)
    loopback_hub.add_user("ann", "hf_ann")
    loopback_hub.add_token("ann", "hf_old", expires=1.0)
    with Hub(loopback_hub.url, token) as hub, pytest.raises(kind):
        crawl(registry, hub=hub)
    assert (len(registry), registry.failures(), len(loopback_hub.requests)) == (0, [], 1)


def test_a_token_that_expires_on_the_way_loses_nothing(registry: Registry) -> None:
    sleeper = Sleeper()
    with LoopbackHub(clock=sleeper.now) as served:
        names = add(served, 60)
        served.add_user("ann", "hf_ann", expires=2000.0)
        served.add_token("ann", "hf_new")
        served.limit("api", calls=30, window=1500)  # the second half comes when the token is over
        with Hub(served.url, "hf_ann", clock=sleeper.clock, patience=5000) as hub, pytest.raises(ExpiredToken) as caught:
            crawl(registry, hub=hub)
        assert "Make a new one" in caught.value.hint
        stored = len(registry)
        assert 0 < stored < 30
        assert registry.failures() == []
        served.limit("api", calls=10**6)
        with Hub(served.url, "hf_new") as hub:
            found = crawl(registry, hub=hub)
        assert (found.added, found.unchanged) == (60 - stored, stored)
        assert held(registry, names)
        assert served.crashes == []


def test_a_token_without_the_scope_misses_what_needs_it_alone(loopback_hub: LoopbackHub, registry: Registry) -> None:
    names = add(loopback_hub, 2)
    loopback_hub.add_repo("ann/gated", files={WEIGHTS: content(5)}, gated="manual")
    loopback_hub.add_user("ann", "hf_talk", role="fineGrained", scopes=["write-discussions"])
    loopback_hub.add_token("ann", "hf_read", role="fineGrained", scopes=["read-repos"])
    with Hub(loopback_hub.url, "hf_talk") as hub:
        found = crawl(registry, hub=hub)
    ((name, code, message),) = found.failed
    assert (name, code, found.added) == ("ann/gated", "missing_scope", 2)
    assert "fine-grained" in message
    assert "hf_talk" not in message
    with Hub(loopback_hub.url, "hf_read") as hub:
        assert crawl(registry, hub=hub, retry=True).added == 1
    assert held(registry, names)


@pytest.mark.parametrize(
    "card",
    ["---\nlicense: [mit\n---\n", "---\na: b: c\n---\n", "---\n\x00\n---\n", "---\nbase_model: {1: 2}\n---\n", "---\n", "\ufeff"],
)
def test_a_broken_card_keeps_no_weights_out(loopback_hub: LoopbackHub, hub: Hub, registry: Registry, card: str) -> None:
    loopback_hub.add_repo("org/m00", files={WEIGHTS: content(0), "README.md": card})
    found = crawl(registry, hub=hub)
    assert (found.added, found.failed) == (1, ())
    model = registry.get("org/m00")
    assert model is not None
    assert (model.license, model.declared) == (None, ())


def pushed(served: LoopbackHub, name: str, times: int) -> Any:
    """Reading models as ever, but the first so many times somebody force-pushes once the model is opened."""
    left = [times]

    def read(source: Any, known: Model | None = None) -> Model:
        if source.reference.id == name and left[0]:
            left[0] -= 1
            served.repository(name).force_push({WEIGHTS: content(70 + left[0])}, title=f"Anew {left[0]}")
        return read_model(source, known)

    return read


def test_a_force_push_in_the_middle_of_a_read_is_read_anew(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = add(loopback_hub, 3)
    crawl(registry, hub=hub)
    loopback_hub.repository(names[1]).commit({WEIGHTS: content(50)})
    monkeypatch.setattr(crawling, "read_model", pushed(loopback_hub, names[1], 1))
    found = crawl(registry, hub=hub)
    assert (found.added, found.failed, gone(registry)) == (1, (), [])
    assert registry.revision(names[1]) == loopback_hub.repository(names[1]).at("main").oid
    assert held(registry, names[1:2], first=70)


def test_force_pushes_without_end_are_a_failure_and_the_model_is_not_gone(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = add(loopback_hub, 3)
    crawl(registry, hub=hub)
    before = registry.revision(names[1])
    loopback_hub.repository(names[1]).commit({WEIGHTS: content(50)})
    monkeypatch.setattr(crawling, "read_model", pushed(loopback_hub, names[1], 100))
    found = crawl(registry, hub=hub)
    assert ([(name, code) for name, code, _ in found.failed], gone(registry)) == ([(names[1], "not_found")], [])
    assert registry.revision(names[1]) == before
    monkeypatch.undo()
    assert crawl(registry, hub=hub, retry=True).added == 1


def test_a_signed_address_that_expires_is_renewed(registry: Registry) -> None:
    sleeper = Sleeper()
    with LoopbackHub(clock=sleeper.now, signature_lifetime=60) as served:
        names = add(served, 3)
        served.fault("status", origin="cdn", status=503, headers={"Retry-After": "100"})  # by then the address is over
        with Hub(served.url, False, clock=sleeper.clock, patience=900) as hub:
            found = crawl(registry, hub=hub)
        assert (found.added, found.failed) == (3, ())
        assert held(registry, names)
        assert 403 in {record.status for record in served.requests if record.origin == "cdn"}


def test_an_address_that_is_never_valid_is_a_failure_alone(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 1)
    loopback_hub.add_repo("other/m", files={WEIGHTS: content(5)})
    loopback_hub.fault("expire", path="^/repos/other", times=100)
    found = crawl(registry, hub=hub)
    assert (found.added, [(name, code) for name, code, _ in found.failed]) == (1, [("other/m", "access_denied")])
