"""Models of a Hub into a registry: what is new is read by byte ranges, what is known is passed over."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from hub_lineage.errors import LineageError
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.trace import read_model
from hub_lineage.types import Cost, Model, Progress, Reference

_AT_ONCE = 8
_BATCH = 16  # models written together: a kill loses at most the work on these


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """What a crawl did: models seen, added, unchanged, and those that couldn't be read as (id, code, message)."""

    seen: int
    added: int
    unchanged: int
    failed: tuple[tuple[str, str, str], ...]
    cost: Cost


@dataclass(frozen=True, slots=True)
class _Entry:
    id: str
    revision: str | None = None
    listed: bool = True


def crawl(
    registry: Registry,
    *,
    hub: Hub | None = None,
    author: str | None = None,
    search: str | None = None,
    limit: int | None = None,
    ids: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> CrawlReport:
    """Reads the models of a listing, or those named, into a registry opened for writing.

    A model whose commit the registry holds is passed over without being opened. Failures are written down and don't stop
    the crawl. It can be stopped at any moment and goes on where it was.

    Args:
        registry: Where the models go.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        author: Only this person's or organisation's models.
        search: Only models whose name holds these words.
        limit: Stop after so many.
        ids: These models instead of a listing.
        progress: Called as ``progress(step, done, total)``.
    """
    with ExitStack() as stack:
        used = hub or stack.enter_context(Hub())
        before = used.cost()
        listed = _named(ids) if ids is not None else _listed(used, author, search, limit)
        tally = _Tally(registry, progress or _quiet, len(ids) if ids is not None else limit or 0)
        pool = stack.enter_context(ThreadPoolExecutor(_AT_ONCE))
        for batch in _batches(itertools.islice(listed, limit), _BATCH):
            tally.take(batch, pool, used)
        after = used.cost()
        cost = Cost(
            0.0, after.requests - before.requests, after.bytes_read - before.bytes_read, after.bytes_total - before.bytes_total
        )
        return CrawlReport(tally.seen, tally.added, tally.seen - tally.added - len(tally.failed), tuple(tally.failed), cost)


def _named(ids: Sequence[str]) -> Iterator[_Entry]:
    for name in dict.fromkeys(ids):
        yield _Entry(name, listed=False)


def _listed(hub: Hub, author: str | None, search: str | None, limit: int | None) -> Iterator[_Entry]:
    seen: set[str] = set()
    for entry in hub.list_models(author=author, search=search, limit=limit):
        if entry.id not in seen:  # a listing that moves under the reader repeats itself
            seen.add(entry.id)
            yield _Entry(entry.id, entry.sha)


def _batches(entries: Iterable[_Entry], size: int) -> Iterator[list[_Entry]]:
    iterator = iter(entries)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


class _Tally:
    """The crawl's counts, and the writing of one batch after another."""

    def __init__(self, registry: Registry, progress: Progress, total: int) -> None:
        self.registry, self.progress, self.total = registry, progress, total
        self.seen = self.added = 0
        self.failed: list[tuple[str, str, str]] = []

    def take(self, batch: Sequence[_Entry], pool: ThreadPoolExecutor, hub: Hub) -> None:
        """Reads what is new in a batch, at once, and stores it in one transaction."""
        new = [entry for entry in batch if entry.revision is None or self.registry.revision(entry.id) != entry.revision]
        self.seen += len(batch) - len(new)
        tasks = [(entry, pool.submit(_read, entry, self.registry.revision(entry.id), hub)) for entry in new]
        read = [model for entry, task in tasks if (model := self._result(entry, task)) is not None]
        self.added += self.registry.put(read)

    def _result(self, entry: _Entry, task: Future[Model | None]) -> Model | None:
        self.seen += 1
        self.progress(f"Reading {entry.id}", self.seen, self.total)
        try:
            model = task.result()
        except LineageError as error:
            self.failed.append((entry.id, error.code, str(error)))
            self.registry.record_failure(entry.id, entry.revision, error.code, str(error))
            return None
        known = model is None or (model.revision is not None and self.registry.revision(model.id) == model.revision)
        return None if known else model


def _read(entry: _Entry, known: str | None, hub: Hub) -> Model | None:
    """The model of an entry; None where its commit turns out to be the one that is known."""
    # What a listing names is on the Hub, even where a folder of that name lies here.
    source = open_source(Reference(entry.id) if entry.listed else parse_reference(entry.id), hub)
    return None if known is not None and source.revision == known else read_model(source)


def _quiet(step: str, done: int, total: int) -> None:
    """No progress is shown where nobody asked for it."""
