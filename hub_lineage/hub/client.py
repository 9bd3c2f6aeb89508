"""The Hub, as the rest of the package sees it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Literal, final

import huggingface_hub

from hub_lineage.hub.failures import mapped
from hub_lineage.hub.listing import Listing, listed
from hub_lineage.hub.local import LocalSource
from hub_lineage.hub.meter import Meter
from hub_lineage.hub.opening import open_repository
from hub_lineage.hub.pace import Clock, Policy
from hub_lineage.hub.repository import HubSource
from hub_lineage.hub.transport import Transport
from hub_lineage.read.spans import GAP
from hub_lineage.types import Cost, Reference, Source

DEFAULT_ENDPOINT = "https://huggingface.co"


def endpoint_address(endpoint: str | None = None) -> str:
    """The address of the Hub that is meant: the one given, ``HF_ENDPOINT``, or huggingface.co."""
    return (endpoint or os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


@final
class Hub:
    """A Hub over HTTP: opens repositories, lists models, counts what that costs. Safe to share between threads.

    Args:
        endpoint: Its address; ``HF_ENDPOINT`` if None, huggingface.co if that isn't set.
        token: What to log in with; the one that huggingface_hub has if None, none at all if False.
        parallel: How many requests of one call may be under way at once.
        gap: Ranges with no more bytes between them are read in one request.
        retries: How often a request that failed is sent again.
        patience: Seconds in all that one request may wait for a rate limit or between retries.
        timeout: Seconds that connecting, or the next piece of an answer, may take.
        steady: Spread many calls evenly over the windows of the Hub's limits, instead of sending each at once while it may.
        clock: The time and sleep that waiting goes by.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | Literal[False] | None = None,
        *,
        parallel: int = 16,
        gap: int = GAP,
        retries: int = 6,
        patience: float = 90.0,
        timeout: float = 20.0,
        steady: bool = False,
        clock: Clock | None = None,
    ) -> None:
        address = endpoint_address(endpoint)
        with mapped("Logging in"):
            known = (huggingface_hub.get_token() if token is None else token) or None
        policy = Policy(retries, patience)
        self._closing = threading.Event()
        clock = clock or Clock(sleep=self._closing.wait)  # closing wakes those who wait
        with mapped(f"Setting out for {address}"):
            self._transport = Transport(
                address, known, policy=policy, clock=clock, timeout=timeout, parallel=parallel, steady=steady
            )
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="hub")
        self._meter = Meter()
        self._gap = gap

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; sources opened here can't be read any more."""
        self._closing.set()
        self._transport.close()
        self._pool.shutdown(cancel_futures=True)

    @property
    def endpoint(self) -> str:
        """The Hub's address."""
        return self._transport.endpoint

    def open(self, reference: Reference) -> Source:
        """Open a repository, or the folder that a local reference names."""
        if reference.local:
            return LocalSource(reference)
        meter = Meter(self._meter)
        opened = open_repository(self._transport, reference, meter)
        return HubSource(self._transport, self._pool, opened, meter, gap=self._gap)

    def list_models(
        self,
        *,
        author: str | None = None,
        search: str | None = None,
        filter: str | Iterable[str] | None = None,  # noqa: A002 - the Hub's own word
        sort: str | None = "downloads",
        limit: int | None = None,
        parameters: tuple[int, int] | None = None,
        sized: bool = False,
    ) -> Iterator[Listing]:
        """The models of an author, with some words in their ID, with some tags; most downloaded first.

        Args:
            author: A user or organisation.
            search: Words in the ID.
            filter: Tags that a model must all have.
            sort: ``downloads``, ``likes``, ``created_at`` or ``last_modified``, highest first; the Hub's order if None.
            limit: How many at most.
            parameters: The least and the most parameters; models of which the Hub doesn't know them are left out then.
            sized: Whether the number of parameters comes along.
        """
        filters = [filter] if isinstance(filter, str) else list(filter or ())
        return listed(
            self._transport,
            self._meter,
            author=author,
            search=search,
            filters=filters,
            sort=sort,
            limit=limit,
            parameters=parameters,
            sized=sized,
        )

    def cost(self) -> Cost:
        """Requests and bytes of everything done here so far."""
        return self._meter.cost()


def open_source(reference: Reference, hub: Hub | None = None) -> Source:
    """Open what a reference names: a local folder or file, which needs no Hub, or a repository."""
    if reference.local:
        return LocalSource(reference)
    if hub is None:
        raise ValueError("a repository on a Hub needs the Hub")
    return hub.open(reference)
