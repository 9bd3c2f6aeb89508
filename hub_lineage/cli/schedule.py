"""``hub-lineage schedule``: a crawl that comes back by itself."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from hub_lineage import schedule as texts
from hub_lineage.cli.crawl import command as crawl_command
from hub_lineage.cli.options import CONTEXT, JSON
from hub_lineage.errors import UsageError
from hub_lineage.hub.jobs import Jobs, Scheduled
from hub_lineage.hub.webhooks import Registered, Webhooks
from hub_lineage.schedule import Work
from hub_lineage.types import SCHEMA

_PRINTED: Final[dict[str, Callable[[Work], str]]] = {
    "cron": texts.cron_line,
    "github": texts.workflow,
    "uv": texts.uv_line,
    "job": lambda work: json.dumps(job(work), indent=2),
}
HOURS: Final = 4.5  # the machines are taken away after five
SECRET: Final = "WEBHOOK_SECRET"  # noqa: S105 - the variable's name
_SAID: Final = {"created": "Scheduled", "changed": "Gave other times to", "unchanged": "It is scheduled already:"}
_HEARD: Final = {"created": "Registered", "changed": "Changed", "unchanged": "It is registered already:"}


@click.command(context_settings=CONTEXT)
@click.argument("crawl", nargs=-1, metavar="-- CRAWL_OPTIONS...")
@click.option(
    "--every", default="@daily", show_default=True, metavar="TIME", help="@hourly, @daily, @weekly ..., or cron's five fields."
)
@click.option("--store", metavar="DATASET", help="The dataset on the Hub that keeps the registry between runs; made if missing.")
@click.option(
    "--print", "printed", type=click.Choice(list(_PRINTED)), help="Print what would do it elsewhere, and ask nothing of the Hub."
)
@click.option("--now", is_flag=True, help="Do what is scheduled once, here: fetch the registry, crawl, put it back.")
@click.option(
    "--hours", type=click.FloatRange(0, 1000), default=HOURS, show_default=True, help="How long --now may crawl for a dataset."
)
@click.option("--webhook", metavar="URL", help="Instead of times: have the Hub call this receiver at each new commit.")
@click.option("--watch", multiple=True, metavar="AUTHOR", help="Whose commits --webhook is about; may be given again.")
@click.option("--namespace", metavar="ORG", help="Whose Job it is.  [default: yours]")
@click.option("--package", default=texts.PACKAGE, show_default=True, metavar="NAME", help="What pip installs there.")
@JSON
def command(
    *,
    crawl: tuple[str, ...],
    every: str,
    store: str | None,
    printed: str | None,
    now: bool,
    hours: float,
    webhook: str | None,
    watch: tuple[str, ...],
    namespace: str | None,
    package: str,
    as_json: bool,
) -> None:
    """Have a crawl come back by itself, as a scheduled Job on the Hub.

    What follows two dashes is given to the crawl. A Job's disk is gone when it ends, so the registry is kept in a dataset,
    private unless you made it otherwise. Scheduling the same crawl again changes its times.

    --webhook registers the Space of spaces/crawler, or another receiver, for the authors named by --watch. The secret is read
    from WEBHOOK_SECRET, which the Space must hold too. Registering again changes what is there.

    \b
    Examples:
      hub-lineage schedule --store org/registry -- --author org
      hub-lineage schedule --every '0 6 * * 1' --print cron -- --author org
      hub-lineage schedule --store org/registry --print github -- --author org > .github/workflows/crawl.yml
      hub-lineage schedule --webhook https://org-crawler.hf.space --watch org
    """
    if webhook or watch:
        heard = listen(webhook, watch, crawl)
        body = {"schema": SCHEMA, "webhook": asdict(heard)}
        click.echo(json.dumps(body, indent=2) if as_json else heard_in_words(heard))
        return
    if now and printed:
        raise UsageError("--now and --print contradict each other.", "Give one of them.")
    work = Work(crawl, store, every, package)
    _check(work, elsewhere=not (now or printed == "cron"))
    if printed:
        click.echo(_PRINTED[printed](work).rstrip("\n"))
    elif now:
        run(work, hours)
    else:
        made = Jobs().schedule(work, namespace=namespace)
        click.echo(json.dumps({"schema": SCHEMA, "schedule": asdict(made)}, indent=2) if as_json else in_words(made))


def listen(webhook: str | None, watch: tuple[str, ...], crawl: tuple[str, ...]) -> Registered:
    """Registers a webhook, with the secret of the environment: what stands on a command line can be read by others."""
    if not webhook or crawl:
        raise UsageError(
            "A webhook needs its address and its authors, and takes no crawl.", "Give --webhook URL --watch AUTHOR, and no more."
        )
    secret = os.environ.get(SECRET, "")
    if not secret:
        raise UsageError(f"{SECRET} is not set.", "Make a secret with `openssl rand -hex 32`, and set it here and in the Space.")
    return Webhooks().register(webhook, watch, secret)


def run(work: Work, hours: float = HOURS) -> None:
    """One crawl, into the dataset's registry where one is named; there it ends in time for what it got to be kept."""
    if work.store is None:
        _crawl(work.crawl)
        return
    with kept(work.store) as folder, _ended_after(hours * 3600):
        _crawl([*work.crawl, "--registry", str(folder)])


