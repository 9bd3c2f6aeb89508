"""The error tree: every failure a person can meet, with what to do next.

::

    LineageError                  exit  code
    ├── UsageError                   2  usage
    │   └── BadReference             2  bad_reference
    ├── NotFound                     3  not_found
    ├── AccessDenied                 4  access_denied
    │   ├── Gated                    4  gated
    │   ├── Private                  4  private
    │   ├── BadToken                 4  bad_token
    │   │   └── ExpiredToken         4  expired_token
    │   └── MissingScope             4  missing_scope
    ├── Unreadable                   5  unreadable
    │   ├── NoWeights                5  no_weights
    │   └── BadWeights               5  bad_weights
    ├── NetworkError                 6  network
    │   └── RateLimited              6  rate_limited
    └── RegistryError                7  registry
        └── RegistryVersion          7  registry_version
"""

from __future__ import annotations

from typing import ClassVar


class LineageError(Exception):
    """A failure with a sentence that says what happened and a hint that says what to do."""

    code: ClassVar[str] = "error"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(LineageError):
    """The call itself is off: options that contradict, a value out of range."""

    code = "usage"
    exit_status = 2


class BadReference(UsageError):
    """What was given names no model: spaces, an odd URL, an empty word."""

    code = "bad_reference"


class NotFound(LineageError):
    """No repository, revision, file or folder of that name."""

    code = "not_found"
    exit_status = 3


class AccessDenied(LineageError):
    """The Hub refuses whoever asks; the branches below say why, where the Hub tells."""

    code = "access_denied"
    exit_status = 4


class Gated(AccessDenied):
    """A gated repository whose author hasn't let this user in."""

    code = "gated"


class Private(AccessDenied):
    """A private repository, where the Hub says so; of most it says that there is none, which is NotFound."""

    code = "private"


class BadToken(AccessDenied):
    """No token where one is needed, or one that the Hub doesn't know."""

    code = "bad_token"


class ExpiredToken(BadToken):
    """A token whose time is over."""

    code = "expired_token"


class MissingScope(AccessDenied):
    """A token of the right user that doesn't go so far as what was asked for."""

    code = "missing_scope"


class Unreadable(LineageError):
    """Something is there, but it can't be read as a model."""

    code = "unreadable"
    exit_status = 5


class NoWeights(Unreadable):
    """A repository or folder without weights in a format that is read."""

    code = "no_weights"


class BadWeights(Unreadable):
    """A weight file that is truncated or lies about itself."""

    code = "bad_weights"


class NetworkError(LineageError):
    """The Hub can't be reached, or answers with what can't be used."""

    code = "network"
    exit_status = 6


class RateLimited(NetworkError):
    """The Hub's rate limit did not lift within the time given."""

    code = "rate_limited"


class RegistryError(LineageError):
    """The registry can't be opened or written."""

    code = "registry"
    exit_status = 7


class RegistryVersion(RegistryError):
    """The registry was written by another version of the store."""

    code = "registry_version"
