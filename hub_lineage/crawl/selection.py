"""Which models a crawl is about, and the Hub's listing of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from hub_lineage.errors import UsageError
from hub_lineage.hub import Hub

TO_SECONDS: Final = 19  # characters of 2026-01-31T12:00:00


@dataclass(frozen=True, slots=True)
class Entry:
    """A model to look at; its commit and the time at which it changed where a listing told them."""

    id: str
    revision: str | None = None
    listed: bool = True
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Models that meet every condition given, or those of ``entries`` instead of a listing.

    ``since`` is a date or time in ISO 8601, UTC where it names no zone: only models changed then or later. ``entries`` is
    gone through once for each plan or crawl, and never held in memory.
    """

    author: str | None = None
    search: str | None = None
    task: str | None = None
    library: str | None = None
    architecture: str | None = None
    since: str | None = None
    limit: int | None = None
    entries: Iterable[Entry] | None = None

    @property
    def tags(self) -> list[str]:
        """The tags that a model must have."""
        return [tag for tag in (self.task, self.library, self.architecture) if tag]

    @property
    def complete(self) -> bool:
        """Whether the listing holds all that meets the conditions, so that what it lacks is no longer there."""
        return self.entries is None and self.limit is None and self.since is None

    def scope(self, endpoint: str) -> str:
        """The conditions on one Hub as one text, the same for the same conditions."""
        return json.dumps([endpoint, self.author, self.search, sorted(self.tags)])

    def listed(self, hub: Hub, changed_since: str | None = None) -> Iterator[Entry]:
        """The models of the listing, most downloaded first, or those named; a listing that moves may repeat some.

        Args:
            hub: The Hub that lists them.
            changed_since: List only what changed at this time or later, newest first; as :func:`moment` gives it.
        """
        if self.entries is not None:
            yield from self.entries
            return
        first = changed_since or (moment(self.since) if self.since else "")
        sort = "last_modified" if first else "downloads"
        # A limit is the Hub's too, so that no longer page is sent than is wanted.
        found = hub.list_models(author=self.author, search=self.search, filter=self.tags, sort=sort, limit=self.limit)
        for entry in found:
            if entry.last_modified and entry.last_modified[:TO_SECONDS] < first:
                return  # newest first: all that follow are older still
            yield Entry(entry.id, entry.sha, last_modified=entry.last_modified)


def moment(text: str) -> str:
    """A date or time as the Hub writes it, in UTC, to the second."""
    try:
        read = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(f"{text} is no date.", "Give one like 2026-01-31 or 2026-01-31T12:00:00.") from None
    inside = read.astimezone(timezone.utc) if read.tzinfo else read
    return inside.isoformat()[:TO_SECONDS]
