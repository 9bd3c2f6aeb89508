"""The one place where a request leaves: bounded, counted, paced, tried again, and careful with the token."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import constants

from hub_lineage.errors import NetworkError, UsageError
from hub_lineage.hub.budget import Budget
from hub_lineage.hub.failures import BELOW, failure, translate, worth_retrying
from hub_lineage.hub.meter import Meter
from hub_lineage.hub.pace import Clock, Gates, Policy, Tries, spent
from hub_lineage.version import __version__

HOPS = 5
_ERROR_BODY = 64_000  # bytes read of an answer that isn't a success
FIRST_TRIES = 3
"""How often a Hub that never answered is tried: with no network, a person is told within seconds."""
_RETRIED = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_ENCODINGS = frozenset({"identity", "gzip", "deflate"})
_YES = frozenset({"1", "ON", "TRUE", "YES"})

Expect = Callable[[httpx2.Response], int]
"""Looks at the head of a success and says how many bytes may follow, or raises a LineageError to hang up unread."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300

    @property
    def location(self) -> str | None:
        """Where it redirects to, in full."""
        target = self.headers.get("location")
        if self.status not in _REDIRECTS or not target:
            return None
        try:
            return urljoin(self.url, target)
        except ValueError as error:
            raise NetworkError("The Hub redirects to what is no address.", "Try again later.") from error


class Transport:
    """GET requests to the Hub and to wherever it redirects; safe to use from many threads."""

    def __init__(
        self,
        endpoint: str,
        token: str | None,
        *,
        policy: Policy,
        clock: Clock,
        timeout: float,
        parallel: int,
        steady: bool = False,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        if origin(self.endpoint)[0] not in _PORTS or not origin(self.endpoint)[1]:
            raise UsageError(f"{endpoint} is not the address of a Hub.", "HF_ENDPOINT is one like https://huggingface.co.")
        self.has_token = token is not None
        self._origin = origin(self.endpoint)
        self._token = token
        self._policy = policy
        self._clock = clock
        self._reached = False
        self._gates: Gates | Budget = Budget(clock) if steady else Gates(clock)
        # As many idle connections as threads on each of two origins: opening one costs a round trip, or three with TLS.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=4 * parallel, keepalive_expiry=60.0)
        agent = f"hub-lineage/{__version__}; python/{platform.python_version()}"
        headers = {"User-Agent": agent, "Accept-Encoding": "gzip, deflate"}
        self._client = httpx2.Client(headers=headers, timeout=timeout, limits=limits, follow_redirects=False)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def is_hub(self, url: str) -> bool:
        """Whether an address is on the Hub itself, the only place that is told the token."""
        return origin(url) == self._origin

    def get(self, url: str, *, expect: Expect, meter: Meter, doing: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One answer, redirects and refusals included, after as many attempts as the policy allows."""
        self._check(url)
        tries = Tries(self._policy, self._clock)
        gate = self._gate(url)
        refused = 0
        while True:
            while (seconds := self._gates.wait(gate)) > 0:
                if self._client.is_closed:
                    raise NetworkError(f"{doing}: the connection was closed.", "Open the Hub again.")
                tries.wait(seconds, spent(seconds, doing))
            sent = self._clock.now()
            try:
                answer = self._once(url, headers or {}, expect, meter)
            except BELOW as error:
                translated = translate(error, doing)
                refused += isinstance(error, httpx2.ConnectError)
                hopeless = refused >= FIRST_TRIES and not self._reached
                if hopeless or not worth_retrying(error) or not isinstance(translated, NetworkError):
                    raise translated from error
                tries.back_off(translated)
                continue
            self._reached = True
            told = self._gates.heed(gate, answer.headers, refused=answer.status == 429, sent=sent)
            if answer.status not in _RETRIED and answer.status < 500:
                return answer
            if answer.status == 429 and told:
                tries.count(failure(429, doing))
            else:
                tries.back_off(failure(answer.status, doing), answer.headers)

    def follow(self, url: str, *, expect: Expect, meter: Meter, doing: str, headers: Mapping[str, str] | None = None) -> Answer:
        """As :meth:`get`, following redirects that stay on the Hub; one that leaves it is given back as it is."""
        for _ in range(HOPS):
            answer = self.get(url, expect=expect, meter=meter, doing=doing, headers=headers)
            if answer.location is None or not self.is_hub(answer.location):
                return answer
            url = answer.location
        raise NetworkError(f"{doing}: the Hub redirects in a circle.", "Try again later.")

    def json(self, url: str, *, limit: int, meter: Meter, doing: str) -> tuple[Answer, Any]:
        """A JSON answer of at most ``limit`` bytes, parsed; a refusal comes back with None."""
        answer = self.follow(url, expect=lambda _: limit, meter=meter, doing=doing)
        if answer.location is not None:
            raise NetworkError(f"{doing}: the Hub sends us to another host.", "Check HF_ENDPOINT.")
        if not answer.ok:
            return answer, None
        try:
            return answer, json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise NetworkError(f"{doing}: the answer is no JSON.", "Check that HF_ENDPOINT names a Hub.") from error

    def _check(self, url: str) -> None:
        if constants.is_offline_mode() or os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES:
            raise NetworkError("HF_HUB_OFFLINE is set, so nothing is fetched.", "Unset it, or give local folders.")
        scheme = origin(url)[0]
        if scheme != "https" and (scheme != "http" or self._origin[0] != "http"):
            raise NetworkError("The Hub redirects to an address that isn't secure.", "Check HF_ENDPOINT.")

    def _gate(self, url: str) -> str:
        if not self.is_hub(url):
            return "/".join(map(str, origin(url)))
        return "api" if urlsplit(url).path.startswith("/api/") else "resolvers"

    def _once(self, url: str, headers: Mapping[str, str], expect: Expect, meter: Meter) -> Answer:
        sent = dict(headers)
        if self._token is not None and self.is_hub(url):
            sent["Authorization"] = f"Bearer {self._token}"
        meter.add(requests=1)
        with self._client.stream("GET", url, headers=sent) as response:
            try:
                body = _body(response, expect)
            finally:
                meter.add(bytes_read=response.num_bytes_downloaded)
            return Answer(url, response.status_code, response.headers, body)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of an address; an address without sense has an origin of its own."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", url, 0


def _body(response: httpx2.Response, expect: Expect) -> bytes:
    """The body up to what is expected; a longer one is a fault in a success and cut off in anything else."""
    encoding = response.headers.get("content-encoding", "identity")
    if encoding not in _ENCODINGS:  # the others can blow a few bytes up to gigabytes in one step
        raise NetworkError(f"The Hub answers in an encoding that wasn't asked for ({encoding[:40]}).", "Check HF_ENDPOINT.")
    limit = expect(response) if response.is_success else _ERROR_BODY
    pieces, size = [], 0
    for piece in response.iter_bytes():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            if response.is_success:
                raise NetworkError(f"The Hub sends more than the {limit} bytes expected.", "Check HF_ENDPOINT.")
            break
    return b"".join(pieces)
