"""The way in and out of the command line: arguments to a command, every failure to a sentence and an exit status."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from itertools import pairwise

import click

from hub_lineage.cli.group import group
from hub_lineage.errors import LineageError, UsageError
from hub_lineage.types import SCHEMA

INTERRUPTED = 130  # as shells have it: 128 and the number of the signal
DEBUG = "HUB_LINEAGE_DEBUG"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``hub-lineage`` and returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        group.main(given, prog_name="hub-lineage", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped; nothing was lost.", err=True)
        return INTERRUPTED
    except Exception as error:
        if os.environ.get(DEBUG) and not isinstance(error, click.ClickException):
            raise
        return _fail(_in_words(error), as_json=_wants_json(given))
    return 0


def _wants_json(given: Sequence[str]) -> bool:
    """Whether the call asks for JSON, read before click does: its own complaints are to be JSON too."""
    return not {"--json", "--format=json"}.isdisjoint(given) or ("--format", "json") in pairwise(given)


def _in_words(error: Exception) -> LineageError:
    """Any failure as one of our own tree."""
    if isinstance(error, LineageError):
        return error
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "hub-lineage"
        return UsageError(error.format_message(), f"See {path} --help.")
    if isinstance(error, click.ClickException):
        return UsageError(error.format_message(), "See hub-lineage --help.")
    return LineageError(
        f"Something went wrong that was not foreseen: {type(error).__name__}: {error}",
        f"Set {DEBUG}=1 and run it again to see where; please report what it shows.",
    )


def _fail(error: LineageError, *, as_json: bool) -> int:
    """Says what happened and what to do; as JSON on stdout, as a sentence on stderr."""
    if as_json:
        body = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(json.dumps({"schema": SCHEMA, "error": body}, indent=2))
    else:
        click.echo(f"{click.style('Error:', bold=True)} {error.message}", err=True)
        if error.hint:
            click.echo(error.hint, err=True)
    return error.exit_status
