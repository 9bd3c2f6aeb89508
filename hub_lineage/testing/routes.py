"""The routing table of the loopback Hub: every address it knows, in one place."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from hub_lineage.testing import community, files, jobs, lfs, listing, ownership, trees, validation, webhooks, writes
from hub_lineage.testing.answers import Answer, Origin, Refusal, Request
from hub_lineage.testing.site import Site

Handler = Callable[..., Answer]

_ID = r"(?P<repo>[^/]+(?:/[^/]+)?)"
_KIND = r"(?P<kind>models|datasets|spaces)"
_API = rf"/api/{_KIND}/{_ID}"
_PAGE = rf"/(?:(?P<kind>datasets|spaces)/)?{_ID}"
_REV = r"(?P<revision>[^/]+)"
_PATH = r"(?P<path>.+)"
_TALK = rf"{_API}/discussions/(?P<number>\d+)"
_EVENT = rf"{_TALK}/comment/(?P<event>[^/]+)"
_JOBS = r"/api/jobs/(?P<namespace>[^/]+)"
_JOB = rf"{_JOBS}/(?P<job>[^/]+)"
_TIMES = r"/api/scheduled-jobs/(?P<namespace>[^/]+)"
_TIME = rf"{_TIMES}/(?P<job>[^/]+)"
_HOOK = r"/api/settings/webhooks/(?P<webhook>[^/]+)"
_OID = r"(?P<digest>[0-9a-f]{64})"


@dataclass(frozen=True, slots=True)
class Route:
    """An address: its origin, the method it takes (HEAD goes wherever GET does), its pattern and its handler."""

    origin: Origin
    method: str
    pattern: re.Pattern[str]
    handler: Handler


_TABLE: tuple[tuple[Origin, str, str, Handler], ...] = (
    # Reading: models, datasets and spaces alike. The most used come first.
    ("hub", "GET", rf"{_PAGE}/resolve/{_REV}/{_PATH}", files.resolve),
    ("cdn", "GET", rf"/repos/[^/]+/{_OID}", files.stored),
    ("hub", "GET", rf"{_API}/revision/{_REV}", listing.repository_info),
    ("hub", "GET", rf"{_API}/tree/{_REV}(?:/(?P<folder>.+))?", trees.tree),
    ("hub", "GET", rf"/api/{_KIND}", listing.list_repositories),
    ("hub", "GET", rf"/api/resolve-cache/{_KIND}/{_ID}/{_REV}/{_PATH}", files.resolve_cache),
    ("hub", "GET", rf"{_API}/refs", trees.references),
    ("hub", "GET", rf"{_API}/commits/{_REV}", trees.commits),
    ("hub", "POST", rf"{_API}/paths-info/{_REV}", trees.paths_info),
    ("hub", "GET", rf"{_API}/safetensors-metadata/{_PATH}", trees.weight_headers),
    ("hub", "GET", rf"{_API}/lfs-files", trees.lfs_files),
    ("hub", "GET", rf"{_API}/auth-check", ownership.check_read),
    ("hub", "GET", rf"{_API}/auth-check/write", ownership.check_write),
    # Discussions and pull requests.
    ("hub", "GET", rf"{_API}/discussions", community.list_discussions),
    ("hub", "POST", rf"{_API}/discussions", community.create),
    ("hub", "GET", _TALK, community.details),
    ("hub", "POST", rf"{_TALK}/comment", community.comment),
    ("hub", "POST", rf"{_TALK}/title", community.change_title),
    ("hub", "POST", rf"{_TALK}/status", community.change_status),
    ("hub", "POST", rf"{_TALK}/merge", community.merge),
    ("hub", "POST", rf"{_EVENT}/edit", community.edit_comment),
    ("hub", "POST", rf"{_EVENT}/hide", community.hide_comment),
    # Writing.
    ("hub", "POST", r"/api/validate-yaml", validation.validate_yaml),
    ("hub", "POST", rf"{_API}/preupload/{_REV}", writes.preupload),
    ("hub", "POST", rf"{_API}/commit/{_REV}", writes.commit),
    ("hub", "POST", rf"{_PAGE}\.git/info/lfs/objects/batch", lfs.batch),
    ("cdn", "PUT", rf"/uploads/{_OID}", lfs.store),
    ("cdn", "PUT", rf"/uploads/{_OID}/(?P<number>\d+)", lfs.store_part),
    ("hub", "POST", r"/api/lfs/complete", lfs.complete),
    ("hub", "POST", r"/api/lfs/verify", lfs.verify),
    # Owning.
    ("hub", "GET", r"/api/whoami-v2", ownership.whoami),
    ("hub", "GET", r"/api/users/(?P<name>[^/]+)/overview", ownership.user_overview),
    ("hub", "GET", r"/api/organizations/(?P<name>[^/]+)/overview", ownership.organization_overview),
    ("hub", "POST", r"/api/repos/create", ownership.create),
    ("hub", "DELETE", r"/api/repos/delete", ownership.delete),
    ("hub", "POST", r"/api/repos/move", ownership.move),
    ("hub", "PUT", rf"{_API}/settings", ownership.settings),
    ("hub", "POST", rf"{_API}/branch/{_REV}", ownership.create_branch),
    ("hub", "DELETE", rf"{_API}/branch/{_REV}", ownership.delete_branch),
    ("hub", "POST", rf"{_API}/tag/{_REV}", ownership.create_tag),
    ("hub", "DELETE", rf"{_API}/tag/{_REV}", ownership.delete_tag),
    ("hub", "POST", rf"{_API}/super-squash/{_REV}", ownership.squash),
    # Kept on record: jobs and webhooks.
    ("hub", "GET", _JOBS, jobs.list_jobs),
    ("hub", "POST", _JOBS, jobs.run),
    ("hub", "GET", _JOB, jobs.inspect),
    ("hub", "GET", rf"{_JOB}/logs", jobs.logs),
    ("hub", "POST", rf"{_JOB}/cancel", jobs.cancel),
    ("hub", "POST", rf"{_JOB}/duplicate", jobs.duplicate),
    ("hub", "PUT", rf"{_JOB}/labels", jobs.label),
    ("hub", "GET", _TIMES, jobs.list_scheduled),
    ("hub", "POST", _TIMES, jobs.schedule),
    ("hub", "GET", _TIME, jobs.inspect_scheduled),
    ("hub", "DELETE", _TIME, jobs.delete_scheduled),
    ("hub", "POST", rf"{_TIME}/suspend", jobs.suspend),
    ("hub", "POST", rf"{_TIME}/resume", jobs.resume),
    ("hub", "POST", rf"{_TIME}/schedule", jobs.reschedule),
    ("hub", "POST", rf"{_TIME}/run", jobs.trigger),
    ("hub", "PUT", rf"{_TIME}/labels", jobs.label_scheduled),
    ("hub", "GET", r"/api/settings/webhooks", webhooks.list_webhooks),
    ("hub", "POST", r"/api/settings/webhooks", webhooks.create),
    ("hub", "GET", _HOOK, webhooks.inspect),
    ("hub", "POST", _HOOK, webhooks.update),
    ("hub", "DELETE", _HOOK, webhooks.delete),
    ("hub", "POST", rf"{_HOOK}/enable", webhooks.enable),
    ("hub", "POST", rf"{_HOOK}/disable", webhooks.disable),
    # Last, for its pattern fits many of the above.
    ("hub", "GET", _API, listing.repository_info),
)

ROUTES = tuple(Route(origin, method, re.compile(pattern), handler) for origin, method, pattern, handler in _TABLE)


def dispatch(site: Site, request: Request) -> Answer:
    """The answer of the first route that fits; a renamed repository is answered by a redirect on this host."""
    method = "GET" if request.method == "HEAD" else request.method
    for route in ROUTES:
        if route.method == method and route.origin == request.origin and (match := route.pattern.fullmatch(request.path)):
            told = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
            return _answer(site, request, route.handler, told)
    return Refusal(404, "Sorry, we can't find the page you are looking for.").answer()


def _answer(site: Site, request: Request, handler: Handler, told: dict[str, str]) -> Answer:
    kind = told.pop("kind", "models")
    if "repo" in told:
        # What the handlers know a repository by: datasets and spaces have their kind before the name.
        told["repo"] = told["repo"] if kind == "models" else f"{kind}/{told['repo']}"
    elif handler is listing.list_repositories:
        told["kind"] = kind.removesuffix("s")
    reading = request.method in {"GET", "HEAD"}
    try:
        with contextlib.nullcontext() if reading else site.lock:
            answer = _moved(site, request, told.get("repo", "")) or handler(site, request, **told)
    except Refusal as refusal:
        return refusal.answer()
    return _unless_known(request, answer) if reading and answer.status == 200 else answer


def _moved(site: Site, request: Request, repo: str) -> Answer | None:
    renamed = site.catalogue.renames.get(repo)
    if renamed is None or repo in site.catalogue.repositories:
        return None
    query = f"?{request.query}" if request.query else ""
    location = request.path.replace(f"/{repo}", f"/{renamed}", 1) + query
    return Answer(307, {"Location": location}, f"Temporary Redirect. Redirecting to {location}".encode())


def _unless_known(request: Request, answer: Answer) -> Answer:
    """The answer with its ETag, or 304 where the client has it already."""
    etag = answer.headers.get("ETag")
    if etag is None and isinstance(answer.body, bytes):
        digest = hashlib.sha1(answer.body, usedforsecurity=False).digest()
        etag = f'W/"{len(answer.body):x}-{base64.b64encode(digest).decode().rstrip("=")}"'
    headers = {**answer.headers, **({"ETag": etag} if etag else {})}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag and (etag.removeprefix("W/") in known or known == {"*"}):
        return Answer(304, {name: value for name, value in headers.items() if name != "Content-Type"})
    return Answer(answer.status, headers, answer.body)
