"""A repository on the Hub: opened with one API call, then read by byte ranges."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from hub_lineage.errors import NetworkError
from hub_lineage.hub.failures import refusal
from hub_lineage.hub.meter import Meter
from hub_lineage.hub.opening import Opened
from hub_lineage.hub.ranges import Span, check, coalesce, split
from hub_lineage.hub.transport import HOPS, Answer, Expect, Transport
from hub_lineage.types import ByteRange, Cost, Reference, RepoFile

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_STALE = frozenset({400, 401, 403, 410})  # what storage hosts say of a signed address that is over

T = TypeVar("T")
U = TypeVar("U")


class HubSource:
    """A :class:`~hub_lineage.types.Source` on the Hub, at one commit."""

    def __init__(self, transport: Transport, pool: Executor, opened: Opened, meter: Meter, *, gap: int) -> None:
        self._transport = transport
        self._pool = pool
        self._opened = opened
        self._meter = meter
        self._gap = gap
        self._sizes = {file.path: file.size for file in opened.files}
        self._addresses: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def reference(self) -> Reference:
        """What was named, under the ID that the Hub has for it now."""
        return self._opened.reference

    @property
    def revision(self) -> str | None:
        """The commit that all reads come from."""
        return self._opened.commit

    @property
    def files(self) -> tuple[RepoFile, ...]:
        """The files of that commit."""
        return self._opened.files

    @property
    def card(self) -> dict[str, Any]:
        """What the Hub's API says of the model."""
        return self._opened.card

    def cost(self) -> Cost:
        """Requests and bytes so far, opening included; ``bytes_total`` is the size of all files."""
        return self._meter.cost(sum(self._sizes.values()))

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """The bytes of each range, in order: neighbours in one request, files and stretches in parallel."""
        check(ranges, self.files, self.reference.id)
        spans = coalesce(ranges, gap=self._gap)
        bodies: dict[Span, bytes] = {}
        new = {span.path: span for span in reversed(spans) if span.path not in self._addresses}
        at_once = zip(new.values(), together(self._pool, self._locate, list(new.values())), strict=True)
        bodies.update({span: body for span, body in at_once if body is not None})
        left = [span for span in spans if span not in bodies]
        bodies.update(zip(left, together(self._pool, self._fetch, left), strict=True))
        return split(ranges, spans, [bodies[span] for span in spans])

    def _locate(self, span: Span) -> bytes | None:
        """Learn where a file lies; the bytes themselves where the Hub answers at once."""
        answer = self._ask(self._resolver(span.path), span)
        body = None if answer.location else self._bytes(answer, span)
        self._addresses[span.path] = answer.location or answer.url
        return body

    def _fetch(self, span: Span) -> bytes:
        """The bytes of a span from the file's address; resolved once more where that address is over."""
        address = self._addresses[span.path]
        answer = self._ask(address, span)
        if answer.status in _STALE and not self._transport.is_hub(address):
            with self._lock:
                body = self._locate(span) if self._addresses[span.path] == address else None
            if body is not None:
                return body
            answer = self._ask(self._addresses[span.path], span)
        return self._bytes(answer, span)

    def _ask(self, url: str, span: Span) -> Answer:
        headers = {"Range": f"bytes={span.start}-{span.stop - 1}", "Accept-Encoding": "identity"}
        doing = f"Reading {span.path} of {self.reference.id}"
        expect = self._expect(span)
        started_on_hub = self._transport.is_hub(url)
        for _ in range(HOPS):
            answer = self._transport.follow(url, expect=expect, meter=self._meter, doing=doing, headers=headers)
            if answer.location is None or started_on_hub:
                return answer
            url = answer.location
        raise NetworkError(f"{doing}: the addresses lead in a circle.", "Try again later.")

    def _resolver(self, path: str) -> str:
        return f"{self._transport.endpoint}/{self.reference.id}/resolve/{self.revision}/{quote(path)}"

    def _expect(self, span: Span) -> Expect:
        size = self._sizes[span.path]

        def expect(response: httpx2.Response) -> int:
            if response.status_code == 206:
                match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
                if match and (int(match[1]), int(match[2]) + 1) == (span.start, span.stop) and match[3] in {"*", str(size)}:
                    return span.stop - span.start
                raise NetworkError(f"The Hub sends other bytes of {span.path} than were asked for.", "Try again later.")
            # A file no longer than a gap that would be read through anyway may come whole; a longer one is not let in.
            if span.stop - span.start == size or size <= self._gap:
                return size
            raise NetworkError(f"The Hub sends all of {span.path} where a part was asked for.", "Check HF_ENDPOINT and proxies.")

        return expect

    def _bytes(self, answer: Answer, span: Span) -> bytes:
        if not answer.ok:
            name, token = self.reference.id, self._transport.has_token
            raise refusal(answer.status, answer.headers, name=name, thing=span.path, token=token)
        whole = answer.status != 206
        if len(answer.body) != (self._sizes[span.path] if whole else span.stop - span.start):
            raise NetworkError(f"{span.path} of {self.reference.id} arrived incomplete.", "Try again.")
        return answer.body[span.start : span.stop] if whole else answer.body


def together(pool: Executor, function: Callable[[T], U], items: Sequence[T]) -> list[U]:
    """The function of each item, computed in parallel, in order; the first failure calls the rest off."""
    if len(items) < 2:
        return [function(item) for item in items]
    futures = [pool.submit(function, item) for item in items]
    try:
        return [future.result() for future in futures]
    finally:
        for future in futures:
            future.cancel()
