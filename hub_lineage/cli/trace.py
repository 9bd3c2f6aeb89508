"""``hub-lineage trace``: one model's parents and ancestry."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Literal

import click

from hub_lineage.cli.answers import say, say_note
from hub_lineage.cli.options import (
    AMONG_FILE,
    AMONG_OPTION,
    BUDGET,
    CONTEXT,
    FORMAT,
    JSON,
    NO_DECLARED,
    REGISTRY,
    WITH,
    Among,
    candidates,
)
from hub_lineage.cli.progress import progress
from hub_lineage.trace import trace


@click.command(cls=Among, context_settings=CONTEXT)
@click.argument("child")
@AMONG_OPTION
@AMONG_FILE
@NO_DECLARED
@WITH
@click.option(
    "--depth",
    type=click.Choice(["quick", "full", "deep"]),
    default="quick",
    show_default=True,
    help="How much is read: a sample, or up to a million weights of each of the nearest kin. deep isn't there yet.",
)
@REGISTRY
@BUDGET
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="How many candidates are ranked.")
@click.option("--generations", type=click.IntRange(1), default=4, show_default=True, help="How far up the ancestry goes.")
@JSON
@FORMAT
def command(
    *,
    child: str,
    among: tuple[str, ...],
    among_file: IO[str] | None,
    depth: Literal["quick", "full", "deep"],
    registry: Path | None,
    budget: int,
    top: int,
    generations: int,
    form: str,
    no_declared: bool,
    counted: list[str],
    as_json: bool,
) -> None:
    """Rank the parents of CHILD and draw its ancestry.

    CHILD is a Hub ID, ID@revision, a pasted URL, or a local folder or file; so is every candidate. The weights alone
    decide, unless --with asks to count dates of upload, declarations or downloads too.

    \b
    Examples:
      hub-lineage trace org/model
      hub-lineage trace org/model@v1.0 --among org/base other/base
      hub-lineage trace ./my-model --among-file candidates.txt --no-declared
      hub-lineage trace org/model --with dates,declared
      hub-lineage trace org/model --depth full
      hub-lineage trace org/model --json | jq .verdict
      hub-lineage trace org/model --format mermaid > lineage.mmd
    """
    say_note(child)
    with progress() as report:
        found = trace(
            child,
            among=candidates(among, among_file),
            registry=registry,
            declared=not no_declared,
            counted=counted,
            depth=depth,
            budget=budget,
            top=top,
            generations=generations,
            progress=report,
        )
    say(found, "json" if as_json else form)
