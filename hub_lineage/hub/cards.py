"""Writing to a repository: one pull request with one README, as the user whose token it is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from types import TracebackType
from typing import Final, final
from urllib.parse import quote, urlencode

import huggingface_hub
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub import errors as client_errors

from hub_lineage.errors import BadToken, LineageError, MissingScope, NetworkError, Unreadable
from hub_lineage.hub.client import Hub
from hub_lineage.hub.failures import BELOW, bad_token, failure, refusal, translate
from hub_lineage.hub.meter import Meter
from hub_lineage.hub.pace import Clock, Policy
from hub_lineage.hub.transport import Transport

README: Final = "README.md"
_PAGE_LIMIT = 8_000_000  # bytes of JSON
_MOST_PAGES = 200
_LOGIN = "Log in with `hf auth login`, with a token that may write discussions."


class Moved(NetworkError):
    """The repository's main branch is no longer at the commit that was read."""


@final
class Cards:
    """Pull requests to the cards of one Hub.

    Args:
        hub: Where the repositories are.
        token: Who writes; the one that huggingface_hub has if None.
        clock: The time and sleep that waiting goes by.
    """

    def __init__(self, hub: Hub, token: str | None = None, *, clock: Clock | None = None) -> None:
        self._token = token or huggingface_hub.get_token()
        self._endpoint = hub.endpoint
        self._transport = Transport(hub.endpoint, self._token, policy=Policy(), clock=clock or Clock(), timeout=20.0, parallel=1)
        self._meter = Meter()

    def __enter__(self) -> Cards:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._transport.close()

    def find_open(self, repo_id: str, mark: str) -> str | None:
        """The address of an open pull request whose title holds a mark, whoever opened it; None where there is none."""
        for entry in self._open_requests(repo_id):
            title, number = entry.get("title"), entry.get("num")
            if entry.get("isPullRequest") is True and isinstance(title, str) and mark in title and isinstance(number, int):
                return f"{self._endpoint}/{repo_id}/discussions/{number}"
        return None

    def propose(self, repo_id: str, card: bytes, *, parent: str | None, title: str, description: str) -> str:
        """Open a pull request that sets the README; gives its address.

        Args:
            repo_id: The repository.
            card: The README's new bytes.
            parent: The commit that the change was made from.
            title: The pull request's first line.
            description: Its text, in Markdown.

        Raises:
            Moved: the branch is no longer at ``parent``.
            BadToken: nobody is logged in, or the Hub doesn't accept the token.
            MissingScope: the token may not do this.
            Unreadable: the Hub doesn't take the card's front matter.
        """
        if self._token is None:
            raise BadToken("Nobody is logged in, so no pull request can be opened.", _LOGIN)
        api = HfApi(endpoint=self._endpoint, token=self._token)
        with _in_words(repo_id), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the Hub's remarks on a card that was no better before
            done = api.create_commit(
                repo_id,
                [CommitOperationAdd(README, card)],
                commit_message=title,
                commit_description=description,
                create_pr=True,
                parent_commit=parent,
            )
        if not done.pr_url:
            raise NetworkError(f"The Hub opened no pull request on {repo_id}.", "Look at its page, and try again later.")
        return done.pr_url

    def _open_requests(self, repo_id: str) -> Iterator[Mapping[str, object]]:
        base = f"{self._endpoint}/api/models/{quote(repo_id)}/discussions"
        doing = f"Looking for open pull requests on {repo_id}"
        seen = 0
        for number in count():
            query = urlencode({"type": "pull_request", "status": "open", "p": number})
            answer, page = self._transport.json(f"{base}?{query}", limit=_PAGE_LIMIT, meter=self._meter, doing=doing)
            if not answer.ok:
                raise refusal(answer.status, answer.headers, name=repo_id, thing="discussions", token=self._token is not None)
            found = page.get("discussions") if isinstance(page, dict) else None
            if not isinstance(found, list) or number == _MOST_PAGES:
                raise NetworkError(f"{doing}: the answer isn't what a Hub says.", "Try again later.")
            yield from (entry for entry in found if isinstance(entry, dict))
            seen += len(found)
            total = page.get("count")
            if not found or not isinstance(total, int) or seen >= total:
                return


@contextmanager
def _in_words(repo_id: str) -> Iterator[None]:
    """What the client raises while it opens a pull request, as errors of this package."""
    doing = f"Opening a pull request on {repo_id}"
    try:
        yield
    except client_errors.HfHubHTTPError as error:
        raise _refused(error, repo_id, doing) from error
    except ValueError as error:
        if "Invalid metadata" not in str(error):
            raise translate(error, doing) from error
        said = " ".join(str(error).split())[:300]
        raise Unreadable(f"The Hub doesn't take the front matter of {repo_id}: {said}", "Mend it on the model's page.") from error
    except BELOW as error:
        raise translate(error, doing) from error


def _refused(error: client_errors.HfHubHTTPError, repo_id: str, doing: str) -> LineageError:
    status, said = error.response.status_code, (error.server_message or "").splitlines()
    words = f" ({said[0][:200]})" if said else ""
    if status == 412:
        return Moved(f"{repo_id} was changed while it was read.", "Run this again.")
    if status == 401:
        unknown = BadToken(f"The Hub doesn't accept the token{words}.", f"It may have expired. {_LOGIN}")
        return bad_token(status, error.response.headers.get("x-error-message", "")) or unknown
    if status == 403:
        return MissingScope(f"The token may not open a pull request on {repo_id}{words}.", _LOGIN)
    if status == 404:
        return refusal(status, error.response.headers, name=repo_id, thing="repository", token=True)
    return failure(status, doing)
