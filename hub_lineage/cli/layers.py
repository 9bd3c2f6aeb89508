"""``hub-lineage layers``: which tensors of a model came from which other model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from hub_lineage import strip
from hub_lineage.cli.answers import bold, say_note
from hub_lineage.cli.options import AMONG_FILE, AMONG_OPTION, BUDGET, CONTEXT, JSON, NO_DECLARED, REGISTRY, Among, candidates
from hub_lineage.cli.progress import progress
from hub_lineage.errors import UsageError
from hub_lineage.layers import layers_of


@click.command(cls=Among, context_settings=CONTEXT)
@click.argument("model")
@AMONG_OPTION
@AMONG_FILE
@NO_DECLARED
@REGISTRY
@BUDGET
@JSON
@click.option(
    "--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write the strip chart to this file too."
)
def command(
    *,
    model: str,
    among: tuple[str, ...],
    among_file: IO[str] | None,
    registry: Path | None,
    budget: int,
    no_declared: bool,
    as_json: bool,
    svg: Path | None,
) -> None:
    """Show which tensors of MODEL came from which other model.

    Each sampled tensor is compared with those of the other models: within MODEL's architecture at its own place, otherwise
    block by block, so that hybrids, stacks and networks cut in depth show what they were made of.

    \b
    Examples:
      hub-lineage layers org/model
      hub-lineage layers org/model --among org/trunk org/neck
      hub-lineage layers ./model --among-file models.txt --svg layers.svg
    """
    say_note(model)
    with progress() as report:
        found = layers_of(
            model,
            among=candidates(among, among_file),
            registry=registry,
            declared=not no_declared,
            budget=budget,
            progress=report,
        )
    if svg is not None:
        _write(svg, strip.to_svg(found))
    click.echo(json.dumps(found.to_dict(), indent=2) + "\n" if as_json else strip.table(found, bold=bold), nl=False)


def _write(file: Path, drawn: str) -> None:
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"The chart can't be written to {file}: {error.strerror}.", "Name another file with --svg.") from error
