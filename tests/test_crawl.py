"""Crawling a Hub over HTTP into a registry: once, again, after changes, and killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from safetensors.numpy import save

from hub_lineage.crawl import crawl
from hub_lineage.errors import RegistryError
from hub_lineage.fingerprint import digest, read_fingerprint
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from tests.simulated import Memory

REPOSITORY = Path(__file__).parents[1]


def content(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    return save({f"{name}.weight": random.standard_normal((12, 12)).astype(np.float32) for name in "ab"})


def add(loopback: LoopbackHub, count: int, author: str = "org", first: int = 0) -> list[str]:
    names = [f"{author}/m{k:02}" for k in range(first, first + count)]
    for seed, name in enumerate(names):
        loopback.add_repo(
            name, files={"model.safetensors": content(first + seed)}, card={"license": "mit", "base_model": "org/m00"}
        )
    return names


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry", write=True) as opened:
        yield opened


def held(registry: Registry, names: list[str], first: int = 0) -> bool:
    """Whether each model is there as its file is."""
    for seed, name in enumerate(names):
        model = registry.get(name)
        if model is None:
            return False
        expected = read_fingerprint(Memory({"model.safetensors": content(first + seed)}))
        assert digest(model.fingerprint) == digest(expected), name
    return True


def test_what_is_listed_is_read_and_kept(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 20)
    found = crawl(registry, hub=hub)
    assert (found.seen, found.added, found.unchanged, found.failed) == (20, 20, 0, ())
    assert held(registry, names)
    model = registry.get("org/m03")
    assert model is not None
    assert (model.license, [one.id for one in model.declared]) == ("mit", ["org/m00"])
    assert model.revision == loopback_hub.site.catalogue.repositories["org/m03"].at("main").oid
    assert len(model.hashes) == 1
    assert found.cost.requests == len(loopback_hub.requests) > 20
    assert found.cost.bytes_read > 0


def test_a_second_crawl_asks_for_the_listing_alone(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 20)
    crawl(registry, hub=hub)
    loopback_hub.forget()
    found = crawl(registry, hub=hub)
    assert (found.seen, found.added, found.unchanged, found.failed) == (20, 0, 20, ())
    assert {record.path for record in loopback_hub.requests} == {"/api/models"}


def test_a_changed_commit_alone_is_read_again(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 5)
    crawl(registry, hub=hub)
    before = registry.get(names[2])
    assert before is not None
    loopback_hub.site.catalogue.repositories[names[2]].commit({"model.safetensors": content(99)})
    loopback_hub.forget()
    found = crawl(registry, hub=hub)
    assert (found.seen, found.added, found.unchanged) == (5, 1, 4)
    assert {name for name in names for record in loopback_hub.requests if name in unquote(record.path)} == {names[2]}
    after, kept = registry.get(names[2]), registry.get(names[2], before.revision)
    assert after is not None
    assert kept is not None
    assert after.revision != before.revision
    assert digest(kept.fingerprint) == digest(before.fingerprint) != digest(after.fingerprint)


def test_failures_are_written_down_and_others_go_on(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 4)
    loopback_hub.add_repo("org/bare", files={"README.md": "words"})
    loopback_hub.add_repo("org/cut", files={"model.safetensors": content(0)[:100]})
    loopback_hub.add_repo("org/gated", files={"model.safetensors": content(0)}, gated="auto")
    found = crawl(registry, hub=hub)
    expected = {"org/bare": "no_weights", "org/cut": "bad_weights", "org/gated": "gated"}
    assert (found.seen, found.added, found.unchanged) == (7, 4, 0)
    assert {name: code for name, code, _ in found.failed} == expected
    assert all(message for *_, message in found.failed)
    assert {failure.id: failure.code for failure in registry.failures()} == expected
    assert held(registry, names)
    loopback_hub.site.catalogue.repositories["org/cut"].commit({"model.safetensors": content(0)})
    crawl(registry, hub=hub)
    assert {failure.id for failure in registry.failures()} == {"org/bare", "org/gated"}
    assert registry.get("org/cut") is not None


@pytest.mark.parametrize("limit", [0, 1, 17, 99])
def test_a_limit_is_kept(loopback_hub: LoopbackHub, hub: Hub, registry: Registry, limit: int) -> None:
    add(loopback_hub, 20)
    found = crawl(registry, hub=hub, limit=limit)
    assert found.seen == found.added == len(registry) == min(limit, 20)


def test_an_author_s_and_a_search_s_models_alone(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 3)
    mine = add(loopback_hub, 2, "mira", first=40)
    assert crawl(registry, hub=hub, author="mira").added == 2
    assert held(registry, mine, first=40)
    assert crawl(registry, hub=hub, search="m02").added == 1
    assert registry.get("org/m02") is not None


def test_ids_are_read_each_once_and_what_is_wrong_is_a_failure(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 3)
    found = crawl(registry, hub=hub, ids=[names[0], names[2], names[0], "org/none", "no id at all", ""])
    assert (found.seen, found.added, found.unchanged) == (5, 2, 0)
    assert {name: code for name, code, _ in found.failed} == {
        "org/none": "not_found",
        "no id at all": "bad_reference",
        "": "bad_reference",
    }
    assert registry.get(names[1]) is None


def test_ids_that_are_known_are_opened_and_not_read(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 3)
    crawl(registry, hub=hub, ids=names)
    loopback_hub.forget()
    found = crawl(registry, hub=hub, ids=names)
    assert (found.seen, found.added, found.unchanged) == (3, 0, 3)
    assert len(loopback_hub.requests) == 3
    assert all(record.path.startswith("/api/models/") for record in loopback_hub.requests)


def test_a_name_that_was_given_up_is_not_read_twice(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 1)
    loopback_hub.rename("org/m00", "org/new")
    found = crawl(registry, hub=hub, ids=["org/m00", "org/new"])
    assert (found.seen, len(registry)) == (2, 1)
    assert registry.get("org/new") is not None


def test_what_is_listed_twice_is_read_once(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    names = add(loopback_hub, 5)
    repositories = loopback_hub.site.catalogue.repositories
    repositories["org/again"] = repositories[names[2]]  # as where a listing moves under its reader
    assert [entry.id for entry in hub.list_models()].count(names[2]) == 2
    found = crawl(registry, hub=hub)
    assert (found.seen, found.added) == (5, 5)
    assert held(registry, names)


def test_a_folder_of_that_name_is_not_taken_for_a_listed_model(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = add(loopback_hub, 1)
    (tmp_path / "org" / "m00").mkdir(parents=True)
    (tmp_path / "org" / "m00" / "model.safetensors").write_bytes(content(77))
    monkeypatch.chdir(tmp_path)
    assert crawl(registry, hub=hub).added == 1
    assert held(registry, names)


def test_progress_counts_what_is_read(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    add(loopback_hub, 3)
    told: list[tuple[str, int, int]] = []
    crawl(registry, hub=hub, limit=3, progress=lambda *step: told.append(step))
    assert told[0] == ("Listing models", 3, 0)
    assert [(done, total) for _, done, total in told[1:]] == [(1, 3), (2, 3), (3, 3)]
    assert {step for step, _, _ in told[1:]} == {f"Reading org/m0{k}" for k in range(3)}


def test_a_registry_opened_for_reading_takes_nothing(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, tmp_path: Path
) -> None:
    add(loopback_hub, 1)
    with Registry.open(tmp_path / "registry") as reader, pytest.raises(RegistryError):
        crawl(reader, hub=hub)


CRAWLER = """
import sys
from hub_lineage.crawl import crawl
from hub_lineage.registry import Registry
with Registry.open(sys.argv[1], write=True) as registry:
    crawl(registry)
