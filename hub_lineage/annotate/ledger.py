"""How many pull requests were opened from this machine: a daily cap that several processes keep together."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, final

from hub_lineage.errors import AccessDenied, NotFound, RateLimited, RegistryError, Unreadable, UsageError
from hub_lineage.hub.cards import Moved
from hub_lineage.registry import default_folder

DAY: Final = 24 * 3600
UNDER_WAY: Final = 600  # seconds after which a run that said nothing more is taken to be dead
_TABLE = "CREATE TABLE IF NOT EXISTS opened (endpoint TEXT, id TEXT, at REAL, url TEXT)"
_NOT_SENT = (AccessDenied, NotFound, Unreadable, Moved)  # after any other failure the request may be there all the same


def default_file() -> Path:
    """Where the list is kept: beside the default registry, whichever registry is used."""
    folder = default_folder()
    return folder.with_name(f"{folder.name}-cards.sqlite")


@final
class Slot:
    """Leave to open one pull request; ``url`` is set once it is open, and the leave goes back where it never was."""

    url: str | None = None


@final
class Ledger:
    """The pull requests of the last day, in one small file."""

    def __init__(self, path: Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._path = path or default_file()
        self._now = now

    @contextmanager
    def slot(self, endpoint: str, repo_id: str, cap: int) -> Iterator[Slot]:
        """One of the day's pull requests, taken before it is opened, so that two processes can't both take the last.

        Raises:
            RateLimited: the cap is reached.
            UsageError: another process is at work on this very model.
            RegistryError: the file can't be used.
        """
        number = self._take(endpoint, repo_id, cap)
        slot = Slot()
        try:
            yield slot
        except _NOT_SENT:
            self._give_back(number)
            raise
        if slot.url is None:
            self._give_back(number)
        else:
            self._change("UPDATE opened SET url = ? WHERE rowid = ?", (slot.url, number))

    def _take(self, endpoint: str, repo_id: str, cap: int) -> int:
        now = self._now()
        with self._open() as connection:
            connection.execute("DELETE FROM opened WHERE at <= ? OR at > ?", (now - DAY, now + DAY))
            (used,) = connection.execute("SELECT count(*) FROM opened").fetchone()
            if used >= cap:
                raise RateLimited(
                    f"{used} pull requests were opened in the last 24 hours, and {cap} are the cap.",
                    "Go on tomorrow, or raise the cap if their owners want more.",
                )
            clash = "SELECT 1 FROM opened WHERE endpoint = ? AND id = ? AND url IS NULL AND at > ?"
            if connection.execute(clash, (endpoint, repo_id, now - UNDER_WAY)).fetchone():
                raise UsageError(f"Another run is writing to {repo_id} just now.", "Look at its pull requests in some minutes.")
            cursor = connection.execute("INSERT INTO opened VALUES (?, ?, ?, NULL)", (endpoint, repo_id, now))
            return cursor.lastrowid or 0

    def _give_back(self, number: int) -> None:
        self._change("DELETE FROM opened WHERE rowid = ?", (number,))

    def _change(self, statement: str, values: tuple[object, ...]) -> None:
        with self._open() as connection:
            connection.execute(statement, values)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The file within one transaction, which is undone by a failure."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_TABLE)
                yield connection
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise RegistryError(
                f"The list of opened pull requests, {self._path}, can't be used: {error}.",
                "Check its permissions, or take it away.",
            ) from error
