"""What the handlers of the loopback Hub share: the catalogue, the signer, what was recorded, and the sizes of pages."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone

from hub_lineage.testing.answers import Blob, Refusal, Request
from hub_lineage.testing.catalogue import Catalogue
from hub_lineage.testing.recorded import Job, ScheduledJob, Webhook
from hub_lineage.testing.repositories import Commit, Repository
from hub_lineage.testing.signatures import Signer
from hub_lineage.testing.users import Token


@dataclass
class Site:
    """The loopback Hub's state, apart from its sockets; the addresses are known once these are bound.

    Attributes:
        stored: The large files at signed addresses, by sha256.
        parts: The uploaded parts of large files, by sha256 and number.
        part_size: Above so many bytes a large file is uploaded in parts.
        webhooks: What was registered, by id.
        jobs: The jobs asked for, by id; nothing runs them.
        scheduled: The scheduled jobs, by id.
        lock: Held by every request that changes something.
    """

    catalogue: Catalogue
    signer: Signer
    url: str = ""
    cdn_url: str = ""
    list_page: int = 1000
    tree_page: int = 1000
    discussion_page: int = 10
    part_size: int = 16_000_000
    resolve_cache: bool = False
    stored: dict[str, Blob] = field(default_factory=dict)
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    scheduled: dict[str, ScheduledJob] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def token(self, request: Request) -> Token | None:
        """The token that a request came with."""
        return self.catalogue.token(request.token)

    def signed_in(self, request: Request) -> Token:
        """The token that a request must have come with."""
        token = self.token(request)
        if token is None:
            raise Refusal(401, "Invalid username or password.")
        return token

    def repository(self, request: Request, repo: str) -> Repository:
        """A repository that this request may see."""
        return self.catalogue.repository(repo, self.token(request))

    def readable(self, request: Request, repo: str, revision: str) -> Commit:
        """A commit whose files this request may read."""
        repository = self.repository(request, repo)
        self.catalogue.check_gate(repository, self.token(request))
        return repository.at(revision)

    def writable(self, request: Request, repo: str) -> tuple[Repository, Token]:
        """A repository that this request may change, and who asks."""
        token, repository = self.signed_in(request), self.repository(request, repo)
        token.check_write(repository.id)
        return repository, token

    def discussable(self, request: Request, repo: str) -> tuple[Repository, Token]:
        """A repository whose discussions and pull requests this request may take part in, and who asks."""
        token, repository = self.signed_in(request), self.repository(request, repo)
        token.check("discussion.write")
        return repository, token

    def now(self) -> datetime:
        """The time by the Hub's clock."""
        return datetime.fromtimestamp(self.catalogue.clock(), tz=timezone.utc)

    def new_id(self) -> str:
        """An identifier of 24 hexadecimal digits."""
        return f"{next(self._numbers):024x}"
