"""The repositories that the loopback Hub serves: their commits and references."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from hub_lineage.testing import cards, summaries
from hub_lineage.testing.answers import Blob, Refusal
from hub_lineage.testing.blobs import blob_of
from hub_lineage.testing.talk import Discussion

Content = bytes | str | Path | Blob
Gate = Literal[False, "auto", "manual"]
Kind = Literal["model", "dataset", "space"]
_SHORTEST_PREFIX = 7  # git's own shortest abbreviation of a commit


@dataclass(frozen=True)
class Commit:
    """A state of the files, and what follows from them; its ``oid`` depends on repository, history and content alone."""

    oid: str
    title: str
    date: datetime
    parent: str | None
    files: Mapping[str, Blob] = field(repr=False)
    author: str | None = None
    message: str = ""

    @cached_property
    def card(self) -> dict[str, Any]:
        """The metadata at the head of the README."""
        return cards.card_of(self.files)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the Hub takes out of the configuration files."""
        return summaries.config_of(self.files)

    @cached_property
    def safetensors(self) -> dict[str, Any] | None:
        """The parameters by dtype, from the headers."""
        return summaries.safetensors_of(self.files)

    @cached_property
    def gguf(self) -> dict[str, Any] | None:
        """The summary of the first GGUF file, from its header."""
        return summaries.gguf_of(self.files)

    @cached_property
    def tags(self) -> list[str]:
        """The tags that follow from card and files."""
        return cards.tags_of(self.card, self.files)

    @cached_property
    def siblings(self) -> list[dict[str, Any]]:
        """The files by name."""
        return [{"rfilename": path} for path in self.files]


@dataclass
class Repository:
    """One repository: its commits, branches, tags and discussions, and what the listing says of it."""

    id: str
    created_at: datetime
    kind: Kind = "model"
    private: bool = False
    gated: Gate = False
    disabled: bool = False
    downloads: int = 0
    likes: int = 0
    extra_tags: tuple[str, ...] = ()
    library: str | None = None
    pipeline_tag: str | None = None
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    discussions: list[Discussion] = field(default_factory=list)

    @property
    def owner(self) -> str:
        """The namespace it lies under."""
        return self.id.partition("/")[0]

    @property
    def path(self) -> str:
        """Where its page is: ``org/name``, or ``datasets/org/name``; also its key in the catalogue."""
        return key_of(self.kind, self.id)

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        title: str = "Upload files",
        branch: str = "main",
        delete: tuple[str, ...] = (),
        date: datetime | None = None,
        author: str | None = None,
        message: str = "",
    ) -> Commit:
        """Add files to a branch, or take some away; a branch that doesn't exist starts at main."""
        parent = self.commits.get(self.branches.get(branch) or self.branches.get("main") or "")
        kept = {} if parent is None else {path: blob for path, blob in parent.files.items() if path not in delete}
        content = dict(sorted({**kept, **{path: blob_of(path, data) for path, data in files.items()}}.items()))
        when = self._date(parent, date)
        listing = "\n".join(f"{blob.oid} {path}" for path, blob in content.items())
        words = "\0".join((self.id, parent.oid if parent else "", title, when.isoformat(), listing))
        oid = hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()
        commit = Commit(oid, title, when, parent.oid if parent else None, content, author, message)
        self.commits[oid] = commit
        self.branches[branch] = oid
        return commit

    def _date(self, parent: Commit | None, date: datetime | None) -> datetime:
        wanted = date or self.created_at + timedelta(hours=len(self.commits))
        return wanted if parent is None else max(wanted, parent.date + timedelta(seconds=1))

    def force_push(self, files: Mapping[str, Content], *, title: str = "Start anew", branch: str = "main") -> Commit:
        """Put a commit without a history in a branch's place; commits that nothing names any more are gone."""
        self.branches.pop(branch, None)
        rest = self.branches.pop("main", None)
        commit = self.commit(files, title=title, branch=branch)
        if rest is not None:
            self.branches["main"] = rest
        named = [*self.branches.values(), *self.tags.values()]
        reachable = {one.oid for oid in named for one in self.history(oid)}
        self.commits = {oid: one for oid, one in self.commits.items() if oid in reachable}
        return commit

    def branch(self, name: str, at: str = "main") -> None:
        """Point a branch at a revision; ``refs/pr/1`` is a branch too."""
        self.branches[name] = self.at(at).oid

    def tag(self, name: str, at: str = "main") -> None:
        """Point a tag at a revision."""
        self.tags[name] = self.at(at).oid

    def at(self, revision: str) -> Commit:
        """The commit that a branch, tag, full reference, commit id or abbreviation names."""
        name = revision.removeprefix("refs/heads/").removeprefix("refs/tags/")
        oid = self.branches.get(name) or self.tags.get(name) or name
        if oid in self.commits:
            return self.commits[oid]
        if len(oid) >= _SHORTEST_PREFIX:
            found = [commit for known, commit in list(self.commits.items()) if known.startswith(oid)]
            if len(found) == 1:
                return found[0]
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def history(self, revision: str) -> list[Commit]:
        """The commits that led to a revision, newest first."""
        commits = [self.at(revision)]
        while commits[-1].parent is not None:
            commits.append(self.commits[commits[-1].parent])
        return commits

    @property
    def last_modified(self) -> datetime:
        """When main last changed."""
        return self.at("main").date

    @property
    def words(self) -> list[str]:
        """The tags of its page."""
        words = [self.library, self.pipeline_tag, *self.extra_tags, *self.at("main").tags]
        return list(dict.fromkeys(word for word in words if word))


def key_of(kind: Kind, repo_id: str) -> str:
    """Under what a repository is found in the catalogue: a model under its ID, others under ``datasets/`` or ``spaces/``."""
    return repo_id if kind == "model" else f"{kind}s/{repo_id}"


def moment(text: str | datetime | None) -> datetime:
    """A time in UTC from ISO 8601; the first of January 2024 where none is given."""
    if isinstance(text, datetime):
        return text
    if text is None:
        return datetime(2024, 1, 1, tzinfo=timezone.utc)
    parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def folder_files(folder: Path) -> dict[str, Content]:
    """The files under a folder by their path in a repository."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    return {path.relative_to(folder).as_posix(): path for path in found}
