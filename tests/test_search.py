"""Candidates from nothing: which models a search finds on a Hub, in what order, and that it stays within its budget."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from hub_lineage.demo.stage import Stage, stage
from hub_lineage.errors import RegistryError
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.search import Purse, Queue, SpentError, beginnings
from hub_lineage.testing import LoopbackHub
from hub_lineage.trace import trace
from hub_lineage.types import Trace
from tests.simulated import tree

STEPS = [1.0, 0.3, 0.3, 0.3]
CHAIN = [-1, 0, 1, 0]  # a root, its child, the child's child, the child's sibling


def weights(place: int, *, rows: int = 0) -> bytes:
    """One model of the chain; with ``rows`` a model of another architecture."""
    body = {f"block.{i}.weight": t.astype(np.float32) for i, t in enumerate(tree(CHAIN, STEPS, seed=3)[place])}
    return save(body | ({"more.weight": np.random.default_rng(0).standard_normal((rows, rows))} if rows else {}))


def strange(seed: int) -> bytes:
    """A model of the chain's architecture that is no kin of it."""
    return save({f"block.{i}.weight": t.astype(np.float32) for i, t in enumerate(tree([-1], [1.0], seed=seed)[0])})


def files(content: bytes, kind: str | None = None) -> dict[str, Any]:
    return {"model.safetensors": content, **({"config.json": f'{{"model_type": "{kind}"}}'} if kind else {})}


def ids(found: Trace) -> set[str]:
    return {candidate.id for candidate in found.candidates}


def serve_chain(loopback: LoopbackHub) -> None:
    """Four authors' models, each of which declares its parent; nothing else connects them."""
    for name, at, base in (("a/root", 0, None), ("b/child", 1, "a/root"), ("c/third", 2, "b/child"), ("d/sibling", 3, "a/root")):
        loopback.add_repo(name, files=files(weights(at)), card={"base_model": base} if base else {"license": "mit"})


