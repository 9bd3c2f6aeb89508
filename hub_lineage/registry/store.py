"""The registry as its callers see it: open a folder, put models, find them again.

Safe to read from several threads: each call works on one snapshot of the database, on a connection of its own.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import final

import numpy as np

from hub_lineage.candidates import Fit
from hub_lineage.errors import BadWeights, RegistryError
from hub_lineage.fingerprint import decode
from hub_lineage.registry import schema, vectors
from hub_lineage.registry.folder import LOCK, LONG, SHORT, damaged, in_words, require
from hub_lineage.registry.records import Failure, Hit, RegistryInfo, plain, read_model, written
from hub_lineage.registry.writer import Writer
from hub_lineage.types import Block, Fingerprint, Floats, Model

_MOST_SHAPES = 64  # of a kind of block that are asked for; SQLite joins no more than 500 questions
_AT_ONCE = 500  # values in one query's list, below the least limit that SQLite is built with
_OF_MODELS = "SELECT slot, id, revision, slot_check FROM model WHERE newest AND slot IN"
_OF_BLOCKS = "SELECT b.slot, id, revision, b.slot_check FROM block b JOIN model ON number = model WHERE newest AND b.slot IN"
_ROW = "SELECT id, revision, start, length, long_check, facts FROM model"

_Row = tuple[str, str, int, int, int, str]


@final
class Registry:
    """Models and their fingerprints in one folder, for many readers and one writer."""

    def __init__(self, folder: Path, writer: Writer | None) -> None:
        self._folder = folder
        self._writer = writer
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, write: bool = False) -> Registry:
        """Opens the registry in ``folder``; ``write`` makes it where there is none and takes the writer's lock.

        Raises:
            RegistryError: there is none, it is damaged, or another process writes to it.
            RegistryVersion: it was written by another version of the store.
        """
        path = Path(folder)
        if not write:
            require(path)
        registry = cls(path, Writer(path) if write else None)
        try:
            registry._check()
            if registry._writer:
                registry._writer.tidy()
        except BaseException:
            registry.close()
            raise
        return registry

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._folder

    @property
    def writable(self) -> bool:
        """Whether it was opened for writing."""
        return self._writer is not None

    def put(self, models: Iterable[Model]) -> int:
        """Stores models and returns how many, once they are durable: all of them, or none where it raises.

        A model of an ID and revision that are there replaces what was stored; a new revision supersedes the old one,
        which stays readable. The revision put last is the newest, whatever its date.
        """
        count = 0
        with self._writing.transaction():
            for model in models:
                self._writing.add(model)
                count += 1
        return count

    def get(self, id: str, revision: str | None = None) -> Model | None:  # noqa: A002 - the word that Model uses
        """The model of that ID at that revision, or at its newest; None where it isn't stored."""
        which, values = ("revision = ?", (plain(id), plain(revision))) if revision else ("newest", (plain(id),))
        with self._snapshot() as connection:
            row = connection.execute(f"{_ROW} WHERE id = ? AND {which}", values).fetchone()
        return self._model(row) if row else None

    def revision(self, id: str, scheme: str | None = None) -> str | None:  # noqa: A002 - the word that Model uses
        """The newest stored revision of an ID, without reading its fingerprint; None where none is there by ``scheme``."""
        query = (
            "SELECT revision FROM model m JOIN architecture a ON a.number = m.architecture"
            " WHERE id = ? AND newest AND ifnull(?, scheme) = scheme"
        )
        with self._snapshot() as connection:
            row = connection.execute(query, (plain(id), None if scheme is None else plain(scheme))).fetchone()
        return row[0] or None if row else None

    def search(self, fingerprint: Fingerprint, top: int = 50) -> list[Hit]:
        """The newest models of the same scheme and architecture, most similar first, ties by ID: exact, not approximate."""
        query = vectors.short(fingerprint).astype(np.float32)
        with self._snapshot() as connection:
            kind = self._kind(connection, fingerprint.architecture, fingerprint.scheme)
            return [] if kind is None else self._nearest(connection, kind, query, top, _OF_MODELS)

    def search_blocks(self, fingerprint: Fingerprint, top: int = 50) -> list[Hit]:
        """The newest models of any architecture that share a kind of depth block, most similar in it first, ties by ID."""
        best: dict[str, Hit] = {}
        with self._snapshot() as connection:
            for block in fingerprint.blocks if schema.has_blocks(connection) else ():
                kind = self._kind(connection, schema.BLOCK + block.key, fingerprint.scheme) if block.samples else None
                query = vectors.of_block(fingerprint, block).astype(np.float32)
                for hit in [] if kind is None else self._nearest(connection, kind, query, top, _OF_BLOCKS):
                    if hit.id not in best or hit.similarity > best[hit.id].similarity:
                        best[hit.id] = hit
        return sorted(best.values(), key=lambda hit: (-hit.similarity, hit.id))[:top]

    def bases(self, fingerprint: Fingerprint, top: int = 50) -> list[Fit]:
        """The newest models that an adapter could belong to, nearest to it in depth first, ties by ID.

        They have a kind of block that holds all shapes which the adapter changes in one block.
        """
        found: dict[str, Fit] = {}
        with self._snapshot() as connection:
            for block in fingerprint.blocks if schema.has_blocks(connection) else ():
                if not block.samples and block.shapes:
                    for fit in self._holding(connection, block, fingerprint.scheme, top):
                        if fit.id not in found or fit.away < found[fit.id].away:
                            found[fit.id] = fit
        return sorted(found.values(), key=lambda fit: (fit.away, fit.id))[:top]

    def by_architecture(self, key: str, limit: int | None = None) -> Iterator[Model]:
        """The newest models of an architecture key, of every scheme, in the order of their IDs."""
        query = (
            "SELECT m.number FROM model m JOIN architecture a ON a.number = m.architecture WHERE a.key = ? AND newest ORDER BY id"
        )
        with self._snapshot() as connection:
            numbers = [
                number for (number,) in connection.execute(f"{query} LIMIT ?", (plain(key), -1 if limit is None else limit))
            ]
        for number in numbers:  # no snapshot is held between two models: a slow caller must not keep the log from being cleared
            with self._snapshot() as connection:
                row = connection.execute(f"{_ROW} WHERE number = ?", (number,)).fetchone()
            yield self._model(row)

    def duplicates(self, hashes: Iterable[str]) -> list[str]:
        """The IDs whose newest revision holds a weight file of one of these sha256, sorted."""
        return self._pointing("file_hash", "hash", [plain(each) for each in hashes])

    def children_declaring(self, id: str) -> list[str]:  # noqa: A002 - the word that Model uses
        """The IDs whose newest revision declares ``id`` as a parent, sorted."""
        return self._pointing("declared", "parent", [plain(id)])

    def record_failure(self, id: str, revision: str | None, code: str, message: str) -> None:  # noqa: A002 - as in Model
        """Writes down, durably, why a model could not be stored; a later put of that ID removes it."""
        with self._writing.transaction():
            self._writing.fail(id, revision, code, message)

    def failures(self) -> list[Failure]:
        """What could not be stored when it was last tried, sorted by ID."""
        with self._snapshot() as connection:
            return [
                Failure(*row) for row in connection.execute("SELECT id, revision, code, message, at FROM failure ORDER BY id")
            ]

    def ids(self) -> list[str]:
        """The IDs of all models, sorted."""
        with self._snapshot() as connection:
            return [name for (name,) in connection.execute("SELECT id FROM model WHERE newest ORDER BY id")]

    def info(self) -> RegistryInfo:
        """Counts, bytes on disk, the version of the store and the time of the last write."""
        with self._snapshot() as connection:
            models, all_rows = connection.execute(
                "SELECT (SELECT count(*) FROM model WHERE newest), count(*) FROM model"
            ).fetchone()
            named = "SELECT count(DISTINCT key) FROM architecture WHERE key NOT LIKE ?"
            (architectures,) = connection.execute(named, (f"{schema.BLOCK}%",)).fetchone()
            (failures,) = connection.execute("SELECT count(*) FROM failure").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            last = connection.execute("SELECT value FROM state WHERE name = 'last_write'").fetchone()
            size = sum(entry.stat().st_size for entry in self._folder.iterdir() if not entry.name.startswith(LOCK))
        return RegistryInfo(models, all_rows - models, architectures, failures, size, version, last[0] if last else None)

    def __len__(self) -> int:
        with self._snapshot() as connection:
            (count,) = connection.execute("SELECT count(*) FROM model WHERE newest").fetchone()
        return int(count)

    def close(self) -> None:
        """Ends all use of the folder; what was put is durable already."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        if self._writer:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise RegistryError("This registry was opened for reading.", "Open it with Registry.open(folder, write=True).")
        return self._writer

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one committed state, for one call; idle ones are kept for the next."""
        if self._closed:
            raise RegistryError("This registry was closed.", "Open it again with Registry.open(folder).")
        with in_words(self._folder):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = schema.connect(self._folder)
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            if self._closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _check(self) -> None:
        """Raises unless the version is right and the data files hold all that the rows name."""
        with self._snapshot() as connection:
            schema.check(connection, self._folder)
            (long_end,) = connection.execute("SELECT value FROM state WHERE name = 'long_end'").fetchone()
            for name, needed in ((LONG, int(long_end)), (SHORT, vectors.end(connection))):
                path = self._folder / name
                held = path.stat().st_size if path.exists() else 0
                if held < needed:
                    raise damaged(self._folder, f"{name} has {held:,} of its {needed:,} bytes")

    def _model(self, row: _Row) -> Model:
        name, revision, start, length, check, facts = row
        with in_words(self._folder), (self._folder / LONG).open("rb") as file:
            file.seek(start)
            stored = file.read(length)
        if zlib.crc32(stored) != check:
            raise self._stale(name)
        try:
            return read_model(name, revision, decode(stored), facts)
        except (BadWeights, ValueError, KeyError, TypeError) as error:
            raise self._stale(name) from error

    def _stale(self, name: str) -> RegistryError:
        return RegistryError(
            f"The registry at {self._folder} is damaged: the fingerprint of {name} isn't what was stored.",
            "Crawl that model again, or restore the folder from a copy.",
        )

    def _kind(self, connection: sqlite3.Connection, key: str, scheme: str) -> int | None:
        named = (plain(key), plain(scheme))
        row = connection.execute("SELECT number FROM architecture WHERE key = ? AND scheme = ?", named).fetchone()
        return int(row[0]) if row else None

    def _holding(self, connection: sqlite3.Connection, block: Block, scheme: str, top: int) -> list[Fit]:
        """The newest models with as many blocks of a kind that holds all shapes of this one as often."""
        wanted = dict(Counter(block.shapes).most_common(_MOST_SHAPES))
        marks = " UNION ALL ".join(["SELECT kind FROM block_shape WHERE shape = ? AND times >= ?"] * len(wanted))
        query = (
            "SELECT m.id, m.revision, min(b.times - ?) AS away FROM block b JOIN model m ON m.number = b.model"  # noqa: S608 - our own words
            " JOIN architecture a ON a.number = b.kind WHERE m.newest AND a.scheme = ?"
            f" AND b.times >= ? AND b.kind IN (SELECT kind FROM ({marks}) GROUP BY kind HAVING count(*) = ?)"
            " GROUP BY m.id ORDER BY away, m.id LIMIT ?"
        )
        shapes = [value for shape, times in wanted.items() for value in (written(shape), times)]
        rows = connection.execute(query, [block.count, plain(scheme), block.count, *shapes, len(wanted), top])
        return [Fit(name, revision or None, away) for name, revision, away in rows]

    def _nearest(self, connection: sqlite3.Connection, kind: int, query: Floats, top: int, rows: str) -> list[Hit]:
        """The newest models among the vectors of one kind, most similar first."""
        slots, scores = vectors.score(self._folder / SHORT, vectors.runs(connection, kind), query)
        wanted = top
        while True:
            kept = min(wanted, len(slots))
            if kept < 1:
                return []
            cut = np.partition(scores, len(scores) - kept)[len(scores) - kept]
            near = slots[scores >= cut - 2 * vectors.TOLERANCE]
            hits = self._hits(connection, near, query, rows)
            # Superseded vectors are scored too; go on until enough newest ones lie safely above all that were left out.
            if kept == len(slots) or sum(hit.similarity >= cut - vectors.TOLERANCE for hit in hits) >= top:
                return hits[:top]
            wanted *= 4

    def _hits(self, connection: sqlite3.Connection, slots: Sequence[int], query: Floats, rows: str) -> list[Hit]:
        """The newest models in these slots with their exact cosines, in the order of an answer."""
        found: list[tuple[int, str, str, int]] = []
        for first in range(0, len(slots), _AT_ONCE):
            some = [int(slot) for slot in slots[first : first + _AT_ONCE]]
            found += connection.execute(f"{rows} ({','.join('?' * len(some))})", some)
        cosines, checks = vectors.exact(self._folder / SHORT, [row[0] for row in found], query)
        hits = []
        for (_, name, revision, check), cosine, held in zip(found, cosines, checks, strict=True):
            if held != check:
                raise self._stale(name)
            hits.append(Hit(name, revision or None, cosine))
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.id))

    def _pointing(self, table: str, column: str, values: Sequence[str]) -> list[str]:
        query = f"SELECT id FROM {table} JOIN model ON number = model WHERE newest AND {column} = ?"  # noqa: S608 - our own words
        with self._snapshot() as connection:
            return sorted({name for value in values for (name,) in connection.execute(query, (value,))})
