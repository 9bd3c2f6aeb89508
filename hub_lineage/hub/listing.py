"""Listing the Hub's models, page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

from hub_lineage.errors import NetworkError
from hub_lineage.hub.failures import refusal
from hub_lineage.hub.meter import Meter
from hub_lineage.hub.reference import is_id
from hub_lineage.hub.transport import Answer, Transport

_PAGE = 1000  # the Hub gives no longer page
_PAGE_LIMIT = 32_000_000  # bytes of JSON
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next\b')
_SORTS = {"created_at": "createdAt", "last_modified": "lastModified"}
_UNITS = ((10**9, "B"), (10**6, "M"), (10**3, "K"))
_EXPANDED = (
    "sha", "downloads", "createdAt", "lastModified", "tags", "library_name", "pipeline_tag", "private", "gated",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """A model as a listing shows it; times are ISO 8601, ``parameters`` is known where it was asked for."""

    id: str
    sha: str | None = None
    downloads: int | None = None
    created_at: str | None = None
    last_modified: str | None = None
    tags: tuple[str, ...] = ()
    library: str | None = None
    pipeline_tag: str | None = None
    private: bool = False
    gated: bool | str = False
    parameters: int | None = None


def listed(
    transport: Transport,
    meter: Meter,
    *,
    author: str | None,
    search: str | None,
    filters: Sequence[str],
    sort: str | None,
    limit: int | None,
    parameters: tuple[int, int] | None = None,
    sized: bool = False,
) -> Iterator[Listing]:
    """The models that match, fetched a page at a time as they are asked for."""
    if limit is not None and limit <= 0:
        return
    size = _PAGE if limit is None else min(limit, _PAGE)
    wanted: dict[str, Any] = {"author": author, "search": search, "filter": list(filters) or None, "limit": size}
    if parameters is not None:
        wanted["num_parameters"] = ",".join(
            f"{end}:{_in_units(bound)}" for end, bound in zip(("min", "max"), parameters, strict=True)
        )
    if sort is not None:
        wanted |= {"sort": _SORTS.get(sort, sort), "direction": -1}
    expanded = (*_EXPANDED, "safetensors") if sized else _EXPANDED
    query = urlencode({name: value for name, value in wanted.items() if value is not None} | {"expand": expanded}, doseq=True)
    count = 0
    for page in pages(transport, f"{transport.endpoint}/api/models?{query}", meter, "Listing models"):
        for entry in page:
            if isinstance(entry.get("id"), str) and is_id(entry["id"]):
                yield _listing(entry)
                count += 1
                if count == limit:
                    return


def pages(transport: Transport, url: str, meter: Meter, doing: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list, by the Link header of each; the next must be on the Hub, and never one seen before."""
    seen: set[str] = set()
    following: str | None = url
    while following is not None:
        if following in seen or not transport.is_hub(following):
            raise NetworkError(f"{doing}: the Hub's pages lead astray.", "Try again later.")
        seen.add(following)
        answer, page = transport.json(following, limit=_PAGE_LIMIT, meter=meter, doing=doing)
        if not answer.ok:
            raise refusal(answer.status, answer.headers, name="the listing", thing="page", token=transport.has_token)
        if not isinstance(page, list):
            raise NetworkError(f"{doing}: the answer is no list.", "Check that HF_ENDPOINT names a Hub.")
        yield [entry for entry in page if isinstance(entry, dict)]
        following = _next(answer)


def _in_units(count: int) -> str:
    """A number of parameters in the Hub's units, to three places."""
    size, unit = next(((size, unit) for size, unit in _UNITS if count >= size), (1, ""))
    return f"{round(count / size, 3):g}{unit}"


def _next(answer: Answer) -> str | None:
    match = _NEXT.search(answer.headers.get("link", ""))
    return urljoin(answer.url, match[1]) if match else None


def text(entry: dict[str, Any], name: str) -> str | None:
    """A value that is text, or None: what the Hub says is not to be trusted."""
    value = entry.get(name)
    return value if isinstance(value, str) else None


def number(entry: dict[str, Any], name: str) -> int | None:
    """A value that is a whole number, or None."""
    value = entry.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def words(entry: dict[str, Any], name: str) -> list[str]:
    """The texts of a value that is a list."""
    value = entry.get(name)
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def gate(entry: dict[str, Any]) -> bool | str:
    """Whether a repository is gated, and by what: ``auto`` or ``manual``."""
    value = entry.get("gated")
    return value if isinstance(value, (bool, str)) else False


def _parameters(safetensors: object) -> int | None:
    return number(safetensors, "total") if isinstance(safetensors, dict) else None


def _listing(entry: dict[str, Any]) -> Listing:
    return Listing(
        id=entry["id"],
        sha=text(entry, "sha"),
        downloads=number(entry, "downloads"),
        created_at=text(entry, "createdAt"),
        last_modified=text(entry, "lastModified"),
        tags=tuple(words(entry, "tags")),
        library=text(entry, "library_name"),
        pipeline_tag=text(entry, "pipeline_tag"),
        private=entry.get("private") is True,
        gated=gate(entry),
        parameters=_parameters(entry.get("safetensors")),
    )
