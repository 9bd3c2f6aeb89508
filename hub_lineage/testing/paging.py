"""Pages of a listing, each with a Link to the next."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from hub_lineage.testing.answers import Refusal, Request
from hub_lineage.testing.site import Site

T = TypeVar("T")


def page(site: Site, request: Request, items: Sequence[T], size: int) -> tuple[Sequence[T], dict[str, str]]:
    """The items that a request's cursor points at, and the headers that lead on."""
    start = _start(request.first("cursor"))
    stop = start + size
    if stop >= len(items):
        return items[start:stop], {}
    query: dict[str, Any] = {**request.parameters, "cursor": [base64.urlsafe_b64encode(b"%d" % stop).decode()]}
    return items[start:stop], {"Link": f'<{site.url}{request.path}?{urlencode(query, doseq=True)}>; rel="next"'}


def _start(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    except ValueError:
        raise Refusal(400, "Invalid cursor") from None
