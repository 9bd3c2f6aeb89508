"""``hub-lineage phylogeny``: every family among the models named."""

from __future__ import annotations

from typing import IO

import click

from hub_lineage.cli.answers import say
from hub_lineage.cli.options import AMONG, CONTEXT, FORMAT, JSON, LINES, NO_DECLARED, WITH, Among, lines
from hub_lineage.cli.progress import progress
from hub_lineage.genealogy import phylogeny_of


@click.command(cls=Among, context_settings=CONTEXT)
@click.option(AMONG, multiple=True, metavar="MODEL ...", help="The models.")
@click.option("--among-file", type=LINES, metavar="FILE", help="The models from a file, one a line; - reads stdin.")
@NO_DECLARED
@WITH
@JSON
@FORMAT
def command(
    *,
    among: tuple[str, ...],
    among_file: IO[str] | None,
    form: str,
    no_declared: bool,
    counted: list[str],
    as_json: bool,
) -> None:
    """Draw who comes from whom among the models named, and no others.

    Each family has a root, a model or an ancestor that none of them fills; a model without kin stands alone. Models of
    several architectures stand in groups of their own. A model is a Hub ID, ID@revision, a URL, or a local folder or file.

    \b
    Examples:
      hub-lineage phylogeny --among org/base org/model other/model
      hub-lineage phylogeny --among-file models.txt --json | jq .graph
      ls -d models/* | hub-lineage phylogeny --among-file - --format mermaid
    """
    with progress() as report:
        found = phylogeny_of([*among, *lines(among_file)], declared=not no_declared, counted=counted, progress=report)
    say(found, "json" if as_json else form)
