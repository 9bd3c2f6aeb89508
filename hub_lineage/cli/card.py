"""``hub-lineage card``: a model's parents onto its card."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO

import click

from hub_lineage.annotate import DAILY_CAP, Annotation, annotate
from hub_lineage.cli.options import AMONG_FILE, AMONG_OPTION, CONTEXT, JSON, REGISTRY, Among, lines
from hub_lineage.cli.progress import progress
from hub_lineage.errors import UsageError
from hub_lineage.types import SCHEMA
from hub_lineage.words import one_line


@click.command(cls=Among, context_settings=CONTEXT)
@click.argument("model")
@AMONG_OPTION
@AMONG_FILE
@REGISTRY
@click.option("--dry-run", is_flag=True, help="Show the change and send nothing.")
@click.option("--overwrite", is_flag=True, help="Also where the card declares something else.")
@click.option("--yes", is_flag=True, help="Don't ask before the pull request is opened.")
@click.option(
    "--daily-cap", type=click.IntRange(0), default=DAILY_CAP, show_default=True, help="Pull requests in 24 hours, at the most."
)
@JSON
def command(
    *,
    model: str,
    among: tuple[str, ...],
    among_file: IO[str] | None,
    registry: Path | None,
    dry_run: bool,
    overwrite: bool,
    yes: bool,
    daily_cap: int,
    as_json: bool,
) -> None:
    """Put the parents of MODEL on its card, by a pull request.

    It sets base_model and base_model_relation and writes a lineage section, only where the weights name the parent. All
    else on the card stays as it is, byte for byte. The change is shown first. A card that says `hub_lineage: false` is
    left alone.

    \b
    Examples:
      hub-lineage card org/model --dry-run
      hub-lineage card org/model --among org/base other/base
      hub-lineage card org/model --yes --json | jq .card.url
    """
    if not (dry_run or yes) and (as_json or not sys.stdin.isatty()):
        raise UsageError("Nobody is there to be asked whether to open a pull request.", "Add --yes to open it, or --dry-run.")
    with progress() as report:
        done = annotate(
            model,
            among=[*among, *lines(among_file)] if among or among_file else None,
            registry=registry,
            dry_run=dry_run,
            overwrite=overwrite,
            confirm=None if yes else confirmed,
            daily_cap=daily_cap,
            progress=report,
        )
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "card": asdict(done)}, indent=2))
        return
    if done.diff and (dry_run or yes):  # otherwise it was shown with the question
        click.echo(shown(done.diff))
    click.echo(in_words(done))


def confirmed(proposed: Annotation) -> bool:
    """Shows the change and asks; only a plain yes counts."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[2K", nl=False, err=True)  # what the progress left there
    click.echo(shown(proposed.diff))
    return click.confirm(f"Open a pull request with this on {one_line(proposed.id)}?", err=True)


def shown(diff: str) -> str:
    """A diff in the colours that people know; ``click.echo`` takes them out where the output is piped."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return "\n".join(click.style(line, fg=colours.get(line[:1])) for line in diff.split("\n"))


def in_words(done: Annotation) -> str:
    """What became of the card, in a sentence."""
    if done.status == "opened":
        return f"Opened a pull request: {done.url}"
    if done.status == "already_open":
        return f"Such a pull request is open already: {done.url}"
    if done.status == "proposed":
        return "Nothing was sent."
    hint = " Add --overwrite to replace it." if done.status == "declared" else ""
    return f"{one_line(done.reason or '', 600)}{hint} Nothing was written."
