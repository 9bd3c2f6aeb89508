"""The handlers of webhooks, and the calls that a webhook makes."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from hub_lineage.testing.answers import Answer, Refusal, Request, as_json
from hub_lineage.testing.recorded import Webhook, described_spec
from hub_lineage.testing.repositories import Repository
from hub_lineage.testing.site import Site

_DOMAINS = ("repo", "discussion")
_VERSION = 3
_PATIENCE = 10.0  # seconds that a receiver has


def list_webhooks(site: Site, request: Request) -> Answer:
    """The webhooks of whoever asks."""
    name = site.signed_in(request).user.name
    return as_json([webhook.described() for webhook in list(site.webhooks.values()) if webhook.user == name])


def create(site: Site, request: Request) -> Answer:
    """Register a webhook."""
    token, form = site.signed_in(request), request.form()
    token.check("user.webhooks.write")
    if not form.get("watched"):
        raise Refusal(400, '"watched" must contain at least 1 items')
    webhook = Webhook(site.new_id(), token.user.name, form["watched"], form.get("domains", list(_DOMAINS)))
    _set_target(site, webhook, form)
    site.webhooks[webhook.id] = webhook
    return _told(webhook)


def inspect(site: Site, request: Request, webhook: str) -> Answer:
    """One webhook."""
    return _told(_own(site, request, webhook))


def update(site: Site, request: Request, webhook: str) -> Answer:
    """Change what was sent along; an empty list of what to watch changes nothing."""
    found, form = _own(site, request, webhook), request.form()
    found.watched = form.get("watched") or found.watched
    found.domains = form.get("domains", found.domains)
    _set_target(site, found, {"url": found.url, "secret": found.secret, **form})
    return _told(found)


def enable(site: Site, request: Request, webhook: str) -> Answer:
    """Let a webhook call again."""
    found = _own(site, request, webhook)
    found.disabled = False
    return _told(found)


def disable(site: Site, request: Request, webhook: str) -> Answer:
    """Keep a webhook from calling."""
    found = _own(site, request, webhook)
    found.disabled = True
    return _told(found)


def delete(site: Site, request: Request, webhook: str) -> Answer:
    """Take a webhook away."""
    del site.webhooks[_own(site, request, webhook).id]
    return Answer(200)


def _set_target(site: Site, webhook: Webhook, form: dict[str, Any]) -> None:
    source = form.get("jobSourceId")
    if source is not None:
        if source not in site.jobs:
            raise Refusal(404, "Job not found")
        webhook.job, webhook.url = described_spec(site.jobs[source].spec), None
    elif form.get("url"):
        if urlsplit(form["url"]).scheme not in {"http", "https"}:
            raise Refusal(400, '"url" must be a valid uri')
        webhook.url, webhook.job = form["url"], None
    webhook.secret = form.get("secret")


def _own(site: Site, request: Request, webhook: str) -> Webhook:
    token = site.signed_in(request)
    token.check("user.webhooks.write")
    found = site.webhooks.get(webhook)
    if found is None or found.user != token.user.name:
        raise Refusal(404, "Webhook not found")
    return found


def _told(webhook: Webhook) -> Answer:
    return as_json({"webhook": webhook.described()})


def payload_of(site: Site, repository: Repository, *, action: str, scope: str, webhook: str) -> dict[str, Any]:
    """What the Hub sends when something happened to a repository: here, of its newest commit."""
    head = repository.at("main")
    page = f"{site.url}/{repository.path}"
    told = {
        "type": repository.kind,
        "name": repository.id,
        "id": repository.path,
        "private": repository.private,
        "owner": {"id": repository.owner},
        "headSha": head.oid,
        "tags": repository.words,
        "url": {"web": page, "api": f"{site.url}/api/{repository.kind}s/{repository.id}"},
    }
    moved = {"ref": "refs/heads/main", "oldSha": head.parent, "newSha": head.oid}
    updated = {"updatedRefs": [moved]} if scope.startswith("repo.content") else {}
    return {"event": {"action": action, "scope": scope}, "repo": told, "webhook": {"id": webhook, "version": _VERSION}, **updated}


def deliver(url: str, payload: dict[str, Any], secret: str | None) -> int:
    """Call an address as a webhook does, with the secret in its header; gives the status back."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_PATIENCE)
    headers = {"Content-Type": "application/json", **({"X-Webhook-Secret": secret} if secret is not None else {})}
    try:
        connection.request("POST", parts.path or "/", json.dumps(payload).encode(), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
