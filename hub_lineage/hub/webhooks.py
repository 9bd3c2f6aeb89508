"""The webhook that tells a receiver of new commits: registered once for the authors that are watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, final
from urllib.parse import urlsplit

import huggingface_hub
from huggingface_hub import HfApi, WebhookInfo, WebhookWatchedItem
from huggingface_hub import errors as client_errors

from hub_lineage.errors import NotFound, UsageError
from hub_lineage.hub.client import endpoint_address
from hub_lineage.hub.jobs import in_words, logged_in

PATH: Final = "/webhooks/models"
"""Where the receiver of ``spaces/crawler`` listens."""
_NEEDS: Final = "manage webhooks"
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST: Final = 8  # characters of a secret


@dataclass(frozen=True, slots=True)
class Registered:
    """A webhook; ``status`` says whether it is new, was changed, or was there as asked for. Its secret is never told."""

    id: str
    url: str
    watched: tuple[str, ...]
    status: Literal["created", "changed", "unchanged"]


@final
class Webhooks:
    """The webhooks of whoever is logged in.

    Args:
        endpoint: The Hub's address; ``HF_ENDPOINT`` if None.
        token: Who asks; the one that huggingface_hub has if None.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._token = token or huggingface_hub.get_token()
        self._api = HfApi(endpoint=endpoint_address(endpoint), token=self._token)

    def register(self, url: str, authors: Sequence[str], secret: str) -> Registered:
        """Have the Hub call a receiver at each new commit of these authors; one webhook for each address.

        One that is there for this address is changed to watch these authors and no others, and switched on again.

        Args:
            url: The Space's address, or that of another receiver with its path.
            authors: Users and organisations.
            secret: What the Hub sends along, so that the receiver knows it.

        Raises:
            UsageError: an address that would give the secret away, no author, or hardly a secret.
            NotFound: one of the authors is neither a user nor an organisation.
            BadToken: nobody is logged in, or the Hub doesn't accept the token.
            MissingScope: the token may not manage webhooks.
        """
        address, names = target(url), tuple(sorted(set(authors)))
        if not names:
            raise UsageError("Nothing says whom to watch.", "Name an author with --watch.")
        if len(secret) < _SHORTEST:
            raise UsageError(f"The secret has less than {_SHORTEST} characters.", "Make one with: openssl rand -hex 32")
        logged_in(self._token, _NEEDS)
        with in_words("Registering the webhook", _NEEDS):
            there = next((one for one in self._api.list_webhooks() if one.url == address), None)
            watched = [self._watched(name) for name in names]
            if there is None:
                made = self._api.create_webhook(url=address, watched=[*watched], domains=["repo"], secret=secret)
                return Registered(made.id, address, names, "created")
            changed = self._change(there, watched, secret)
        return Registered(there.id, address, names, "changed" if changed else "unchanged")

    def _change(self, there: WebhookInfo, watched: Sequence[WebhookWatchedItem], secret: str) -> bool:
        """Whether it was other than asked for; a secret that the Hub doesn't show is sent anew."""
        same = {(one.type, one.name) for one in there.watched} == {(one.type, one.name) for one in watched}
        if not (same and there.domains == ["repo"] and there.secret == secret):
            self._api.update_webhook(there.id, url=there.url, watched=[*watched], domains=["repo"], secret=secret)
        elif not there.disabled:
            return False
        if there.disabled:
            self._api.enable_webhook(there.id)
        return True

    def _watched(self, name: str) -> WebhookWatchedItem:
        try:
            self._api.get_organization_overview(name)
        except client_errors.HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise
        else:
            return WebhookWatchedItem(type="org", name=name)
        try:
            self._api.get_user_overview(name)
        except client_errors.HfHubHTTPError as error:
            if error.response.status_code != 404:
                raise
            raise NotFound(f"There is no user or organisation {name} on the Hub.", "Check the spelling.") from error
        return WebhookWatchedItem(type="user", name=name)


def target(url: str) -> str:
    """The address that is called: where none has a path, that of this project's receiver.

    Raises:
        UsageError: it is no address, or one that would send the secret over the network unencrypted.
    """
    hint = "Give one like https://org-space.hf.space."
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
    except ValueError:
        raise UsageError(f"{url} is no address.", hint) from None
    if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(f"{url} is no address that a webhook can call.", hint)
    if parts.scheme == "http" and host not in _HERE:
        raise UsageError(f"{url} would have the secret sent unencrypted.", "Give an address with https.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or PATH}"
