"""What a crawl has to do: the listing against what the registry holds and what failed before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from hub_lineage.crawl.selection import Entry, Selection
from hub_lineage.hub import Hub
from hub_lineage.registry import Failure, Ledger, Registry
from hub_lineage.types import Progress

_LASTING = frozenset({"no_weights", "bad_weights", "unreadable", "bad_reference"})  # as long as the commit is the same
_FIRST_WAIT = timedelta(hours=1)  # doubled at each attempt in vain
_LONGEST_WAIT = timedelta(days=7)
_TOLD = 100  # models between two words of progress
_REQUESTS = 3  # what a model takes: one API call, one resolver call, one read
_BYTES = 300_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be read, and what is passed over: models at a known commit, and failures whose time hasn't come.

    ``vanished`` was in a complete listing of the same conditions before and is in this one no more.
    """

    todo: tuple[Entry, ...]
    unchanged: int = 0
    postponed: int = 0
    listed: frozenset[str] = frozenset()
    vanished: tuple[str, ...] = ()

    @property
    def seen(self) -> int:
        """The models that were listed or named."""
        return len(self.todo) + self.unchanged + self.postponed

    @property
    def requests(self) -> int:
        """About how many requests reading takes."""
        return _REQUESTS * len(self.todo)

    @property
    def bytes(self) -> int:
        """About how many bytes reading takes at the most."""
        return _BYTES * len(self.todo)


def plan(
    registry: Registry | None, selection: Selection, hub: Hub, *, retry: bool = False, progress: Progress | None = None
) -> Plan:
    """Lists what a selection holds and says what of it is to be read; writes nothing.

    Args:
        registry: What is known; nothing where it is None.
        selection: Which models.
        hub: The Hub that lists them.
        retry: Try all that failed before, without waiting for its time.
        progress: Called as ``progress(step, done, total)``.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(registry.folder, write=False)) if registry is not None else None
        failures = {each.id: each for each in registry.failures()} if registry is not None and not retry else {}
        attempts = ledger.attempts() if ledger else {}
        now = datetime.now(timezone.utc)
        todo: list[Entry] = []
        listed: set[str] = set()
        unchanged = 0
        for entry in selection.listed(hub):
            listed.add(entry.id)
            if progress and len(listed) % _TOLD == 0:
                progress("Listing models", len(listed), 0)
            if registry is not None and entry.revision is not None and registry.revision(entry.id) == entry.revision:
                unchanged += 1
            elif not waits(entry, failures, attempts, now):
                todo.append(entry)
        before = ledger.listed(selection.scope) if ledger and selection.complete else set()
    postponed = len(listed) - unchanged - len(todo)
    return Plan(tuple(todo), unchanged, postponed, frozenset(listed), tuple(sorted(before - listed)))


def waits(entry: Entry, failures: Mapping[str, Failure], attempts: Mapping[str, int], now: datetime) -> bool:
    """Whether a model failed before and isn't to be tried yet: its commit is the same, or its time hasn't come.

    A model that was named is always tried: who names it wants it.
    """
    failure = failures.get(entry.id)
    if failure is None or not entry.listed:
        return False
    if failure.code in _LASTING and entry.revision is not None:
        return failure.revision == entry.revision
    doublings = min(attempts.get(entry.id, 1), 10) - 1
    return now < datetime.fromisoformat(failure.at) + min(_LONGEST_WAIT, _FIRST_WAIT * (1 << doublings))
