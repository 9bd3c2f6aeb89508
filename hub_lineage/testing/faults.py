"""Faults and rate limits on command: what a Hub does on a bad day."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hub_lineage.testing.answers import Origin, Request

Kind = Literal["drop", "status", "whole", "truncate", "lie", "expire", "hang", "garbage", "flood"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to go wrong, for the next ``times`` requests that match.

    ``drop`` closes the connection unanswered; ``status`` answers with that status; ``whole`` sends 200 and the whole file
    where a range was asked for; ``truncate`` closes halfway through the body; ``lie`` states another Content-Range;
    ``expire`` refuses a signed address as if its time were over; ``hang`` waits ``seconds`` before answering; ``garbage``
    sends what is no HTTP; ``flood`` sends more bytes than were asked for.
    """

    kind: Kind
    path: str = ""  # a regular expression, searched in the path
    method: str | None = None
    origin: Origin | None = None
    times: int = 1
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def matches(self, request: Request) -> bool:
        """Whether this request is to go wrong."""
        fits = self.method in {None, request.method} and self.origin in {None, request.origin}
        return fits and re.search(self.path, request.path) is not None


class Faults:
    """The faults still to come, in order; each is used up by the requests that it spoils."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, int]] = []

    def add(self, fault: Fault) -> None:
        """Have a fault happen."""
        with self._lock:
            self._left.append((fault, fault.times))

    def take(self, request: Request) -> Fault | None:
        """The fault that this request meets, used up once."""
        with self._lock:
            for position, (fault, left) in enumerate(self._left):
                if fault.matches(request):
                    self._left[position : position + 1] = [(fault, left - 1)] if left > 1 else []
                    return fault
        return None

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._left.clear()


class RateLimit:
    """A fixed window of so many calls, as the Hub counts API and resolver calls."""

    def __init__(self, name: str, calls: int, window: float, clock: Callable[[], float]) -> None:
        self.name = name
        self.calls = calls
        self.window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._opened = clock()
        self._used = 0

    def take(self) -> tuple[bool, dict[str, str]]:
        """Count one call: whether it is let through, and the headers that say so."""
        with self._lock:
            now = self._clock()
            if now - self._opened >= self.window:
                self._opened, self._used = now, 0
            allowed = self._used < self.calls
            self._used += allowed
            seconds = max(0, round(self._opened + self.window - now))
            return allowed, self._headers(self.calls - self._used, seconds, allowed=allowed)

    def _headers(self, left: int, seconds: int, *, allowed: bool) -> dict[str, str]:
        stated = {
            "RateLimit": f'"{self.name}";r={left};t={seconds}',
            "RateLimit-Policy": f'"fixed window";"{self.name}";q={self.calls};w={round(self.window)}',
        }
        return stated if allowed else {**stated, "Retry-After": str(seconds)}


def limit_name(request: Request) -> str | None:
    """The limit that counts a request: ``api``, ``resolvers``, or none on the second origin."""
    if request.origin == "cdn":
        return None
    resolving = request.path.startswith("/api/resolve-cache/") or not request.path.startswith("/api/")
    return "resolvers" if resolving else "api"
