"""Every error of the layers below, and every refusal of the Hub, as an error of this package."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import httpx2
from huggingface_hub import errors as client_errors

from hub_lineage.errors import (
    AccessDenied,
    BadToken,
    ExpiredToken,
    Gated,
    LineageError,
    MissingScope,
    NetworkError,
    NotFound,
    Private,
    RateLimited,
    Unreadable,
)

# What httpx2 and huggingface_hub raise, those of later versions too, and the plain errors that pass through them.
BELOW: tuple[type[Exception], ...] = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    httpx2.CookieConflict,
    *(one for one in vars(client_errors).values() if isinstance(one, type) and issubclass(one, Exception)),
    OSError,
    ValueError,
)
_FINAL = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.ProxyError)
_TOKENS = "huggingface.co/settings/tokens"
_ABOUT_TOKENS = re.compile(r"\b(?:your|the|a|write|fine-grained) token\b", re.IGNORECASE)
_DISABLED = "Access to this resource is disabled."


class _Meaning(NamedTuple):
    errors: tuple[type[Exception], ...]
    becomes: type[LineageError]
    message: str
    hint: str


# The first line that fits counts: the client derives its error for gated repositories from the one for unknown ones.
_MEANINGS = (
    _Meaning(
        (client_errors.GatedRepoError,),
        Gated,
        "the repository is gated",
        "Ask for access on its page, then log in with `hf auth login`.",
    ),
    _Meaning((client_errors.DisabledRepoError,), AccessDenied, "the repository is disabled", "Its page may say why."),
    _Meaning(
        (client_errors.RepositoryNotFoundError, client_errors.RevisionNotFoundError, client_errors.EntryNotFoundError),
        NotFound,
        "no such repository, revision or file",
        "Check the spelling.",
    ),
    _Meaning(
        (client_errors.OIDCError, client_errors.DeviceCodeError, client_errors.LocalTokenNotFoundError),
        BadToken,
        "logging in failed",
        "Log in again with `hf auth login`.",
    ),
    _Meaning((httpx2.TimeoutException,), NetworkError, "no answer in time", "Check the connection, and try again."),
    _Meaning((httpx2.ProxyError,), NetworkError, "the proxy refused", "Check HTTPS_PROXY and NO_PROXY."),
    _Meaning(
        (httpx2.TransportError, httpx2.InvalidURL, ConnectionError),
        NetworkError,
        "the Hub can't be reached",
        "Check the connection and HF_ENDPOINT.",
    ),
    _Meaning((Exception,), NetworkError, "the exchange failed", "Try again; if it persists, check HF_ENDPOINT."),
)


@contextmanager
def mapped(doing: str) -> Iterator[None]:
    """Let no error of the layers below pass: each becomes a LineageError that says what was being done."""
    try:
        yield
    except LineageError:
        raise
    except BELOW as error:
        raise translate(error, doing) from error


def worth_retrying(error: Exception) -> bool:
    """Whether the same request may go well the next time: connections refused or lost, and timeouts."""
    return isinstance(error, httpx2.TransportError) and not isinstance(error, _FINAL)


def translate(error: Exception, doing: str) -> LineageError:
    """The error of this package for one of the layers below."""
    meaning = next(one for one in _MEANINGS if isinstance(error, one.errors))
    words = (str(error) or type(error).__name__).splitlines()[0][:200]
    return meaning.becomes(f"{doing}: {meaning.message} ({words}).", meaning.hint)


def refusal(status: int, headers: Mapping[str, str], *, name: str, thing: str, token: bool) -> LineageError:
    """The error for a status that isn't a success; ``name`` is the repository, ``thing`` what was asked of it."""
    by_code: dict[str, LineageError] = {
        "GatedRepo": Gated(
            f"{name} is gated.", "Ask for access on its page" + ("." if token else ", then log in with `hf auth login`.")
        ),
        "RevisionNotFound": NotFound(
            f"{name} has no such revision.", "Give a branch, a tag or a commit of it, or none for main."
        ),
        "EntryNotFound": NotFound(f"{name} has no {thing}.", "Check the repository's list of files."),
    }
    coded = by_code.get(headers.get("x-error-code", ""))
    return coded if coded is not None else _by_status(status, headers.get("x-error-message", "")[:200], name, thing, token=token)


def _by_status(status: int, said: str, name: str, thing: str, *, token: bool) -> LineageError:
    faulty = bad_token(status, said)
    if faulty is not None:
        return faulty
    if status in {401, 404}:
        closed = "this token may not read it" if token else "log in with `hf auth login`"
        return NotFound(f"There is no {name} on the Hub.", f"Check the spelling; if it is private, {closed}.")
    if status == 403:
        return _forbidden(said, name)
    if status == 416:
        return Unreadable(f"{name}: {thing} is shorter than the Hub's list of files says.", "Try again later.")
    return failure(status, f"Reading {thing} of {name}")


def bad_token(status: int, said: str) -> BadToken | None:
    """The error for an answer that finds fault with the token itself; None for any other."""
    if status == 401 and said.startswith("User Access Token"):
        return ExpiredToken(
            f"The Hub doesn't accept the token: it has expired ({said}).",
            f"Make a new one on {_TOKENS}, then log in again with `hf auth login`.",
        )
    if said == "Invalid credentials in Authorization header":
        return BadToken("The Hub doesn't accept the token.", "Log in again with `hf auth login`, or unset HF_TOKEN.")
    return None


def missing_scope(said: str, doing: str, needs: str) -> MissingScope | None:
    """The error for a refusal that finds the token too narrow; ``needs`` is what it must be allowed; None for any other."""
    if not _ABOUT_TOKENS.search(said):
        return None
    hint = f"Log in with `hf auth login`, with a token that may {needs}; {_TOKENS} shows what each one may."
    return MissingScope(f"{doing}: the token doesn't go so far ({said[:200]}).", hint)


def _forbidden(said: str, name: str) -> LineageError:
    narrow = missing_scope(said, f"Reading {name}", "read it")
    if narrow is not None:
        return narrow
    if said == _DISABLED:
        return AccessDenied(f"{name} is disabled.", "The Hub has closed it; its page may say why.")
    words = f" ({said})" if said else ""
    kind = Private if "private" in said.lower() else AccessDenied
    return kind(f"The Hub denies access to {name}{words}.", "Try a token of somebody who may read it.")


def failure(status: int, doing: str) -> NetworkError:
    """The error for a status that stayed after all retries, or that means nothing here."""
    if status == 429:
        return RateLimited(f"{doing}: the Hub's rate limit is used up.", "Wait some minutes; a token has higher limits.")
    if status >= 500:
        return NetworkError(f"{doing}: the Hub has trouble of its own (status {status}).", "Try again later.")
    return NetworkError(f"{doing}: the Hub answers with status {status}, which can't be used.", "Check HF_ENDPOINT.")
