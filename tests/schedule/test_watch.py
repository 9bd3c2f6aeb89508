"""The queue behind the webhook: what is news, and when it is worked on."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

PLACE = Path(__file__).parents[2] / "spaces" / "crawler" / "watch.py"


def loaded() -> ModuleType:
    """The Space's module, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("crawler_watch", PLACE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


WATCH = loaded()
PATIENCE = 60.0
ANN = frozenset({"ann"})


class Work:
    """Work that notes what it was given; of models named ``bad/...`` it fails."""

    def __init__(self, calls: int = 1) -> None:
        self.given: list[list[str]] = []
        self._calls = calls
        self._enough = threading.Event()
        self.first = threading.Event()

    def __call__(self, models: Sequence[str]) -> None:
        self.given.append(list(models))
        self.first.set()
        if len(self.given) == self._calls:
            self._enough.set()
        if models[0].startswith("bad/"):
            raise ValueError("as was to be")

    def wait(self) -> None:
        assert self._enough.wait(PATIENCE)


def payload(**changes: Any) -> dict[str, Any]:
    """News of a model by a watched author, with changes."""
    told: dict[str, Any] = {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "model", "name": "ann/root"},
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": "1", "newSha": "2"}],
    }
    return {**told, **changes}


def test_a_new_commit_of_a_watched_author_is_news() -> None:
    assert WATCH.changed_model(payload(), ANN) == "ann/root"
    made = payload(event={"action": "create", "scope": "repo"}, updatedRefs=None)
    assert WATCH.changed_model(made, ANN) == "ann/root"


@pytest.mark.parametrize(
    "changes",
    [
        {"repo": {"type": "model", "name": "bob/root"}},
        {"repo": {"type": "dataset", "name": "ann/registry"}},
        {"repo": {"type": "model", "name": "ann/root\n--all"}},
        {"repo": {"type": "model", "name": "ann/../../x"}},
        {"repo": "ann/root"},
        {"event": {"action": "update", "scope": "repo.config"}},
        {"event": {"action": "delete", "scope": "repo"}},
        {"event": {"action": "create", "scope": "discussion"}},
        {"event": None},
        {"updatedRefs": [{"ref": "refs/pr/1", "newSha": "2"}]},
        {"updatedRefs": [{"ref": "refs/heads/main", "oldSha": "1", "newSha": None}]},
        {"updatedRefs": "refs/heads/main"},
        {"updatedRefs": []},
    ],
)
def test_all_else_is_none(changes: dict[str, Any]) -> None:
    assert WATCH.changed_model(payload(**changes), ANN) is None


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(st.fixed_dictionaries({"event": JSON, "repo": JSON, "updatedRefs": JSON}))
def test_nothing_that_is_sent_breaks_it(told: dict[str, Any]) -> None:
    assert WATCH.changed_model(told, ANN) is None


def test_much_news_of_one_model_is_one_piece_of_work() -> None:
    work = Work()
    watch = WATCH.Watch(work, quiet=1.0)
    assert {watch.add("ann/root") for _ in range(100)} == {"queued"}
    work.wait()
    watch.close()
    assert work.given == [["ann/root"]]


def test_news_that_never_stops_is_worked_on_in_the_end() -> None:
    work = Work()
    watch = WATCH.Watch(work, quiet=3600.0, patience=0.0)
    watch.add("ann/root")
    work.wait()
    watch.close()
    assert work.given == [["ann/root"]]


def test_the_queue_is_bounded() -> None:
    work = Work()
    watch = WATCH.Watch(work, quiet=3600.0, most=2)
    assert [watch.add(name) for name in ("ann/a", "ann/b", "ann/c", "ann/a")] == ["queued", "queued", "full", "queued"]
    watch.close()
    assert work.given == []


def test_work_that_fails_is_told_and_ends_nothing() -> None:
    work = Work(calls=2)
    told: list[str] = []
    watch = WATCH.Watch(work, quiet=0.0, tell=told.append)
    watch.add("bad/one")
    work.first.wait(PATIENCE)
    watch.add("ann/two")
    work.wait()
    watch.close()
    assert work.given == [["bad/one"], ["ann/two"]]
    assert told == ["Not done: bad/one: ValueError: as was to be"]
