"""``hub-lineage family``: the whole family of one model."""

from __future__ import annotations

from pathlib import Path
from typing import IO

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
from hub_lineage.genealogy import family_of


@click.command(cls=Among, context_settings=CONTEXT)
@click.argument("model")
@AMONG_OPTION
@AMONG_FILE
@NO_DECLARED
@WITH
@REGISTRY
@BUDGET
@JSON
@FORMAT
def command(
    *,
    model: str,
    among: tuple[str, ...],
    among_file: IO[str] | None,
    registry: Path | None,
    budget: int,
    form: str,
    no_declared: bool,
    counted: list[str],
    as_json: bool,
) -> None:
    """Draw the whole family of MODEL, from one root.

    Every known model that is related to MODEL has a place: below its likeliest parent, or below an ancestor that no known
    model fills. MODEL is a Hub ID, ID@revision, a pasted URL, or a local folder or file.

    \b
    Examples:
      hub-lineage family org/model
      hub-lineage family org/model --among-file models.txt --with dates
      hub-lineage family org/model --json | jq .models
      hub-lineage family org/model --format dot | dot -Tsvg > family.svg
    """
    say_note(model)
    with progress() as report:
        found = family_of(
            model,
            among=candidates(among, among_file),
            registry=registry,
            declared=not no_declared,
            counted=counted,
            budget=budget,
            progress=report,
        )
    say(found, "json" if as_json else form)