def test_declared_parents_theirs_and_their_other_children_are_found(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve_chain(loopback_hub)
    loopback_hub.add_repo("e/elsewhere", files=files(strange(8)))
    found = trace("c/third", registry=place, hub=hub)
    assert ids(found) == {"a/root", "b/child", "d/sibling"}
    assert found.candidates[0].id == "b/child"
    assert found.agreement in {"confirmed", "unverifiable"}  # as sure as the judge is of six small tensors
    assert found.cost.requests == len(loopback_hub.requests)


def test_what_was_read_is_kept_and_not_read_again(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve_chain(loopback_hub)
    first = trace("c/third", registry=place, hub=hub)
    with Registry.open(place) as kept:
        assert set(kept.ids()) == ids(first)
    loopback_hub.forget()
    again = trace("c/third", registry=place, hub=hub)
    assert not [record.path for record in loopback_hub.requests if "safetensors" in record.path and "third" not in record.path]
    assert ids(again) == ids(first)
    assert again.verdict == first.verdict


def test_models_of_the_kind_are_found_where_nothing_is_declared(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    for name, at in (("a/root", 0), ("b/child", 1), ("c/third", 2)):
        loopback_hub.add_repo(name, files=files(weights(at), "chain"))
    loopback_hub.add_repo("e/elsewhere", files=files(strange(8), "other"))
    assert ids(trace("c/third", registry=place, hub=hub)) == {"a/root", "b/child"}


def test_an_author_s_and_a_name_s_models_are_found(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    loopback_hub.add_repo("a/small-net", files=files(weights(0)))
    loopback_hub.add_repo("me/else", files=files(weights(3)))
    loopback_hub.add_repo("me/small-net-tuned", files=files(weights(1)))
    loopback_hub.add_repo("z/far", files=files(strange(9)))
    assert ids(trace("me/small-net-tuned", registry=place, hub=hub)) == {"a/small-net", "me/else"}


def test_another_architecture_costs_three_requests(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    loopback_hub.add_repo("me/child", files=files(weights(1)))
    loopback_hub.add_repo("me/wide", files=files(weights(0, rows=200)))
    alone = trace("me/child", among=[], hub=hub).cost.requests
    found = trace("me/child", registry=place, hub=hub)
    assert (ids(found), found.verdict.kind) == (set(), "unknown")
    assert found.cost.requests == alone + 1 + 3  # the author's listing; opening, and the header by two requests
    assert not place.exists()  # nothing to keep


@pytest.mark.parametrize("budget", [1, 2, 5, 17, 40, 200])
@pytest.mark.parametrize("page", [2, 1000])
def test_the_budget_is_never_exceeded(place: Path, budget: int, page: int) -> None:
    with LoopbackHub(list_page=page) as loopback, Hub(loopback.url, token=False) as hub:
        serve_chain(loopback)
        for seed in range(12):
            loopback.add_repo(f"c/m{seed}", files=files(strange(seed)))
        hub_alone = trace("c/third", among=[], hub=hub).cost.requests
        loopback.forget()
        found = trace("c/third", registry=place, hub=hub, budget=budget)
        assert len(loopback.requests) - hub_alone <= budget
        assert found.cost.requests == len(loopback.requests)
        assert bool(found.candidates) == (budget >= 5)
        assert loopback.crashes == []


def test_without_a_budget_the_registry_alone_is_searched(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve_chain(loopback_hub)
    with pytest.raises(RegistryError):
        trace("c/third", registry=place, hub=hub, budget=0)


def test_a_dead_parent_is_marked(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    loopback_hub.add_repo("c/third", files=files(weights(2)), card={"base_model": "no/where"})
    found = trace("c/third", registry=place, hub=hub)
    assert [one.where.endswith("(not on the Hub)") for one in found.declared] == [True]


def test_a_parent_of_another_architecture_is_said(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    loopback_hub.add_repo("a/wide", files=files(weights(0, rows=200)))
    loopback_hub.add_repo("b/twin", files=files(weights(1)), card={"base_model": "a/wide"})
    loopback_hub.add_repo("c/third", files=files(weights(2)), card={"base_model": "a/wide"})
    told: list[str] = []
    found = trace("c/third", registry=place, hub=hub, progress=lambda step, *_: told.append(step))
    assert "a/wide has another architecture" in told
    assert ids(found) == {"b/twin"}  # its children may well be kin


def test_a_folder_leads_to_what_it_declares(loopback_hub: LoopbackHub, hub: Hub, place: Path, tmp_path: Path) -> None:
    serve_chain(loopback_hub)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights(2))
    with pytest.raises(RegistryError):  # nothing declared, nothing to go by
        trace(str(folder), registry=place, hub=hub)
    (folder / "README.md").write_text("---\nbase_model: b/child\n---\n")
    assert "b/child" in ids(trace(str(folder), registry=place, hub=hub))
    assert not [record for record in loopback_hub.requests if "author" in record.request.parameters]


def test_what_cards_say_is_not_followed_where_it_is_not_wanted(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve_chain(loopback_hub)
    assert ids(trace("c/third", registry=place, hub=hub, declared=False)) == set()


def test_a_locked_registry_is_searched_and_nothing_is_kept(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve_chain(loopback_hub)
    told: list[str] = []
    with Registry.open(place, write=True):
        found = trace("c/third", registry=place, hub=hub, progress=lambda step, *_: told.append(step))
    assert ids(found) == {"a/root", "b/child", "d/sibling"}
    assert [step for step in told if "not kept" in step]
    with Registry.open(place) as kept:
        assert kept.ids() == []


def test_a_listing_that_fails_is_passed_over(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve_chain(loopback_hub)
    loopback_hub.fault("status", status=404, path="/api/models$", times=99)
    assert {"a/root", "b/child"} <= ids(trace("c/third", registry=place, hub=hub))


def test_models_of_the_child_s_size_are_found_among_many_of_a_kind(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    for number in range(130):
        loopback_hub.add_repo(f"x/small-{number}", files=files(save({"x.weight": np.ones((9, 9))}), "chain"), downloads=10**6)
    loopback_hub.add_repo("a/root", files=files(weights(0), "chain"), downloads=1)
    loopback_hub.add_repo("c/third", files=files(weights(1), "chain"))
    found = trace("c/third", registry=place, hub=hub)
    assert ids(found) == {"a/root"}
    assert not [record for record in loopback_hub.requests if "small-" in record.path], "their sizes rule them out"


def test_what_an_older_scheme_left_in_the_registry_is_read_anew(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve_chain(loopback_hub)
    first = trace("c/third", registry=place, hub=hub)
    with Registry.open(place, write=True) as registry:
        models = [model for name in registry.ids() if (model := registry.get(name)) is not None]
        registry.put([replace(model, fingerprint=replace(model.fingerprint, scheme="hl1")) for model in models])
    again = trace("c/third", registry=place, hub=hub)
    assert ids(again) == ids(first)
    assert again.verdict == first.verdict
    with Registry.open(place) as kept:
        assert {name: kept.revision(name, "hl2") for name in kept.ids()} == {name: kept.revision(name) for name in kept.ids()}


@pytest.fixture(scope="module")
def demo() -> Iterator[Stage]:
    with stage() as opened:
        yield opened


@pytest.mark.parametrize("child", ["ada/grainy-shoe-negatives", "kim/upside-down-shirts"])
def test_the_demonstration_s_families_are_found_from_nothing(demo: Stage, place: Path, child: str) -> None:
    everything = trace(child, among=[model.id for model in demo.models], hub=demo.hub, declared=False)
    found = trace(child, registry=place, hub=demo.hub, declared=False)
    kin = {candidate.id for candidate in everything.candidates if candidate.kinship not in {"unrelated", "unknown"}}
    assert kin
    assert kin <= ids(found)


@given(st.lists(st.tuples(st.sampled_from("abcABC"), st.integers(0, 4))), st.integers(0, 4))
def test_a_queue_gives_each_once_and_the_likeliest_first(added: list[tuple[str, int]], worst: int) -> None:
    queue = Queue(["C"])
    ranks: dict[str, int] = {}
    for name, rank in added:
        queue.add(name, rank)
        ranks[name.lower()] = min(rank, ranks.get(name.lower(), 9))
    ranks.pop("c", None)
    taken = [name.lower() for name in queue.take(99, worst)]
    assert sorted(taken) == sorted(name for name, rank in ranks.items() if rank <= worst)
    assert [ranks[name] for name in taken] == sorted(ranks[name] for name in taken)


def test_a_purse_gives_back_what_was_not_sent() -> None:
    purse, sent = Purse(10), [0]
    with purse.hold(8, lambda: sent[0]):
        assert purse.left == 2
        sent[0] = 3
    assert purse.left == 7
    with pytest.raises(SpentError), purse.hold(8, lambda: sent[0]):
        pass
    assert purse.left == 7


def test_a_step_waits_for_what_another_gives_back() -> None:
    purse, begun = Purse(10), Event()

    def step() -> int:
        begun.set()
        with purse.hold(6, lambda: 0):
            return purse.left

    with ThreadPoolExecutor(1) as pool:
        with purse.hold(8, lambda: 0):
            task = pool.submit(step)
            assert begun.wait(60)
        assert task.result(60) == 4
    assert purse.left == 10


def test_the_beginnings_of_a_name() -> None:
    assert beginnings("SmolLM2-135M-Instruct") == ["SmolLM2-135M", "SmolLM2"]
    assert beginnings("a-b-name") == []
    assert beginnings("name") == []
