"""What crawls remember beside the models: what failed and when to try it again, what was listed, what is gone, where values lie.

It is a database of its own in the registry's folder, so that it can be lost without harm: the next crawl asks anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, final

from hub_lineage.registry.folder import LEDGER, in_words
from hub_lineage.registry.records import plain

_TABLES = """
CREATE TABLE IF NOT EXISTS failed (
  id TEXT PRIMARY KEY, revision TEXT, lasting INTEGER NOT NULL, tries INTEGER NOT NULL, due TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listed (scope TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (scope, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pass (
  scope TEXT PRIMARY KEY, mark TEXT NOT NULL, whole_at TEXT NOT NULL, held INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gone (id TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS layout (id TEXT PRIMARY KEY, places TEXT NOT NULL) WITHOUT ROWID;
"""
_FAIL = """
INSERT INTO failed VALUES (?, ?, ?, 1, ?) ON CONFLICT (id)
DO UPDATE SET revision = excluded.revision, lasting = excluded.lasting, tries = tries + 1, due = excluded.due
"""
LASTING = frozenset({"no_weights", "bad_weights", "unreadable", "bad_reference"})
"""Codes of failures that lie in the files, and so last as long as the commit does."""
_FIRST_WAIT = timedelta(hours=1)  # doubled at each attempt in vain
_LONGEST_WAIT = timedelta(days=7)


class Failed(NamedTuple):
    """An attempt in vain: at which commit, whether another commit alone can help, how many in a row, and when to try again."""

    revision: str | None
    lasting: bool
    tries: int
    due: str


class Pass(NamedTuple):
    """The last crawl of a scope that came to its end.

    All that changed before ``mark``, a time by the Hub's clock, was dealt with; ``whole_at`` is when all was listed, and
    ``held`` how many models the registry held when the crawl was through.
    """

    mark: str
    whole_at: str
    held: int


@final
class Ledger:
    """The memory of crawls in a registry's folder; one that doesn't ``write`` is empty where there is none yet.

    Only who holds the registry's lock may write. To be used by one thread.
    """

    def __init__(self, folder: Path | None, *, write: bool) -> None:
        self._folder = folder or Path()
        path = folder / LEDGER if folder else None
        with in_words(self._folder):
            self._connection = _connect(path if path is not None and (write or path.exists()) else "")
            if write or not self._is_ours():
                if not write:  # there is none, or one of before: nothing is known then, and nothing is changed
                    self._connection.close()
                    self._connection = _connect("")
                self._connection.executescript(_TABLES)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def failure(self, name: str) -> Failed | None:
        """The last attempt at a model, where it was in vain."""
        rows = self.rows("SELECT revision, lasting, tries, due FROM failed WHERE id = ?", plain(name))
        return Failed(rows[0][0], bool(rows[0][1]), *rows[0][2:]) if rows else None

    def fail(self, name: str, revision: str | None, code: str, now: datetime | None = None) -> None:
        """Notes an attempt in vain, at a commit where it is known."""
        before = self.failure(name)
        due = (now or datetime.now(timezone.utc)) + waiting_time(before.tries + 1 if before else 1)
        lasting = code in LASTING and revision is not None
        row = (plain(name), plain(revision) if revision else None, lasting, due.isoformat(timespec="seconds"))
        self.change(_FAIL, [row])

    def succeed(self, layouts: Mapping[str, str]) -> None:
        """Forgets the attempts in vain at these models and that they were gone, and keeps where their values lie."""
        names = [(plain(name),) for name in layouts]
        self.change("DELETE FROM failed WHERE id = ?", names)
        self.change("DELETE FROM gone WHERE id = ?", names)
        kept = [(plain(name), layout) for name, layout in layouts.items() if layout]
        self.change("INSERT OR REPLACE INTO layout VALUES (?, ?)", kept)

    def passed(self, scope: str) -> Pass | None:
        """The last crawl of a scope that came to its end."""
        rows = self.rows("SELECT mark, whole_at, held FROM pass WHERE scope = ?", scope)
        return Pass(*rows[0]) if rows else None

    def note_pass(self, scope: str, done: Pass) -> None:
        """Notes that a crawl of a scope came to its end."""
        self.change("INSERT OR REPLACE INTO pass VALUES (?, ?, ?, ?)", [(scope, *done)])

    def gone(self) -> dict[str, str]:
        """The models that the Hub no longer has, with the time when that was noticed, UTC in ISO 8601."""
        return dict(self.rows("SELECT id, at FROM gone ORDER BY id"))

    def mark_gone(self, name: str) -> None:
        """Writes down that the Hub no longer has a model; what the registry holds of it stays."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.change("INSERT OR IGNORE INTO gone VALUES (?, ?)", [(plain(name), now)])

    def listed(self, scope: str) -> set[str]:
        """What listings of a scope held, less what was found to be gone from it."""
        return {name for (name,) in self.rows("SELECT id FROM listed WHERE scope = ?", scope)}

    def holds_more(self, scope: str, count: int) -> bool:
        """Whether listings of a scope held more than so many models."""
        return bool(self.rows("SELECT 1 FROM listed WHERE scope = ? LIMIT 1 OFFSET ?", scope, count))

    def unlist(self, scope: str, names: Iterable[str]) -> None:
        """Takes from what a scope held."""
        self.change("DELETE FROM listed WHERE scope = ? AND id = ?", [(scope, plain(name)) for name in names])

    def _is_ours(self) -> bool:
        named = self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {"failed", "listed", "pass", "gone", "layout"} <= {name for (name,) in named}

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with in_words(self._folder):
            return self._connection.execute(query, values).fetchall()

    def change(self, statement: str, rows: Sequence[tuple[object, ...]], *, begin: str = "BEGIN IMMEDIATE") -> int:
        """One statement for each row, all of them or none; how many rows it changed."""
        if not rows:
            return 0
        with self.transaction(begin):
            return self._connection.executemany(statement, rows).rowcount

    @contextmanager
    def transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        """All that is changed within is there when it ends, or nothing is where it raises."""
        with in_words(self._folder):
            self._connection.execute(begin)
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise


def _connect(path: Path | str) -> sqlite3.Connection:
    """A connection; without a name SQLite makes a database on disk that goes with it."""
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def waiting_time(tries: int) -> timedelta:
    """How long after so many attempts in vain the next is made: an hour, then twice as long each time, a week at the most."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * (1 << (min(max(tries, 1), 10) - 1)))
