"""The plan of a crawl under way, row by row: a temporary table on disk, so that the whole Hub takes no memory.

Models go in as they are listed, each once, and come out in portions in the order in which they were listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple, final

from hub_lineage.crawl.ledger import Ledger
from hub_lineage.crawl.selection import Entry
from hub_lineage.registry.records import plain

TODO: Final = 0
UNCHANGED: Final = 1
POSTPONED: Final = 2
State = int
"""What becomes of a model that was listed: it is read, it is at a known commit, or it failed and its time hasn't come."""
PORTION: Final = 500
_TABLE = """
CREATE TEMP TABLE IF NOT EXISTS agenda (
  place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, revision TEXT, listed INTEGER NOT NULL, state INTEGER NOT NULL
)
"""
_TAKE = """
SELECT place, agenda.id, revision, listed, places FROM agenda LEFT JOIN layout ON layout.id = agenda.id
WHERE state = 0 AND place > ? ORDER BY place LIMIT ?
"""
_DUE = """
INSERT OR IGNORE INTO agenda (id, revision, listed, state)
SELECT failed.id, NULL, 1, 0 FROM failed JOIN listed ON listed.scope = ? AND listed.id = failed.id
WHERE ? OR (NOT lasting AND due <= ?)
"""
_VANISHED = "FROM listed WHERE scope = ? AND id NOT IN (SELECT id FROM agenda)"


class Task(NamedTuple):
    """A model to be read; ``layout`` is where its values lay when it was read before, empty where it wasn't."""

    entry: Entry
    layout: str


@final
class Agenda:
    """The models of one plan, beside the ledger that the crawl works with."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        ledger.rows(_TABLE)
        ledger.rows("DELETE FROM temp.agenda")

    def add(self, entries: Sequence[tuple[Entry, State]]) -> int:
        """Adds models; how many of them were not there yet."""
        rows = [(plain(one.id), plain(one.revision) if one.revision else None, one.listed, state) for one, state in entries]
        # The table is this connection's own: nobody else is kept from the ledger meanwhile.
        return self.ledger.change(
            "INSERT OR IGNORE INTO agenda (id, revision, listed, state) VALUES (?, ?, ?, ?)", rows, begin="BEGIN"
        )

    def add_due(self, scope: str, now: datetime, *, everything: bool) -> None:
        """Adds what a scope held and failed before, where its time has come, or all of it.

        What lies in the files is left out: only another commit helps there, and a listing shows that.
        """
        self.ledger.change(_DUE, [(scope, everything, now.isoformat(timespec="seconds"))], begin="BEGIN")

    def counts(self) -> dict[State, int]:
        """How many models are in each state."""
        return dict(self.ledger.rows("SELECT state, count(*) FROM agenda GROUP BY state"))

    def tasks(self) -> Iterator[Task]:
        """What is to be read, in the order of the listing."""
        place = -1
        while rows := self.ledger.rows(_TAKE, place, PORTION):
            for row in rows:
                yield Task(Entry(row[1], row[2], listed=bool(row[3])), row[4] or "")
            place = rows[-1][0]

    def keep_listed(self, scope: str) -> None:
        """Adds all of it to what the scope held; what is listed is there, so it is no longer gone."""
        with self.ledger.transaction():
            self.ledger.rows("INSERT OR IGNORE INTO listed SELECT ?, id FROM agenda", scope)
            self.ledger.rows("DELETE FROM gone WHERE id IN (SELECT id FROM agenda)")

    def count_vanished(self, scope: str) -> int:
        """How many models the scope held before and this listing doesn't name."""
        return int(self.ledger.rows(f"SELECT count(*) {_VANISHED}", scope)[0][0])

    def vanished(self, scope: str) -> Iterator[str]:
        """Those models, in the order of their IDs; they may be taken from the scope meanwhile."""
        last = ""
        query = f"SELECT id {_VANISHED} AND id > ? ORDER BY id LIMIT ?"
        while rows := self.ledger.rows(query, scope, last, PORTION):
            yield from (name for (name,) in rows)
            last = rows[-1][0]
