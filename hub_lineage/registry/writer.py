"""The one writer: bytes first, made durable, then the rows that point at them.

A kill at any moment leaves committed rows with all their bytes, and at the most a tail that no row names. The next
writer cuts the tail off.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hub_lineage.fingerprint import encode
from hub_lineage.registry import schema, vectors
from hub_lineage.registry.folder import DATABASE, LONG, SHORT, in_words, prepare, sync_folder, writer_lock
from hub_lineage.registry.records import plain, write_facts, written
from hub_lineage.types import Block, Model

_MESSAGE = 2000  # characters kept of a failure's message

_UPSERT = """
INSERT INTO model (id, revision, newest, architecture, slot, slot_check, start, length, long_check, facts)
VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, revision) DO UPDATE SET newest = 1, architecture = excluded.architecture, slot = excluded.slot,
  slot_check = excluded.slot_check, start = excluded.start, length = excluded.length, long_check = excluded.long_check,
  facts = excluded.facts
"""


class Writer:
    """The writer's lock, its connection and the two data files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.RLock()
        prepare(folder)
        self._lock = writer_lock(folder)
        try:
            with in_words(folder):
                self._start()
        except BaseException:
            self._lock.close()
            raise

    def _start(self) -> None:
        fresh = not (self._folder / DATABASE).exists()
        self._connection = schema.connect(self._folder, write=True)
        try:
            schema.migrate(self._connection, self._folder)
            self._long = _open(self._folder / LONG)
            self._short = _open(self._folder / SHORT)
        except BaseException:
            self._connection.close()
            raise
        if fresh:
            sync_folder(self._folder)

    def tidy(self) -> None:
        """Cuts off what a killed writer left behind the last committed byte."""
        with in_words(self._folder):
            self._long.truncate(self._long_end())
            self._short.truncate(vectors.end(self._connection))

    def close(self) -> None:
        """Lets the next writer in; what was put is durable already."""
        with self._turn, in_words(self._folder):
            self._connection.close()
            self._long.close()
            self._short.close()
            self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is added within is there when it ends, durably, or nothing is where it raises."""
        with self._turn:
            with in_words(self._folder):
                self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                with in_words(self._folder):
                    self._commit()
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _commit(self) -> None:
        for file in (self._long, self._short):
            os.fsync(file.fileno())
        self._set("last_write", _now())
        self._connection.execute("COMMIT")

    def add(self, model: Model) -> None:
        """One model, within a transaction; it becomes the newest revision of its ID."""
        stored, short = encode(model.fingerprint), vectors.short(model.fingerprint)
        blocks = [(block, vectors.of_block(model.fingerprint, block)) for block in model.fingerprint.blocks]
        with in_words(self._folder):
            architecture = self._architecture(model.fingerprint.architecture, model.fingerprint.scheme)
            start = self._append(stored)
            slot = self._place(architecture, short)
            name, revision = plain(model.id), plain(model.revision or "")
            self._connection.execute("UPDATE model SET newest = 0 WHERE id = ? AND newest", (name,))
            values = (architecture, slot, zlib.crc32(short.tobytes()), start, len(stored), zlib.crc32(stored), write_facts(model))
            self._connection.execute(_UPSERT, (name, revision, *values))
            (number,) = self._connection.execute("SELECT number FROM model WHERE id = ? AND newest", (name,)).fetchone()
            self._point_at(number, model)
            self._connection.execute("DELETE FROM block WHERE model = ?", (number,))
            for block, vector in blocks:
                self._add_block(number, model.fingerprint.scheme, block, vector)
            self._connection.execute("DELETE FROM failure WHERE id = ?", (name,))

    def fail(self, name: str, revision: str | None, code: str, message: str) -> None:
        """Writes down why a model could not be stored, in place of what was written of it before."""
        row = (plain(name), plain(revision) if revision else None, plain(code), plain(message[:_MESSAGE]), _now())
        with in_words(self._folder):
            self._connection.execute("INSERT OR REPLACE INTO failure VALUES (?, ?, ?, ?, ?)", row)

    def _add_block(self, model: int, scheme: str, block: Block, vector: NDArray[np.float16]) -> None:
        """One kind of block of a model; the shapes of a kind are written down once."""
        kind = self._architecture(schema.BLOCK + block.key, scheme)
        slot = self._place(kind, vector)
        values = (kind, model, block.count, slot, zlib.crc32(vector.tobytes()))
        self._connection.execute("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?)", values)
        shapes = [(written(shape), kind, times) for shape, times in Counter(block.shapes).items()]
        self._connection.executemany("INSERT OR IGNORE INTO block_shape VALUES (?, ?, ?)", shapes)

    def _architecture(self, key: str, scheme: str) -> int:
        named = (plain(key), plain(scheme))
        self._connection.execute("INSERT OR IGNORE INTO architecture (key, scheme) VALUES (?, ?)", named)
        (number,) = self._connection.execute("SELECT number FROM architecture WHERE key = ? AND scheme = ?", named).fetchone()
        return int(number)

    def _append(self, stored: bytes) -> int:
        start = self._long_end()
        self._long.seek(start)
        _write(self._long, stored)
        self._set("long_end", start + len(stored))
        return start

    def _place(self, architecture: int, short: NDArray[np.float16]) -> int:
        slot = vectors.claim(self._connection, architecture)
        self._short.seek(slot * vectors.ROW)
        _write(self._short, short.tobytes())
        return slot

    def _point_at(self, number: int, model: Model) -> None:
        """Renews the lists that lead from a file hash and from a declared parent to the model."""
        self._connection.execute("DELETE FROM file_hash WHERE model = ?", (number,))
        self._connection.execute("DELETE FROM declared WHERE model = ?", (number,))
        hashes = [(plain(each), number) for each in model.hashes]
        parents = [(plain(each.id), number) for each in model.declared]
        self._connection.executemany("INSERT OR IGNORE INTO file_hash VALUES (?, ?)", hashes)
        self._connection.executemany("INSERT OR IGNORE INTO declared VALUES (?, ?)", parents)

    def _long_end(self) -> int:
        (end,) = self._connection.execute("SELECT value FROM state WHERE name = 'long_end'").fetchone()
        return int(end)

    def _set(self, name: str, value: object) -> None:
        self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))


def _open(path: Path) -> BinaryIO:
    path.touch()
    return path.open("r+b", buffering=0)  # unbuffered: nothing waits in this process for a kill


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
