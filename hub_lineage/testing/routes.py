"""The routing table of the loopback Hub: every address it knows, in one place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from hub_lineage.testing import api, files
from hub_lineage.testing.answers import Answer, Origin, Refusal, Request
from hub_lineage.testing.site import Site

Handler = Callable[..., Answer]

_ID = r"(?P<repo_id>[^/]+(?:/[^/]+)?)"
_REVISION = r"(?P<revision>[^/]+)"


@dataclass(frozen=True, slots=True)
class Route:
    """An address: its origin, the methods it takes (HEAD goes wherever GET does), its pattern and its handler."""

    origin: Origin
    methods: frozenset[str]
    pattern: re.Pattern[str]
    handler: Handler


def _route(origin: Origin, methods: str, pattern: str, handler: Handler) -> Route:
    return Route(origin, frozenset(methods.split()), re.compile(pattern), handler)


ROUTES: tuple[Route, ...] = (
    _route("hub", "GET HEAD", r"/api/whoami-v2", api.whoami),
    _route("hub", "GET HEAD", r"/api/models", api.list_models),
    _route("hub", "GET HEAD", rf"/api/resolve-cache/models/{_ID}/{_REVISION}/(?P<path>.+)", files.resolve_cache),
    _route("hub", "GET HEAD", rf"/api/models/{_ID}/revision/{_REVISION}", api.model_info),
    _route("hub", "GET HEAD", rf"/api/models/{_ID}/refs", api.references),
    _route("hub", "GET HEAD", rf"/api/models/{_ID}/commits/{_REVISION}", api.commits),
    _route("hub", "GET HEAD", rf"/api/models/{_ID}/tree/{_REVISION}(?:/(?P<folder>.+))?", api.tree),
    _route("hub", "POST", rf"/api/models/{_ID}/paths-info/{_REVISION}", api.paths_info),
    _route("hub", "GET HEAD", rf"/api/models/{_ID}", api.model_info),
    _route("hub", "GET HEAD", rf"/{_ID}/resolve/{_REVISION}/(?P<path>.+)", files.resolve),
    _route("cdn", "GET HEAD", r"/repos/[^/]+/(?P<digest>[0-9a-f]{64})", files.stored),
)


def dispatch(site: Site, request: Request) -> Answer:
    """The answer of the first route that fits; a renamed repository is answered by a redirect on this host."""
    for route in ROUTES:
        match = route.pattern.fullmatch(request.path)
        if match and route.origin == request.origin and request.method in route.methods:
            told = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
            try:
                return _moved(site, request, told.get("repo_id", "")) or route.handler(site, request, **told)
            except Refusal as refusal:
                return refusal.answer()
    return Refusal(404, "Sorry, we can't find the page you are looking for.").answer()


def _moved(site: Site, request: Request, repo_id: str) -> Answer | None:
    renamed = site.catalogue.renames.get(repo_id)
    if renamed is None:
        return None
    query = f"?{request.query}" if request.query else ""
    location = request.path.replace(f"/{repo_id}", f"/{renamed}", 1) + query
    return Answer(307, {"Location": location}, f"Temporary Redirect. Redirecting to {location}".encode())
