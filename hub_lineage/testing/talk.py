"""Discussions and pull requests as the Hub keeps them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal["open", "closed", "merged", "draft"]


@dataclass
class Event:
    """Something that happened in a discussion; ``data`` is what the Hub says of it."""

    id: str
    type: Literal["comment", "status-change", "title-change", "commit"]
    author: str
    date: datetime
    data: dict[str, Any]

    def described(self) -> dict[str, Any]:
        """The event as the Hub tells it."""
        return {
            "id": self.id,
            "type": self.type,
            "author": {"name": self.author, "_id": self.author, "type": "user"},
            "createdAt": iso(self.date),
            "data": self.data,
        }


@dataclass
class Discussion:
    """A discussion or, with a branch ``refs/pr/N`` of its own, a pull request."""

    num: int
    title: str
    author: str
    date: datetime
    pull_request: bool
    status: Status = "open"
    merge_commit: str | None = None
    events: list[Event] = field(default_factory=list)

    @property
    def branch(self) -> str:
        """Where a pull request's commits are."""
        return f"refs/pr/{self.num}"

    def add(
        self, kind: Literal["comment", "status-change", "title-change", "commit"], author: str, date: datetime, **data: Any
    ) -> Event:
        """Note that something happened."""
        name = hashlib.sha1(f"{self.num} {len(self.events)}".encode(), usedforsecurity=False).hexdigest()[:24]
        event = Event(name, kind, author, date, data)
        self.events.append(event)
        return event

    def comment(self, author: str, date: datetime, text: str) -> Event:
        """Note a comment."""
        return self.add("comment", author, date, edited=False, hidden=False, latest=_version(author, date, text), history=[])

    def set_status(self, author: str, date: datetime, status: Status) -> Event:
        """Open, close or merge."""
        self.status = status
        return self.add("status-change", author, date, status=status)

    def rename(self, author: str, date: datetime, title: str) -> Event:
        """Give another title."""
        event = self.add("title-change", author, date, **{"from": self.title, "to": title})
        self.title = title
        return event


def edit(event: Event, author: str, date: datetime, text: str) -> None:
    """Put another text in a comment's place."""
    data = event.data
    data.update(edited=True, history=[*data["history"], data["latest"]], latest=_version(author, date, text))


def hide(event: Event) -> None:
    """Hide a comment for good."""
    event.data.update(hidden=True, latest={**event.data["latest"], "raw": "", "html": ""})


def iso(when: datetime) -> str:
    """A time as the Hub writes it."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _version(author: str, date: datetime, text: str) -> dict[str, Any]:
    return {"raw": text, "html": f"<p>{text}</p>", "updatedAt": iso(date), "author": {"name": author}}