@contextmanager
def kept(dataset: str) -> Iterator[Path]:
    """The registry of a dataset in a folder for a while; what it got is put back, also where the work on it broke off."""
    jobs = Jobs()
    with TemporaryDirectory(prefix="hub-lineage-") as place:
        folder = Path(place) / "registry"
        folder.mkdir()
        parent = jobs.fetch(dataset, folder)
        try:
            yield folder
        finally:
            if any(folder.iterdir()):
                jobs.store(dataset, folder, parent=parent)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Ends what runs inside as Ctrl-C would when time is up; the signal wakes the main thread from any wait."""
    over = threading.Event()

    def end() -> None:
        over.set()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    before = signal.getsignal(signal.SIGINT)
    if hasattr(signal, "pthread_kill"):
        if before is signal.SIG_IGN:  # as a shell leaves it for what it starts in the background
            signal.signal(signal.SIGINT, signal.default_int_handler)
        timer.start()
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        if not over.is_set():
            raise
        click.echo("Time is up; the next run goes on from here.", err=True)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def job(work: Work) -> dict[str, object]:
    """The Job as it would be asked for, without the secret's value."""
    spec: dict[str, object] = {"schedule": work.every, "image": texts.IMAGE, "command": texts.job_command(work)}
    return {**spec, "timeout": texts.TIMEOUT, "secrets": ["HF_TOKEN"]}


def in_words(made: Scheduled) -> str:
    """What became of the schedule, in a sentence or two."""
    stop = f"Stop it with: hf jobs scheduled delete --namespace {made.owner} {made.id}"
    return f"{_SAID[made.status]} job {made.id} of {made.owner}, {made.every}.\n{stop}"


def heard_in_words(made: Registered) -> str:
    """What became of the webhook, in a sentence or two."""
    watched = ", ".join(made.watched)
    stop = "Stop it on https://huggingface.co/settings/webhooks."
    return f"{_HEARD[made.status]} webhook {made.id} to {made.url} for {watched}.\n{stop}"


def _check(work: Work, *, elsewhere: bool) -> None:
    """Refuses today what would fail at night."""
    with crawl_command.make_context("crawl", list(work.crawl)) as context:
        given = context.params
    table = given.get("from_stats")
    if elsewhere and (given.get("ids_file") is not None or (table and Path(table).exists())):
        raise UsageError("A list of models on this machine can't be read elsewhere.", "Use --author or --search.")
    if work.store and given.get("registry") is not None:
        raise UsageError("--registry and --store contradict each other.", "Give one of them.")


def _crawl(arguments: list[str] | tuple[str, ...]) -> None:
    crawl_command.main(list(arguments), prog_name="hub-lineage crawl", standalone_mode=False)
