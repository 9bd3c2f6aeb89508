"""Addresses that are valid for a while, signed with a key that dies with the server."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from hub_lineage.testing.answers import Refusal, Request


class Signer:
    """Signs paths with an expiry and checks them again."""

    def __init__(self, clock: Callable[[], float], lifetime: float) -> None:
        self.lifetime = lifetime
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def sign(self, path: str) -> str:
        """The path with its expiry and signature as a query."""
        expires = f"{self._clock() + self.lifetime:.3f}"
        return f"{path}?Expires={expires}&Signature={self._signature(path, expires)}&Key-Pair-Id=loopback"

    def check(self, request: Request) -> None:
        """Refuse an address that is forged or over, and a token that came along, as storage hosts do."""
        if "authorization" in request.headers:
            raise Refusal(400, "Only one auth mechanism allowed")
        expires = request.first("Expires", "0")
        if not hmac.compare_digest(request.first("Signature"), self._signature(request.path, expires)):
            raise Refusal(403, "SignatureDoesNotMatch")
        if self._clock() > float(expires):
            raise Refusal(403, "Request has expired")

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}?{expires}".encode(), hashlib.sha256).hexdigest()
