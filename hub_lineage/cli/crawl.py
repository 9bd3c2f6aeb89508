"""``hub-lineage crawl``: models of the Hub into the registry."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import click

from hub_lineage import terminal
from hub_lineage.cli.options import CONTEXT, JSON, LINES, REGISTRY, lines
from hub_lineage.cli.progress import progress
from hub_lineage.crawl import CrawlReport, Entry, Order, Plan, Selection, crawl, most_derived, plan, read_stats
from hub_lineage.crawl.stats import DATASET
from hub_lineage.errors import UsageError
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry, default_folder
from hub_lineage.registry.folder import DATABASE
from hub_lineage.types import SCHEMA, Progress
from hub_lineage.words import amount, one_line

_PATIENCE = 1000.0  # seconds that a crawl waits for a rate limit
_SETTLED = 5.0  # seconds after which a rate means something


@click.command(context_settings=CONTEXT)
@click.option("--author", metavar="ORG", help="All models of a person or organisation.")
@click.option("--search", metavar="WORDS", help="Models whose name holds these words.")
@click.option("--task", metavar="TASK", help="Models for this task, such as text-classification.")
@click.option("--library", metavar="NAME", help="Models of this library, such as transformers.")
@click.option("--architecture", metavar="NAME", help="Models of this architecture or type, such as bert.")
@click.option("--since", metavar="DATE", help="Models changed at this date or later.")
@click.option("--limit", type=click.IntRange(1), help="Stop after this many models.")
@click.option("--all", "everything", is_flag=True, help="The whole Hub, which takes days.")
@click.option("--ids-file", type=LINES, metavar="FILE", help="These models, one a line; - reads stdin.")
@click.option(
    "--from-stats",
    is_flag=False,
    flag_value=DATASET,
    metavar="TABLE",
    help=f"A Parquet table of models instead of a listing: a path, a dataset, or a file in one.  [without TABLE: {DATASET}]",
)
@click.option("--seed", type=click.IntRange(1), metavar="N", help="The N models from which most others are derived.")
@click.option("--retry", is_flag=True, help="Try again at once what failed before.")
@click.option("--relist", is_flag=True, help="List all again, not only what changed since; done by itself once a week.")
@click.option("--dry-run", is_flag=True, help="Say what there is to do and what it costs, and do nothing.")
@REGISTRY
@JSON
def command(
    ids_file: IO[str] | None,
    from_stats: str | None,
    seed: int | None,
    registry: Path | None,
    *,
    everything: bool,
    retry: bool,
    relist: bool,
    dry_run: bool,
    as_json: bool,
    **conditions: str | int | None,
) -> None:
    """Add models from the Hub to the registry.

    It reads a small part of each model by byte ranges, and nothing of a model it already knows. It can be stopped at any
    moment and goes on where it was. Failures are tried again by a later crawl.

    \b
    Examples:
      hub-lineage crawl --author org
      hub-lineage crawl --search "segmentation" --limit 200
      hub-lineage crawl --task image-classification --since 2026-01-31
      hub-lineage crawl --from-stats --library transformers --limit 5000
      hub-lineage crawl --seed 500 --dry-run
      hub-lineage crawl --ids-file models.txt --registry ./registry
    """
    lists = [given for given in (ids_file, from_stats, seed) if given is not None]
    narrowed = any(value is not None for value in conditions.values())
    if not (narrowed or lists or everything):
        raise UsageError(
            "A crawl of the whole Hub takes days.", "Narrow it with --author, --search, --limit or --ids-file, or say --all."
        )
    filtered = from_stats is None and any(value is not None for name, value in conditions.items() if name != "limit")
    if len(lists) > 1 or (lists and filtered):
        raise UsageError("A list of models and a condition, or two lists, exclude each other.", "Give one of them.")
    folder = registry or default_folder()
    with ExitStack() as stack:
        hub = stack.enter_context(Hub(patience=_PATIENCE, steady=True))
        report = stack.enter_context(progress())
        wanted = Selection(**conditions)  # type: ignore[arg-type]  # click's own checks
        order = Order(_narrowed(wanted, ids_file, from_stats, seed, hub), retry, relist)
        if dry_run or seed:
            made = _planned(folder, order, hub, report)
            if dry_run:
                click.echo(plan_as_text(made) if as_json else plan_in_words(made))
                return
            click.echo(plan_in_words(made), err=True)
        known = stack.enter_context(Registry.open(folder, write=True))
        rated = _Rated(report) if report else None
        done = crawl(known, hub=hub, selection=order.selection, retry=retry, relist=relist, progress=rated)
    click.echo(as_text(done) if as_json else in_words(done))


def _narrowed(wanted: Selection, ids: IO[str] | None, stats: str | None, seed: int | None, hub: Hub) -> Selection:
    """The conditions as they are, or the list that is given in their place."""
    found: Iterable[Entry] | None = None
    if ids is not None:
        found = (Entry(name, listed=False) for name in lines(ids))
    elif stats is not None:
        found = read_stats(stats, wanted, hub=hub)
    elif seed is not None:
        found = most_derived(hub, seed)
    return wanted if found is None else Selection(limit=wanted.limit, entries=found)


def _planned(folder: Path, order: Order, hub: Hub, report: Progress | None) -> Plan:
    how = {"retry": order.retry, "relist": order.relist}
    if not (folder / DATABASE).exists():
        return plan(None, order.selection, hub, **how, progress=report)
    with Registry.open(folder) as known:
        return plan(known, order.selection, hub, **how, progress=report)


@dataclass
class _Rated:
    """Progress with the rate so far and the time left, once there is enough to tell by."""

    shown: Progress
    began: float = field(default_factory=time.monotonic)

    def __call__(self, step: str, done: int, total: int) -> None:
        seconds = time.monotonic() - self.began
        if done <= 1:
            self.began, seconds = time.monotonic(), 0.0
        self.shown(step + (pace(done, total, seconds) if seconds >= _SETTLED else ""), done, total)


def pace(done: int, total: int, seconds: float) -> str:
    """The rate and the time left in brackets."""
    rate = done / seconds
    left = (total - done) / rate if total else 0.0
    words = f"{left / 3600:.1f} h" if left >= 5400 else f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s"
    return f" ({rate:.1f} a second{f', {words} left' if total else ''})"


def plan_as_text(made: Plan) -> str:
    """The plan as one JSON object."""
    body = {
        "seen": made.seen,
        "to_read": made.to_read,
        "unchanged": made.unchanged,
        "postponed": made.postponed,
        "vanished": made.vanished,
        "changes_since": made.changes_since,
        "requests": made.requests,
        "bytes": made.bytes,
    }
    return json.dumps({"schema": SCHEMA, "plan": body}, indent=2)


def plan_in_words(made: Plan) -> str:
    """What a crawl would do, and about what it would take."""
    changes = f" changed since {made.changes_since}" if made.changes_since else ""
    counts = f"{made.to_read} to read, {made.unchanged} unchanged, {made.postponed} that failed before and wait"
    cost = f"Reading them takes about {made.requests} requests and at the most about {amount(made.bytes)}."
    return f"{made.seen} models{changes}: {counts}, {made.vanished} no longer listed. {cost}"


def as_text(done: CrawlReport) -> str:
    """The report as one JSON object."""
    failed = [{"id": name, "code": code, "message": message} for name, code, message in done.failed]
    body = {
        "seen": done.seen,
        "added": done.added,
        "unchanged": done.unchanged,
        "postponed": done.postponed,
        "not_read": done.not_read,
        "failed": failed,
        "changes_since": done.changes_since,
        "gone": list(done.gone),
        "cost": asdict(done.cost),
    }
    return json.dumps({"schema": SCHEMA, "crawl": body}, indent=2)


def in_words(done: CrawlReport) -> str:
    """What a crawl brought, what it could not read, and what is gone."""
    changes = f" changed since {done.changes_since}" if done.changes_since else ""
    said = [f"Saw {done.seen} models{changes}: {done.added} added, {done.unchanged} unchanged, {done.not_read} not read."]
    if done.postponed:
        said.append(f"{done.postponed} more failed before and wait for their time; --retry tries them now.")
    said += [f"  {one_line(name)}: {one_line(message)}" for name, _, message in done.failed]
    if done.not_read > len(done.failed):
        said.append(f"  and {done.not_read - len(done.failed)} more; the registry holds them all.")
    said += [f"  {one_line(name)} is no longer on the Hub; what was read of it stays." for name in done.gone]
    return "\n".join([*said, terminal.cost(done.cost)])
