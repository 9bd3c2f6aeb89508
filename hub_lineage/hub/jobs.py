"""What the Hub runs and keeps for a schedule: a scheduled Job, and a dataset that holds the registry between two runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

import huggingface_hub
from huggingface_hub import HfApi
from huggingface_hub import errors as client_errors

from hub_lineage.errors import AccessDenied, BadToken, LineageError, MissingScope, NetworkError, NotFound, UsageError
from hub_lineage.hub.client import DEFAULT_ENDPOINT, endpoint_address
from hub_lineage.hub.failures import BELOW, bad_token, failure, translate
from hub_lineage.schedule import IMAGE, TIMEOUT, Work, job_command

JOB_TOKEN: Final = "HUB_LINEAGE_JOB_TOKEN"  # noqa: S105 - the variable's name
LABELS: Final = {"for": "hub-lineage"}
MARK: Final = "hub-lineage: the registry"
"""How the message of a commit begins that puts a registry back."""
_PASSING = ["*.lock", "*.lock-journal", "*-wal", "*-shm", ".cache/*", ".cache/**"]
# Beside all else, what the client makes of an upload that failed and of an answer that lacks a part.
_FAILURES: tuple[type[Exception], ...] = (*BELOW, RuntimeError, LookupError, TypeError)
_LOGIN = "Log in with `hf auth login`, with a token that may {}."


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A scheduled Job; ``status`` says whether it is new, has other times now, or was there as asked for."""

    id: str
    owner: str
    every: str
    status: Literal["created", "changed", "unchanged"]


@final
class Jobs:
    """The scheduled Jobs and the kept registries of whoever is logged in.

    Args:
        endpoint: The Hub's address; ``HF_ENDPOINT`` if None.
        token: Who asks; the one that huggingface_hub has if None.
    """

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = endpoint_address(endpoint)
        self._token = token or huggingface_hub.get_token()
        self._api = HfApi(endpoint=self._endpoint, token=self._token)

    def schedule(self, work: Work, *, namespace: str | None = None) -> Scheduled:
        """Have a crawl run again and again; one with the same command is not scheduled twice.

        The job logs in with the token of ``HUB_LINEAGE_JOB_TOKEN``, or else with the one that schedules it, which the Hub keeps
        as a secret of the job.

        Raises:
            BadToken: nobody is logged in, or the Hub doesn't accept the token.
            MissingScope: the token may not run jobs there.
            UsageError: the Hub doesn't take what was asked for.
        """
        command = job_command(work)
        secret = os.environ.get(JOB_TOKEN) or logged_in(self._token, "run jobs")
        with in_words("Scheduling the job", "run jobs"):
            owner = namespace or str(self._api.whoami()["name"])
            for one in self._api.list_scheduled_jobs(labels=LABELS, namespace=owner):
                if one.id and one.job_spec.command == command:
                    return self._again(one.id, owner, work.every, unchanged=one.schedule == work.every)
            made = self._api.create_scheduled_job(
                image=IMAGE,
                command=command,
                schedule=work.every,
                concurrency=False,
                env=self._surroundings(),
                secrets={"HF_TOKEN": secret},
                timeout=TIMEOUT,
                labels=LABELS,
                namespace=owner,
            )
        return Scheduled(made.id, owner, work.every, "created")

    def fetch(self, dataset: str, folder: Path) -> str:
        """Make the dataset where it is missing, private; bring what it holds into a folder; give the commit it was at."""
        logged_in(self._token, "write the dataset")
        with in_words(f"Fetching the registry from {dataset}", "write the dataset"):
            self._api.create_repo(dataset, repo_type="dataset", private=True, exist_ok=True)
            info = self._api.dataset_info(dataset)
            commit = str(info.sha)
            names = {each.rfilename for each in info.siblings or ()}
            if not names <= {".gitattributes", "README.md"}:
                ignored = [*_PASSING, ".gitattributes", "README.md"]
                self._api.snapshot_download(
                    dataset, repo_type="dataset", revision=commit, local_dir=folder, ignore_patterns=ignored
                )
        return commit

    def store(self, dataset: str, folder: Path, *, parent: str) -> str:
        """Put the registry of a folder into the dataset, on top of the commit it was fetched at; gives the new commit.

        Raises:
            NetworkError: somebody else has put something there meanwhile; theirs stays.
        """
        logged_in(self._token, "write the dataset")
        with in_words(f"Putting the registry into {dataset}", "write the dataset"):
            done = self._api.upload_folder(
                repo_id=dataset,
                folder_path=folder,
                repo_type="dataset",
                ignore_patterns=_PASSING,
                commit_message=MARK,
                parent_commit=parent,
            )
        return done.oid

    def _again(self, job: str, owner: str, every: str, *, unchanged: bool) -> Scheduled:
        if not unchanged:
            self._api.update_scheduled_job_schedule(scheduled_job_id=job, schedule=every, namespace=owner)
        return Scheduled(job, owner, every, "unchanged" if unchanged else "changed")

    def _surroundings(self) -> dict[str, Any]:
        """What the job must know of another Hub than the usual one."""
        return {} if self._endpoint == DEFAULT_ENDPOINT else {"HF_ENDPOINT": self._endpoint}


def logged_in(token: str | None, needs: str) -> str:
    """The token, where there is one; ``needs`` is what it must be allowed, as it stands in "a token that may ...".

    Raises:
        BadToken: nobody is logged in.
    """
    if not token:
        raise BadToken("Nobody is logged in.", _LOGIN.format(needs))
    return token


@contextmanager
def in_words(doing: str, needs: str) -> Iterator[None]:
    """Let no error of the client pass; ``needs`` is as for :func:`logged_in`."""
    try:
        yield
    except client_errors.HfHubHTTPError as error:
        raise _refused(error, doing, needs) from error
    except _FAILURES as error:
        raise translate(error, doing) from error


def _refused(error: client_errors.HfHubHTTPError, doing: str, needs: str) -> LineageError:
    status, headers = error.response.status_code, error.response.headers
    said = (error.server_message or headers.get("x-error-message") or "").splitlines()
    words = f" ({said[0][:200]})" if said else ""
    login = _LOGIN.format(needs)
    by_status: dict[int, LineageError] = {
        400: UsageError(f"{doing}: the Hub doesn't take this{words}.", "Change what was asked for."),
        401: bad_token(status, headers.get("x-error-message", "")) or BadToken(f"{doing}: nobody is logged in{words}.", login),
        402: AccessDenied(f"{doing}: the Hub asks for payment{words}.", "See huggingface.co/settings/billing."),
        403: MissingScope(f"{doing}: the Hub denies it{words}.", login),
        404: NotFound(f"{doing}: there is no such account or dataset{words}.", "Check the spelling and the token's rights."),
        412: NetworkError(f"{doing}: it was changed meanwhile.", "Run this again; what is there was kept."),
    }
    return by_status.get(status) or failure(status, doing)
