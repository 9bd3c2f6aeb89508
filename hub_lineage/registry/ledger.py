"""What crawls remember beside the models: how often each was tried, what was listed, what is gone.

It is a database of its own in the registry's folder, so that it can be lost without harm: the next crawl asks anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, final

from hub_lineage.registry.folder import LEDGER, in_words
from hub_lineage.registry.records import plain

_TABLES = """
CREATE TABLE IF NOT EXISTS attempt (id TEXT PRIMARY KEY, tries INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listed (scope TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (scope, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gone (id TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
"""


@final
class Ledger:
    """The memory of crawls in a registry's folder; one that doesn't ``write`` is empty where there is none yet.

    Only who holds the registry's lock may write.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self._folder = folder
        path = folder / LEDGER
        kept = write or path.exists()
        with in_words(folder):
            self._connection = sqlite3.connect(path if kept else ":memory:", timeout=30, isolation_level=None)
            if write or not kept:
                self._connection.executescript(_TABLES)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def attempts(self) -> dict[str, int]:
        """How often in a row each model could not be read."""
        return dict(self._rows("SELECT id, tries FROM attempt"))

    def failed(self, name: str) -> None:
        """Counts an attempt in vain."""
        self._write("INSERT INTO attempt VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET tries = tries + 1", [(plain(name),)])

    def succeeded(self, names: Iterable[str]) -> None:
        """Forgets the attempts in vain at these, and that they were gone."""
        rows = [(plain(name),) for name in names]
        self._write("DELETE FROM attempt WHERE id = ?", rows)
        self._write("DELETE FROM gone WHERE id = ?", rows)

    def listed(self, scope: str) -> set[str]:
        """What complete listings of a scope held, less what was found to be gone from it."""
        return {name for (name,) in self._rows("SELECT id FROM listed WHERE scope = ?", scope)}

    def list_also(self, scope: str, names: Iterable[str]) -> None:
        """Adds to what a scope held; what is listed is there, so it is no longer gone."""
        rows = [(plain(name),) for name in names]
        self._write("INSERT OR IGNORE INTO listed VALUES (?, ?)", [(scope, name) for (name,) in rows])
        self._write("DELETE FROM gone WHERE id = ?", rows)

    def unlist(self, scope: str, names: Iterable[str]) -> None:
        """Takes from what a scope held."""
        self._write("DELETE FROM listed WHERE scope = ? AND id = ?", [(scope, plain(name)) for name in names])

    def gone(self) -> dict[str, str]:
        """The models that the Hub no longer has, with the time when that was noticed, UTC in ISO 8601."""
        return dict(self._rows("SELECT id, at FROM gone ORDER BY id"))

    def mark_gone(self, name: str) -> None:
        """Writes down that the Hub no longer has a model; what the registry holds of it stays."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._write("INSERT OR IGNORE INTO gone VALUES (?, ?)", [(plain(name), now)])

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with in_words(self._folder):
            return self._connection.execute(query, values).fetchall()

    def _write(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        """One statement for each row, all of them or none."""
        if not rows:
            return
        with in_words(self._folder):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
