"""A real Hub on the loopback interface, for anyone's tests, demonstrations and benchmarks."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, final

from hub_lineage.testing.answers import Answer, Record, Refusal, Request
from hub_lineage.testing.cards import readme_of
from hub_lineage.testing.catalogue import Catalogue
from hub_lineage.testing.faults import Fault, Faults, Kind, RateLimit, limit_name
from hub_lineage.testing.ownership import rename
from hub_lineage.testing.repositories import Content, Gate, Repository, folder_files, key_of, moment
from hub_lineage.testing.repositories import Kind as RepositoryKind
from hub_lineage.testing.routes import dispatch
from hub_lineage.testing.signatures import Signer
from hub_lineage.testing.site import Site
from hub_lineage.testing.users import Role, Token, User
from hub_lineage.testing.webhooks import deliver, payload_of
from hub_lineage.testing.wire import Server


@final
class LoopbackHub:
    """A Hub served over real HTTP from two ports: the API with its resolver, and the storage behind signed addresses.

    Args:
        delay: Seconds that every request takes, as a round trip would.
        connect_delay: Seconds that a new connection takes on top.
        signature_lifetime: Seconds for which a signed address is valid.
        list_page: The longest page of a listing.
        tree_page: The longest page of a tree.
        resolve_cache: Whether small files are behind one more redirect on the same host.
        clock: The time that signatures and rate limits go by.

    Example::

        with LoopbackHub(delay=0.05) as hub:
            hub.add_repo("org/name", files={"config.json": "{}"})
            HfApi(endpoint=hub.url).model_info("org/name")
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        connect_delay: float = 0.0,
        signature_lifetime: float = 3600.0,
        list_page: int = 1000,
        tree_page: int = 1000,
        resolve_cache: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.delay = delay
        self.connect_delay = connect_delay
        self.faults = Faults()
        self.crashes: list[str] = []
        self._clock = clock
        self._limits: dict[str, RateLimit] = {}
        self._records: list[Record] = []
        self._connections = itertools.count(1)
        self._lock = threading.Lock()
        self._servers: list[Server] = []
        signer = Signer(clock, signature_lifetime)
        self.site = Site(Catalogue(clock), signer, list_page=list_page, tree_page=tree_page, resolve_cache=resolve_cache)

    def __enter__(self) -> LoopbackHub:
        self._servers = [Server(self, "hub"), Server(self, "cdn")]
        self.site.url, self.site.cdn_url = (server.url for server in self._servers)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and hang up on every client."""
        for server in self._servers:
            server.stop()
        self._servers = []

    @property
    def url(self) -> str:
        """The address to give as ``HF_ENDPOINT``."""
        return self.site.url

    @property
    def cdn_url(self) -> str:
        """The address of the second origin, where LFS files lie."""
        return self.site.cdn_url

    def add_repo(
        self,
        repo_id: str,
        *,
        kind: RepositoryKind = "model",
        files: Mapping[str, Content] | None = None,
        folder: Path | None = None,
        card: Mapping[str, Any] | None = None,
        private: bool = False,
        gated: Gate = False,
        created_at: str | datetime | None = None,
        downloads: int = 0,
        likes: int = 0,
        tags: Iterable[str] = (),
        library: str | None = None,
        pipeline_tag: str | None = None,
    ) -> Repository:
        """Serve a repository of the files given, of a folder's, or both; ``card`` becomes a README where there is none."""
        repository = Repository(
            repo_id,
            moment(created_at),
            kind,
            private=private,
            gated=gated,
            downloads=downloads,
            likes=likes,
            extra_tags=tuple(tags),
            library=library,
            pipeline_tag=pipeline_tag,
        )
        content = {**(folder_files(folder) if folder else {}), **(files or {})}
        if card is not None:
            content.setdefault("README.md", readme_of(card))
        repository.commit(content, title="initial commit")
        self.site.catalogue.repositories[repository.path] = repository
        return repository

    def add_user(
        self, name: str, token: str, reads: Iterable[str] = (), *, orgs: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        """Know someone and a token.

        Args:
            name: The account's name.
            token: The token's value.
            reads: The private and gated repositories, or their owners, open to the user.
            orgs: The user's organisations, with the role there: admin, write, contributor or read.
            options: What :meth:`add_token` takes.
        """
        self.site.catalogue.users[name] = User(name, frozenset(reads), orgs or {})
        self.add_token(name, token, **options)

    def add_token(
        self, name: str, token: str, *, role: Role = "read", scopes: Iterable[str] = (), expires: float | None = None
    ) -> None:
        """Know one more token of a user; ``scopes`` (see :data:`SCOPES`) are for a fine-grained one, ``expires`` is a time."""
        user = self.site.catalogue.users[name]
        self.site.catalogue.tokens[token] = Token(token, user, role, frozenset(scopes), expires)

    def rename(self, old: str, new: str, *, kind: RepositoryKind = "model") -> None:
        """Move a repository; the old name redirects from now on."""
        rename(self.site, kind, old, new)

    def remove(self, repo_id: str, *, kind: RepositoryKind = "model") -> None:
        """Take a repository away."""
        del self.site.catalogue.repositories[key_of(kind, repo_id)]

    def repository(self, repo_id: str, *, kind: RepositoryKind = "model") -> Repository:
        """A repository as it is now."""
        return self.site.catalogue.repositories[key_of(kind, repo_id)]

    def notify(
        self, repo_id: str, *, action: str = "update", scope: str = "repo.content", kind: RepositoryKind = "model"
    ) -> list[int]:
        """Have every webhook that watches a repository call its address now; gives the statuses back."""
        repository = self.repository(repo_id, kind=kind)
        hooks = [hook for hook in list(self.site.webhooks.values()) if not hook.disabled and hook.watches(repo_id, kind)]
        domain = "discussion" if scope.startswith("discussion") else "repo"
        return [
            deliver(hook.url, payload_of(self.site, repository, action=action, scope=scope, webhook=hook.id), hook.secret)
            for hook in hooks
            if hook.url and domain in hook.domains
        ]

    def fault(self, kind: Kind, **options: Any) -> None:
        """Have something go wrong; see :class:`Fault` for what and when."""
        self.faults.add(Fault(kind, **options))

    def limit(self, name: str, calls: int, window: float = 300.0) -> None:
        """Allow so many calls a window: ``api`` or ``resolvers``."""
        self._limits[name] = RateLimit(name, calls, window, self._clock)

    @property
    def requests(self) -> list[Record]:
        """What was asked so far, in the order of the answers."""
        with self._lock:
            return list(self._records)

    def forget(self) -> None:
        """Start the record of requests anew."""
        with self._lock:
            self._records.clear()

    def next_connection(self) -> int:
        """The number of a new connection."""
        return next(self._connections)

    def record(self, request: Request, connection: int, status: int) -> None:
        """Keep a request for assertions."""
        with self._lock:
            self._records.append(Record(request, connection, status))

    def answer(self, request: Request, fault: Fault | None) -> Answer | None:
        """The answer to a request, None where the connection breaks off instead."""
        if fault is not None:
            if fault.kind in {"drop", "garbage"}:
                return None
            if fault.kind == "status":
                return Answer(fault.status, fault.headers, b"a fault on command")
            if fault.kind == "expire":
                return Refusal(403, "Request has expired").answer()
            time.sleep(fault.seconds)
        limit = self._limits.get(limit_name(request) or "")
        allowed, headers = limit.take() if limit else (True, {})
        if not allowed:
            return Answer(429, headers, b'{"error":"We had to rate limit you."}')
        answer = dispatch(self.site, request)
        return Answer(answer.status, {**answer.headers, **headers}, answer.body)
