"""What a crawl has to do: the listing against what the registry holds and what failed before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice

from hub_lineage.crawl.agenda import POSTPONED, TODO, UNCHANGED, Agenda, State
from hub_lineage.crawl.ledger import Failed, Ledger
from hub_lineage.crawl.selection import TO_SECONDS, Entry, Selection
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.sampling import SCHEME
from hub_lineage.types import Progress

_PAGE = 1000
"""Models on a page of the Hub's listing: a scope of no more is listed whole each time, which costs no more."""
_WHOLE_AFTER = timedelta(days=7)
_OVERLAP = timedelta(hours=6)
"""How far a listing of what changed goes back behind the last one: clocks differ, and listings lag behind."""
_CHUNK = 500
_REQUESTS = 3  # what a model takes: one API call, one resolver call, one read
_BYTES = 300_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is to be read, and how much is passed over: models at a known commit, and failures whose time hasn't come.

    ``vanished`` counts what complete listings of the same conditions held and this one doesn't. ``changes_since`` is set
    where not all was listed, but what changed at that time or later. ``mark`` is the time from which the next listing may go on.
    """

    to_read: int
    unchanged: int = 0
    postponed: int = 0
    vanished: int = 0
    changes_since: str | None = None
    mark: str = ""

    @property
    def seen(self) -> int:
        """The models that were listed or named."""
        return self.to_read + self.unchanged + self.postponed

    @property
    def requests(self) -> int:
        """About how many requests reading takes."""
        return _REQUESTS * self.to_read

    @property
    def bytes(self) -> int:
        """About how many bytes reading takes at the most."""
        return _BYTES * self.to_read


@dataclass(frozen=True, slots=True)
class Order:
    """What a crawl is about and how: ``retry`` tries all that failed before, ``relist`` lists all and not only changes."""

    selection: Selection
    retry: bool = False
    relist: bool = False


def plan(
    registry: Registry | None,
    selection: Selection,
    hub: Hub,
    *,
    retry: bool = False,
    relist: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Lists what a selection holds and says how much of it is to be read; writes nothing.

    Args:
        registry: What is known; nothing where it is None.
        selection: Which models.
        hub: The Hub that lists them.
        retry: Try all that failed before, without waiting for its time.
        relist: List all, even where what changed since the last crawl would do.
        progress: Called as ``progress(step, done, total)``.
    """
    with Ledger(registry.folder if registry is not None else None, write=False) as ledger:
        return draw_up(Agenda(ledger), registry, Order(selection, retry, relist), hub, progress)


def draw_up(agenda: Agenda, registry: Registry | None, order: Order, hub: Hub, progress: Progress | None = None) -> Plan:
    """Lists what is wanted into an agenda; see :func:`plan`."""
    now = datetime.now(timezone.utc)
    selection, scope = order.selection, order.selection.scope(hub.endpoint)
    since = None if order.relist else _changes_since(agenda.ledger, registry, selection, scope, now)
    listed = _Listed(selection.listed(hub, since))
    before = None if order.retry else agenda.ledger
    left = selection.limit
    count = 0
    while chunk := list(islice(listed, _CHUNK if left is None else min(_CHUNK, left - count))):
        # A listing that moves under its reader repeats itself: each model counts once.
        count += agenda.add([(entry, _state(entry, registry, before, now)) for entry in chunk])
        if progress:
            progress("Listing models", count, 0)
    if since is not None:
        agenda.add_due(scope, now, everything=order.retry)
    states = agenda.counts()
    vanished = agenda.count_vanished(scope) if selection.complete and since is None else 0
    mark = min(listed.newest, now.isoformat()[:TO_SECONDS])
    return Plan(states.get(TODO, 0), states.get(UNCHANGED, 0), states.get(POSTPONED, 0), vanished, since, mark)


class _Listed(Iterator[Entry]):
    """The entries of a listing, and the newest time at which one of them changed."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = iter(entries)
        self.newest = ""

    def __next__(self) -> Entry:
        entry = next(self._entries)
        self.newest = max(self.newest, (entry.last_modified or "")[:TO_SECONDS])
        return entry


def _changes_since(ledger: Ledger, registry: Registry | None, selection: Selection, scope: str, now: datetime) -> str | None:
    """From when on a listing of what changed is enough; None where all is to be listed."""
    last = ledger.passed(scope) if selection.complete and registry is not None else None
    if last is None or not last.mark or not ledger.holds_more(scope, _PAGE):
        return None
    if now - datetime.fromisoformat(last.whole_at) >= _WHOLE_AFTER or registry is None or len(registry) < last.held:
        return None  # its time has come, or models are missing that were there: another registry, or an older copy
    return (datetime.fromisoformat(last.mark) - _OVERLAP).isoformat()[:TO_SECONDS]


def _state(entry: Entry, registry: Registry | None, before: Ledger | None, now: datetime) -> State:
    if registry is not None and entry.revision is not None and registry.revision(entry.id, SCHEME) == entry.revision:
        return UNCHANGED
    failed = before.failure(entry.id) if before is not None and entry.listed else None
    return POSTPONED if failed is not None and waits(entry, failed, now) else TODO


def waits(entry: Entry, failed: Failed, now: datetime) -> bool:
    """Whether a model failed before and isn't to be tried yet: its commit is the same, or its time hasn't come.

    A model that was named is always tried: who names it wants it.
    """
    if not entry.listed:
        return False
    if failed.lasting and entry.revision is not None:
        return failed.revision == entry.revision
    return now < datetime.fromisoformat(failed.due)
