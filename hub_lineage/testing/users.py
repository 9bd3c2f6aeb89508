"""Who asks: users, their tokens, and what a token allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hub_lineage.testing.answers import Refusal

Role = Literal["read", "write", "fineGrained"]
Permission = Literal["repo.content.read", "repo.write", "discussion.write", "job.write", "user.webhooks.write"]

SCOPES: Mapping[str, frozenset[Permission]] = {
    "read-repos": frozenset({"repo.content.read"}),
    "write-repos": frozenset({"repo.content.read", "repo.write", "discussion.write"}),
    "write-discussions": frozenset({"discussion.write"}),
    "jobs": frozenset({"job.write"}),
    "webhooks": frozenset({"user.webhooks.write"}),
}
"""What each scope of a fine-grained token allows, in the words of an authorisation's scopes."""

_FORBIDDEN: Mapping[Permission, str] = {
    "repo.content.read": "Forbidden: your token may not read this repository.",
    "repo.write": "Forbidden: you must use a write token to upload to a repository.",
    "discussion.write": "Forbidden: you must use a write token to take part in discussions.",
    "job.write": "Forbidden: your token doesn't have the job.write permission.",
    "user.webhooks.write": "Forbidden: your token doesn't have the user.webhooks.write permission.",
}
_WRITING = frozenset({"admin", "write"})


@dataclass(frozen=True, slots=True)
class User:
    """Someone with an account.

    Attributes:
        name: The account's name, which is a namespace too.
        reads: The private and gated repositories, or their owners, open to the user.
        orgs: The organisations the user belongs to, with the role there: admin, write, contributor or read.
    """

    name: str
    reads: frozenset[str] = frozenset()
    orgs: Mapping[str, str] = field(default_factory=dict)

    def may_read(self, repo_id: str) -> bool:
        """Whether a private or gated repository is open to this user."""
        owner = repo_id.partition("/")[0]
        return bool({repo_id, owner} & self.reads) or owner == self.name or owner in self.orgs

    def may_write(self, namespace: str) -> bool:
        """Whether this user may change what lies under a namespace."""
        return namespace == self.name or self.orgs.get(namespace) in _WRITING


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a user; ``scopes`` matter to a fine-grained one alone, ``expires`` is a time of the Hub's clock."""

    value: str
    user: User
    role: Role = "read"
    scopes: frozenset[str] = frozenset()
    expires: float | None = None
    name: str = "loopback"

    def allows(self, permission: Permission) -> bool:
        """Whether the token, whoever holds it, goes that far."""
        if self.role == "fineGrained":
            return any(permission in SCOPES[scope] for scope in self.scopes)
        return self.role == "write" or permission == "repo.content.read"

    def may_read(self, repo_id: str) -> bool:
        """Whether a private or gated repository is open to this token."""
        return self.allows("repo.content.read") and self.user.may_read(repo_id)

    def check(self, permission: Permission) -> None:
        """Refuse what the token does not allow."""
        if not self.allows(permission):
            raise Refusal(403, _FORBIDDEN[permission])

    def check_write(self, repo_id: str) -> None:
        """Refuse to write where the user or the token may not."""
        if self.role == "read":
            self.check("repo.write")
        if not (self.allows("repo.write") and self.user.may_write(repo_id.partition("/")[0])):
            raise Refusal(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")

    def check_namespace(self, namespace: str, kind: str) -> None:
        """Refuse to make, move or delete what lies under a namespace that isn't the user's."""
        if not (self.allows("repo.write") and self.user.may_write(namespace)):
            raise Refusal(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}".')

    def described(self) -> dict[str, object]:
        """What the Hub tells a token of itself."""
        told: dict[str, object] = {"displayName": self.name, "role": self.role, "createdAt": "2024-01-01T00:00:00.000Z"}
        if self.role == "fineGrained":
            permissions = _permissions(self.scopes)
            entity = {"_id": self.user.name, "type": "user", "name": self.user.name}
            scoped = [{"entity": entity, "permissions": permissions}]
            everywhere = [one for one in permissions if one == "discussion.write"]
            told["fineGrained"] = {"canReadGatedRepos": False, "global": everywhere, "scoped": scoped}
        return told


def _permissions(scopes: Iterable[str]) -> list[Permission]:
    return sorted({permission for scope in scopes for permission in SCOPES[scope]})
