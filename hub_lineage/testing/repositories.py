"""The repositories that the loopback Hub serves: commits, references, users and who may read what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import ModelCard, ModelCardData

from hub_lineage.testing.answers import Blob, Refusal
from hub_lineage.testing.blobs import blob_of

Content = bytes | str | Path
Gate = Literal[False, "auto", "manual"]
_SHORTEST_PREFIX = 7  # git's own shortest abbreviation of a commit


@dataclass(frozen=True, slots=True)
class Commit:
    """A state of the files; its ``oid`` depends on the repository, the history and the content alone."""

    oid: str
    title: str
    date: datetime
    parent: str | None
    files: Mapping[str, Blob] = field(repr=False)


@dataclass
class Repository:
    """One model repository: its commits, branches and tags, and what the listing says of it."""

    id: str
    created_at: datetime
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

    def commit(
        self, files: Mapping[str, Content], *, title: str = "Upload files", branch: str = "main", delete: tuple[str, ...] = ()
    ) -> Commit:
        """Add files to a branch, or take some away; a branch that doesn't exist starts at main."""
        parent = self.commits.get(self.branches.get(branch) or self.branches.get("main") or "")
        kept = {} if parent is None else {path: blob for path, blob in parent.files.items() if path not in delete}
        content = dict(sorted({**kept, **{path: blob_of(path, data) for path, data in files.items()}}.items()))
        date = self.created_at + timedelta(hours=len(self.commits))
        listing = "\n".join(f"{blob.oid} {path}" for path, blob in content.items())
        words = "\0".join((self.id, parent.oid if parent else "", title, date.isoformat(), listing))
        oid = hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()
        commit = Commit(oid, title, date, parent.oid if parent else None, content)
        self.commits[oid] = commit
        self.branches[branch] = oid
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
        if len(oid) >= _SHORTEST_PREFIX:
            found = [commit for known, commit in self.commits.items() if known.startswith(oid)]
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


def card_of(commit: Commit) -> dict[str, Any]:
    """The metadata at the head of a commit's README, as the Hub reads it."""
    readme = commit.files.get("README.md")
    if readme is None or readme.data is None:
        return {}
    return _metadata(readme.data.decode("utf-8", "replace"))


@lru_cache(maxsize=10_000)
def _metadata(readme: str) -> dict[str, Any]:
    data: Any = ModelCard(readme, ignore_metadata_errors=True).data
    metadata: dict[str, Any] = data.to_dict()
    return metadata


def readme_of(card: Mapping[str, Any]) -> str:
    """A README of metadata alone."""
    return f"---\n{ModelCardData(**card).to_yaml()}\n---\n"


@dataclass(frozen=True, slots=True)
class User:
    """Someone with a token; ``reads`` holds the repositories and organisations open to them beyond the public ones."""

    name: str
    token: str
    reads: frozenset[str] = frozenset()

    def may_read(self, repository: Repository) -> bool:
        """Whether a private or gated repository is open to this user."""
        owner = repository.id.partition("/")[0]
        return bool({repository.id, owner} & self.reads) or owner == self.name


@dataclass
class Catalogue:
    """Everything that the loopback Hub knows."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)

    def user(self, token: str | None) -> User | None:
        """Whose token it is; a token of nobody is refused, as the Hub does."""
        if token is None:
            return None
        for user in self.users.values():
            if user.token == token:
                return user
        raise Refusal(401, "Invalid credentials in Authorization header")

    def repository(self, repo_id: str, user: User | None) -> Repository:
        """A repository that the user may see; strangers can't tell a private one from none."""
        repository = self.repositories.get(repo_id)
        hidden = repository is not None and repository.private and not (user and user.may_read(repository))
        if repository is None or hidden:
            if user is None:
                raise Refusal(401, "Invalid username or password.", "RepoNotFound")
            raise Refusal(404, "Repository not found", "RepoNotFound")
        if repository.disabled:
            raise Refusal(403, "Access to this resource is disabled.")
        return repository

    def check_gate(self, repository: Repository, user: User | None) -> None:
        """Refuse the files of a gated repository to those who weren't let in."""
        if not repository.gated or (user and user.may_read(repository)):
            return
        restricted = f"Access to model {repository.id} is restricted"
        if user is None:
            message = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
            raise Refusal(401, message, "GatedRepo")
        raise Refusal(403, f"{restricted} and you are not in the authorized list.", "GatedRepo")

    def visible(self, user: User | None) -> list[Repository]:
        """The repositories that a listing shows."""
        return [found for found in self.repositories.values() if not found.private or (user and user.may_read(found))]


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
