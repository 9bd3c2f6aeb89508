"""What the loopback Hub is asked and what it answers, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

Origin = Literal["hub", "cdn"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; ``path`` is still percent-encoded, header names are in lower case."""

    origin: Origin
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The query's values by name, ``expand[]`` read as ``expand``."""
        return _parsed(self.query)

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.parameters.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        """Whether a query parameter says yes."""
        return self.first(name).lower() in {"1", "true", "yes"}

    def form(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            form = json.loads(self.body or b"{}") or {}
        except ValueError:
            form = None
        if not isinstance(form, dict):
            raise Refusal(400, "Invalid JSON body")
        return form

    @property
    def token(self) -> str | None:
        """The bearer token sent along."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" and token else None


@lru_cache(maxsize=256)
def _parsed(query: str) -> dict[str, list[str]]:
    return {name.removesuffix("[]"): values for name, values in parse_qs(query).items()}


@dataclass(frozen=True, slots=True)
class Record:
    """A request that was served: what it was, on which connection it came, and the status it got (0: dropped)."""

    request: Request
    connection: int
    status: int

    @property
    def origin(self) -> Origin:
        """Which of the two servers was asked."""
        return self.request.origin

    @property
    def method(self) -> str:
        """The verb."""
        return self.request.method

    @property
    def path(self) -> str:
        """The path, percent-encoded."""
        return self.request.path

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers sent, names in lower case."""
        return self.request.headers


@dataclass(frozen=True, slots=True)
class Blob:
    """The content of one file, in memory or on disk; ``oid`` is git's, ``sha256`` that of the content."""

    size: int
    oid: str
    sha256: str
    lfs: bool
    data: bytes | None = field(default=None, repr=False)
    file: Path | None = None

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Some of the content; all of it unless told otherwise."""
        stop = self.size if stop is None else min(stop, self.size)
        if self.file is None:
            return (self.data or b"")[start:stop]
        with self.file.open("rb") as stream:
            stream.seek(start)
            return stream.read(max(0, stop - start))


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; a :class:`Blob` as its body is sent by ranges where they are asked for."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Blob = b""


class Refusal(Exception):
    """A 4xx answer, with the code and message that the Hub puts into its headers, and what else it tells."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = headers or {}
        self.told = told or {}

    def answer(self) -> Answer:
        """The refusal as it is sent."""
        coded = {"X-Error-Code": self.code} if self.code else {}
        return as_json(
            {"error": self.message, **self.told}, self.status, {"X-Error-Message": self.message, **coded, **self.headers}
        )


def as_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    content = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Answer(status, content, json.dumps(value, default=str).encode())
