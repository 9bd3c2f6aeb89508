"""Everything that the loopback Hub knows, and who gets to see what of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hub_lineage.testing.answers import Blob, Refusal
from hub_lineage.testing.cards import base_models
from hub_lineage.testing.repositories import Kind, Repository
from hub_lineage.testing.users import Token, User

_NARROW = "Please enable access to public gated repositories in your fine-grained token settings to view this repository."


@dataclass
class Catalogue:
    """Repositories by key (see :func:`hub_lineage.testing.repositories.key_of`), users, tokens and what was renamed."""

    clock: Callable[[], float]
    repositories: dict[str, Repository] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)
    _children: tuple[int, Counter[str]] = (0, Counter())

    def token(self, value: str | None) -> Token | None:
        """The token sent along; one of nobody or past its time is refused, as the Hub does."""
        if value is None:
            return None
        token = self.tokens.get(value)
        if token is None:
            raise Refusal(401, "Invalid credentials in Authorization header")
        if token.expires is not None and self.clock() >= token.expires:
            raise Refusal(401, f'User Access Token "{token.name}" is expired')
        return token

    def repository(self, key: str, token: Token | None) -> Repository:
        """A repository that the token may see; strangers can't tell a private one from none."""
        repository = self.repositories.get(key)
        if repository is None or not _shown(repository, token):
            if token is None:
                raise Refusal(401, "Invalid username or password.", "RepoNotFound")
            raise Refusal(404, "Repository not found", "RepoNotFound")
        if repository.disabled:
            raise Refusal(403, "Access to this resource is disabled.")
        return repository

    def check_gate(self, repository: Repository, token: Token | None) -> None:
        """Refuse the files of a gated repository to those who weren't let in."""
        if not repository.gated or (token and token.may_read(repository.id)):
            return
        restricted = f"Access to {repository.kind} {repository.id} is restricted"
        if token is None:
            message = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
            raise Refusal(401, message, "GatedRepo")
        if token.user.may_read(repository.id):
            raise Refusal(403, _NARROW)
        raise Refusal(403, f"{restricted} and you are not in the authorized list.", "GatedRepo")

    def visible(self, kind: Kind, token: Token | None) -> list[Repository]:
        """The repositories that a listing shows."""
        return [found for found in list(self.repositories.values()) if found.kind == kind and _shown(found, token)]

    def children(self, repo_id: str) -> int:
        """How many public models name this one as a base model; counted anew only when some repository changed."""
        models = self.visible("model", None)
        state = hash(tuple((model.id, model.branches.get("main")) for model in models))
        if state != self._children[0]:
            parents = (parent for model in models for parent in dict.fromkeys(base_models(model.at("main").card)))
            self._children = (state, Counter(parents))
        return self._children[1][repo_id]

    def lfs(self, sha256: str) -> Blob | None:
        """A large file that some commit holds."""
        commits = (commit for found in list(self.repositories.values()) for commit in list(found.commits.values()))
        blobs = (blob for commit in commits for blob in commit.files.values())
        return next((blob for blob in blobs if blob.lfs and blob.sha256 == sha256), None)


def _shown(repository: Repository, token: Token | None) -> bool:
    return not repository.private or (token is not None and token.may_read(repository.id))
