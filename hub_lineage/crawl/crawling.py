"""The crawl itself: plan, read many at once, store in small batches, notice what is gone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone

from hub_lineage.crawl.agenda import Agenda, Task
from hub_lineage.crawl.foresight import Foresight
from hub_lineage.crawl.ledger import Ledger, Pass
from hub_lineage.crawl.planning import Order, Plan, draw_up
from hub_lineage.crawl.selection import Entry, Selection
from hub_lineage.errors import BadToken, LineageError, NetworkError, NotFound, RateLimited, RegistryError
from hub_lineage.gathering import quiet, read_model
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.sampling import SCHEME
from hub_lineage.types import Cost, Model, Progress, Reference, Source

_AT_ONCE = 8
_AHEAD = 3 * _AT_ONCE  # models under way or read and not yet taken
_BATCH = 16  # models written together: a kill loses at most the work on these and on those under way
_OFTEN = 2.0  # seconds after which fewer are written
_PATIENCE = 1000.0  # seconds: three of the Hub's windows
_ENOUGH = 40  # network failures in a row after which the Hub counts as out of reach
_TOLD = 1000  # failures that are told one by one; the registry holds them all
_COMMITS = 2  # how often a model is opened anew whose commit vanishes while it is read


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """What a crawl did.

    Models seen, added, unchanged, those that couldn't be read as (id, code, message), those that failed before and
    weren't tried again yet, and the IDs that the Hub no longer has. ``failed`` holds the first thousand; ``not_read`` counts
    all. ``changes_since`` is set where not all was listed, but what changed at that time or later.
    """

    seen: int
    added: int
    unchanged: int
    failed: tuple[tuple[str, str, str], ...]
    cost: Cost
    postponed: int = 0
    gone: tuple[str, ...] = ()
    not_read: int = 0
    changes_since: str | None = None


def crawl(
    registry: Registry,
    *,
    hub: Hub | None = None,
    author: str | None = None,
    search: str | None = None,
    task: str | None = None,
    library: str | None = None,
    architecture: str | None = None,
    since: str | None = None,
    limit: int | None = None,
    ids: Sequence[str] | None = None,
    selection: Selection | None = None,
    retry: bool = False,
    relist: bool = False,
    progress: Progress | None = None,
) -> CrawlReport:
    """Reads the models of a listing, or those named, into a registry opened for writing.

    A model whose commit the registry holds is passed over without being opened. Failures are written down, don't stop
    the crawl, and are tried again by a later one: after an hour, then after twice as long each time; those that lie in the
    files once the commit changes. A crawl can be stopped at any moment and goes on where it was.

    Where the same conditions were crawled before to the end, and hold more than a page of the listing, only what changed
    since is listed. Once a week all is; what such a listing held before and the Hub no longer has is marked as gone, and its
    fingerprint stays.

    Args:
        registry: Where the models go.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        author: Only this person's or organisation's models.
        search: Only models whose name holds these words.
        task: Only models for this task, such as ``text-classification``.
        library: Only models of this library.
        architecture: Only models with this tag of an architecture or model type, such as ``bert``.
        since: Only models changed at this date or later.
        limit: Stop after so many.
        ids: These models instead of a listing.
        selection: All of these conditions in one, in place of them.
        retry: Try again at once what failed before.
        relist: List all, whatever is known.
        progress: Called as ``progress(step, done, total)``.

    Raises:
        RateLimited: the Hub's rate limit doesn't lift; what was read is stored.
        NetworkError: the Hub can't be reached any more; likewise.
        BadToken: the Hub doesn't accept the token, or no longer; likewise.
    """
    if not registry.writable:
        raise RegistryError("This registry was opened for reading.", "Open it with Registry.open(folder, write=True).")
    named = None if ids is None else tuple(Entry(name, listed=False) for name in ids)
    chosen = selection or Selection(author, search, task, library, architecture, since, limit, named)
    began = time.perf_counter()
    with ExitStack() as stack:
        used = hub or stack.enter_context(Hub(patience=_PATIENCE, steady=True))
        ledger = stack.enter_context(Ledger(registry.folder, write=True))
        agenda = Agenda(ledger)
        before = used.cost()
        made = draw_up(agenda, registry, Order(chosen, retry, relist), used, progress)
        work = _Work(registry, ledger, used, progress or quiet, made)
        if not chosen.complete:
            work.run(agenda)
            return work.report(used.cost(), before, time.perf_counter() - began, ())
        scope = chosen.scope(used.endpoint)
        agenda.keep_listed(scope)
        work.run(agenda)
        gone = _look_for(agenda.vanished(scope), scope, ledger, used) if made.changes_since is None else ()
        ledger.note_pass(scope, _passed(ledger.passed(scope), made, len(registry)))
        return work.report(used.cost(), before, time.perf_counter() - began, gone)


def _passed(last: Pass | None, made: Plan, held: int) -> Pass:
    """How the next crawl of these conditions may go on from this one, which is through."""
    if made.changes_since is not None and last is not None:
        return Pass(made.mark or last.mark, last.whole_at, held)
    return Pass(made.mark, datetime.now(timezone.utc).isoformat(timespec="seconds"), held)


@dataclass(frozen=True, slots=True)
class _Outcome:
    model: Model | None = None
    revision: str | None = None
    error: LineageError | None = None
    layout: str = ""


@dataclass
class _Work:
    """The crawl's counts, and the models that are read and not yet written."""

    registry: Registry
    ledger: Ledger
    hub: Hub
    progress: Progress
    plan: Plan
    done: int = 0
    added: int = 0
    not_read: int = 0
    failed: list[tuple[str, str, str]] = field(default_factory=list)
    _batch: dict[str, tuple[Model, str]] = field(default_factory=dict)
    _written: float = field(default_factory=time.monotonic)
    _in_a_row: int = 0

    def run(self, agenda: Agenda) -> None:
        """Reads all that is planned, many at once, and stores it in batches, even where it is broken off."""
        pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="crawl")
        waiting: deque[tuple[Entry, Future[_Outcome]]] = deque()
        try:
            for task in agenda.tasks():
                waiting.append((task.entry, pool.submit(_read, task, self.registry, self.hub)))
                if len(waiting) >= _AHEAD:
                    self._take(*waiting.popleft())
            while waiting:
                self._take(*waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._store()

    def report(self, after: Cost, before: Cost, seconds: float, gone: tuple[str, ...]) -> CrawlReport:
        """What was done."""
        requests, read = after.requests - before.requests, after.bytes_read - before.bytes_read
        cost = Cost(seconds, requests, read, after.bytes_total - before.bytes_total)
        made = self.plan
        return CrawlReport(
            seen=made.seen,
            added=self.added,
            unchanged=made.seen - made.postponed - self.added - self.not_read,
            failed=tuple(self.failed),
            cost=cost,
            postponed=made.postponed,
            gone=gone,
            not_read=self.not_read,
            changes_since=made.changes_since,
        )

    def _take(self, entry: Entry, task: Future[_Outcome]) -> None:
        outcome = task.result()
        self.done += 1
        self.progress(f"Reading {entry.id}", self.done, self.plan.to_read)
        if outcome.error is not None:
            self._fail(entry, outcome.revision, outcome.error)
            return
        self._in_a_row = 0
        if outcome.model is not None and self._is_new(outcome.model):
            self._batch[outcome.model.id] = outcome.model, outcome.layout
        elif self.ledger.failure(entry.id):  # it was stored before a kill could be noted, or by another name
            self.ledger.succeed({entry.id: ""})
        if len(self._batch) >= _BATCH or time.monotonic() - self._written > _OFTEN:
            self._store()

    def _is_new(self, model: Model) -> bool:
        """Whether the registry lacks it; two names may lead to one model."""
        return model.id not in self._batch and (
            model.revision is None or self.registry.revision(model.id, SCHEME) != model.revision
        )

    def _fail(self, entry: Entry, revision: str | None, error: LineageError) -> None:
        self._in_a_row = self._in_a_row + 1 if isinstance(error, NetworkError) else 0
        if isinstance(error, (RateLimited, BadToken)) or self._in_a_row >= _ENOUGH:
            raise error  # it is nothing about this model, and the next one would meet it too
        self.not_read += 1
        if len(self.failed) < _TOLD:
            self.failed.append((entry.id, error.code, str(error)))
        self.registry.record_failure(entry.id, revision or entry.revision, error.code, str(error))
        self.ledger.fail(entry.id, revision or entry.revision, error.code)
        if isinstance(error, NotFound) and revision is None and self.registry.revision(entry.id) is not None:
            self.ledger.mark_gone(entry.id)

    def _store(self) -> None:
        self._written = time.monotonic()
        if not self._batch:
            return
        self.added += self.registry.put(model for model, _ in self._batch.values())
        self.ledger.succeed({name: layout for name, (_, layout) in self._batch.items()})
        self._batch = {}


def _read(task: Task, registry: Registry, hub: Hub) -> _Outcome:
    """The model of a task; none where its commit turns out to be the one that is known."""
    source = None
    try:
        source = _open(task.entry, hub)
        return _taken_in(source, task, registry, hub, _COMMITS)
    except LineageError as error:
        return _Outcome(None, source.revision if source else None, error)


def _open(entry: Entry, hub: Hub) -> Source:
    """What a listing names is on the Hub, even where a folder of that name lies here."""
    return open_source(Reference(entry.id) if entry.listed else parse_reference(entry.id), hub)


def _taken_in(source: Source, task: Task, registry: Registry, hub: Hub, left: int) -> _Outcome:
    name, revision = source.reference.id, source.revision
    if revision is not None and registry.revision(name, SCHEME) == revision:
        return _Outcome(revision=revision)
    foreseen = Foresight(source, task.layout)
    try:
        return _Outcome(read_model(foreseen, _stored(name, registry)), revision, layout=foreseen.layout())
    except NotFound:  # its files were there a moment ago: a force-push may have put others in their place
        moved = _open(task.entry, hub)
        if not left or moved.revision == revision:
            raise
        return _taken_in(moved, task, registry, hub, left - 1)


def _stored(name: str, registry: Registry) -> Model | None:
    """What the registry holds of a model; None where that can't be read, so that it is read anew."""
    try:
        return registry.get(name)
    except RegistryError:
        return None


def _look_for(vanished: Iterable[str], scope: str, ledger: Ledger, hub: Hub) -> tuple[str, ...]:
    """Those that are gone from the Hub itself, marked; others only meet the conditions no more, and are let be."""
    gone = []
    for name in vanished:
        try:
            there = open_source(Reference(name), hub).reference.id == name
        except NotFound:
            there = False
        except LineageError:
            continue  # gated, or no answer: the next crawl asks again
        if not there:
            ledger.mark_gone(name)
            gone.append(name)
        ledger.unlist(scope, [name])
    return tuple(gone)