"""


def crawled_until_killed(folder: Path, url: str, models: int) -> int:
    """Crawls in another process, which is killed once it has stored so many models; how many are there then."""
    environment = {**os.environ, "HF_ENDPOINT": url, "OMP_NUM_THREADS": "1"}
    crawler = subprocess.Popen([sys.executable, "-c", CRAWLER, str(folder)], env=environment, cwd=REPOSITORY)
    try:
        while crawler.poll() is None:
            try:
                with Registry.open(folder) as reader:
                    if len(reader) >= models:
                        break
            except RegistryError:  # not made yet
                pass
            time.sleep(0.01)
        assert crawler.poll() is None, "the crawl ended before it could be killed"
    finally:
        crawler.send_signal(signal.SIGKILL)
        crawler.wait()
    with Registry.open(folder) as reader:
        return len(reader)


def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    with LoopbackHub(delay=0.04) as loopback:
        names = add(loopback, 80)
        first = crawled_until_killed(tmp_path / "r", loopback.url, 1)
        second = crawled_until_killed(tmp_path / "r", loopback.url, first + 1)
        assert 0 < first < second < len(names)
        loopback.delay = 0.0
        loopback.forget()
        with Hub(loopback.url, token=False) as hub, Registry.open(tmp_path / "r", write=True) as registry:
            kept = len(registry)
            found = crawl(registry, hub=hub)
            assert (found.seen, found.added, found.unchanged, found.failed) == (80, 80 - kept, kept, ())
            assert held(registry, names)
        assert loopback.crashes == []
