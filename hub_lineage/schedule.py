"""Crawls that come back: the command that one runs, and the texts that have cron, GitHub or a Job run it again and again."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final

from hub_lineage.errors import UsageError

PACKAGE: Final = "hub-lineage"
TABLES: Final = "stats"
"""The extra that brings what reads Parquet."""
IMAGE: Final = "python:3.12-slim"
TIMEOUT: Final = "5h"
SCRIPT: Final = "spaces/crawler/crawl_job.py"
# Not at full hours, when everybody's crawls begin.
NAMED: Final = {
    "@hourly": "17 * * * *",
    "@daily": "17 3 * * *",
    "@weekly": "17 3 * * 1",
    "@monthly": "17 3 1 * *",
    "@yearly": "17 3 1 1 *",
    "@annually": "17 3 1 1 *",
}
_FIELD = r"[0-9A-Za-z*,/-]{1,64}"
_CRON = re.compile(rf"{_FIELD}(?: {_FIELD}){{4}}")
_REPO = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_PACKAGE = re.compile(r"[\w.\[\],<>=~!@:/+ -]{1,300}", re.ASCII)

_WORKFLOW = """\
# Crawls models into a registry that is kept in the dataset {store}.
# Needs the repository secret HF_TOKEN: a token that may write that dataset.
name: crawl
on:
  schedule:
    - cron: "{cron}"
  workflow_dispatch:
permissions:
  contents: read
concurrency:
  group: hub-lineage-crawl
jobs:
  crawl:
    runs-on: ubuntu-latest
    timeout-minutes: 300
    steps:
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: |
          python -m pip install --quiet {package}
      - env:
          HF_TOKEN: ${{{{ secrets.HF_TOKEN }}}}
        run: |
          {command}
"""


@dataclass(frozen=True, slots=True)
class Work:
    """A crawl to be repeated.

    Attributes:
        crawl: What follows ``hub-lineage crawl``.
        store: The dataset that the registry is fetched from before and put back into after; None for one that stays on a disk.
        every: A name as ``@daily``, or the five fields of cron.
        package: What pip installs where the package is absent; see :attr:`installed`.

    Raises:
        UsageError: a value that one of the texts couldn't hold, or that means nothing to cron.
    """

    crawl: tuple[str, ...]
    store: str | None = None
    every: str = "@daily"
    package: str = PACKAGE

    def __post_init__(self) -> None:
        if not self.crawl:
            raise UsageError("Nothing says what to crawl.", "Add it after two dashes: hub-lineage schedule -- --author ORG")
        if self.every not in NAMED and not _CRON.fullmatch(self.every):
            raise UsageError(
                f"{self.every!r} is no time that cron knows.", f"Give {', '.join(NAMED)}, or five fields as '0 6 * * 1'."
            )
        if self.store is not None and not _REPO.fullmatch(self.store):
            raise UsageError(f"{self.store!r} names no dataset.", "Give it as ORG/NAME.")
        if not _PACKAGE.fullmatch(self.package) or self.package.startswith("-"):
            raise UsageError(f"{self.package!r} is nothing that pip installs.", "Give a name, or a name with a version.")
        if any(not word.isprintable() or "${{" in word for word in self.crawl):
            raise UsageError("An option of the crawl holds what no schedule can hold.", "Leave out line breaks and '${{'.")

    @property
    def cron(self) -> str:
        """The time in the five fields of cron."""
        return NAMED.get(self.every, self.every)

    @property
    def installed(self) -> str:
        """What pip installs: with what reads Parquet where a table is crawled, unless a package of one's own was named."""
        return f"{self.package}[{TABLES}]" if self.package == PACKAGE and self.reads_a_table else self.package

    @property
    def reads_a_table(self) -> bool:
        """Whether the crawl takes its models from a table."""
        return any(word.partition("=")[0] == "--from-stats" for word in self.crawl)

    @property
    def arguments(self) -> list[str]:
        """What follows ``hub-lineage schedule --now``."""
        return [*(["--store", self.store] if self.store else []), "--", *self.crawl]

    def kept(self) -> str:
        """The dataset, which whatever runs on a borrowed machine needs."""
        if self.store is None:
            raise UsageError(
                "A job's disk is gone when the job ends.", "Name the dataset that keeps the registry: --store ORG/NAME"
            )
        return self.store


def command(work: Work) -> str:
    """One crawl as a line for a shell; without a dataset to keep it in, the plain crawl."""
    words = ["hub-lineage", "schedule", "--now", *work.arguments] if work.store else ["hub-lineage", "crawl", *work.crawl]
    return shlex.join(words)


def cron_line(work: Work) -> str:
    """A line for ``crontab -e``; a percent sign would end the command there, so it is escaped."""
    return f"{work.cron} {command(work)}".replace("%", "\\%")


def workflow(work: Work) -> str:
    """A workflow for ``.github/workflows/crawl.yml``; the token is named in it, never held."""
    store = work.kept()
    return _WORKFLOW.format(store=store, cron=work.cron, package=shlex.quote(work.installed), command=command(work))


def uv_line(work: Work, script: str = SCRIPT) -> str:
    """The call of ``hf`` that schedules the script of this project; the token is taken from whoever calls it."""
    work.kept()
    more = ["--with", work.installed] if work.reads_a_table else []
    before = ["hf", "jobs", "scheduled", "uv", "run", "--secrets", "HF_TOKEN", "--timeout", TIMEOUT, *more, work.every]
    return shlex.join([*before, script, "--", *work.arguments])  # hf takes the first two dashes for itself


def job_command(work: Work) -> list[str]:
    """What a Job's container runs; each option is a word of its own, so a shell reads none of them."""
    work.kept()
    line = 'python -m pip install --quiet "$0" && exec hub-lineage schedule --now "$@"'
    return ["sh", "-c", line, work.installed, *work.arguments]
