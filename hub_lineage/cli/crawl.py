"""``hub-lineage crawl``: models of the Hub into the registry."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import IO

import click

from hub_lineage import terminal
from hub_lineage.cli.options import CONTEXT, JSON, LINES, REGISTRY, lines
from hub_lineage.cli.progress import progress
from hub_lineage.crawl import CrawlReport, crawl
from hub_lineage.errors import UsageError
from hub_lineage.registry import Registry, default_folder
from hub_lineage.types import SCHEMA
from hub_lineage.words import one_line


@click.command(context_settings=CONTEXT)
@click.option("--author", metavar="ORG", help="All models of a person or organisation.")
@click.option("--search", metavar="WORDS", help="Models whose name holds these words.")
@click.option("--limit", type=click.IntRange(1), help="Stop after this many models.")
@click.option("--ids-file", type=LINES, metavar="FILE", help="These models, one a line; - reads stdin.")
@REGISTRY
@JSON
def command(
    author: str | None, search: str | None, limit: int | None, ids_file: IO[str] | None, registry: Path | None, *, as_json: bool
) -> None:
    """Add models from the Hub to the registry.

    It reads a small part of each model by byte ranges, and nothing of a model it already knows. It can be stopped at any
    moment and goes on where it was.

    \b
    Examples:
      hub-lineage crawl --author org
      hub-lineage crawl --search "segmentation" --limit 200
      hub-lineage crawl --ids-file models.txt --registry ./registry
    """
    if not (author or search or limit or ids_file):
        raise UsageError("A crawl of the whole Hub takes days.", "Narrow it with --author, --search, --limit or --ids-file.")
    ids = list(lines(ids_file)) if ids_file else None
    with Registry.open(registry or default_folder(), write=True) as known, progress() as report:
        done = crawl(known, author=author, search=search, limit=limit, ids=ids, progress=report)
    click.echo(as_text(done) if as_json else in_words(done))


def as_text(done: CrawlReport) -> str:
    """The report as one JSON object."""
    failed = [{"id": name, "code": code, "message": message} for name, code, message in done.failed]
    body = {"seen": done.seen, "added": done.added, "unchanged": done.unchanged, "failed": failed, "cost": asdict(done.cost)}
    return json.dumps({"schema": SCHEMA, "crawl": body}, indent=2)


def in_words(done: CrawlReport) -> str:
    """What a crawl brought, and what it could not read."""
    said = [f"Saw {done.seen} models: {done.added} added, {done.unchanged} unchanged, {len(done.failed)} not read."]
    said += [f"  {one_line(name)}: {one_line(message)}" for name, _, message in done.failed]
    return "\n".join([*said, terminal.cost(done.cost)])
