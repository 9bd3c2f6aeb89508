"""``hub-lineage trace``: one model's parents and ancestry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Literal

import click

from hub_lineage import graph, terminal
from hub_lineage.cli.options import CONTEXT, JSON, LINES, REGISTRY, lines
from hub_lineage.cli.progress import progress
from hub_lineage.hub import parse_reference
from hub_lineage.trace import trace
from hub_lineage.types import Trace

AMONG = "--among"


class Among(click.Command):
    """A command whose ``--among A B C`` takes every word up to the next option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Gives each word after ``--among`` its own ``--among``, as click understands it."""
        spread: list[str] = []
        within = False
        for word, following in zip(args, [*args, "--"][1:], strict=True):
            option = word.startswith("-") and word != "-"
            if within and not option:
                spread += [AMONG, word]
                continue
            within = word == AMONG
            if not within:
                spread.append(word)
            elif following.startswith("-"):
                raise click.BadOptionUsage(AMONG, f"{AMONG} needs a model after it.", ctx)
        return super().parse_args(ctx, spread)


@click.command(cls=Among, context_settings=CONTEXT)
@click.argument("child")
@click.option(AMONG, multiple=True, metavar="MODEL ...", help="Candidates to judge, in place of the registry.")
@click.option("--among-file", type=LINES, metavar="FILE", help="Candidates from a file, one a line; - reads stdin.")
@click.option("--no-declared", is_flag=True, help="Judge by weights alone, whatever cards say.")
@click.option(
    "--depth", type=click.Choice(["quick", "full", "deep"]), default="quick", show_default=True, help="How much is read."
)
@REGISTRY
@click.option(
    "--budget",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Most requests spent on finding candidates; 0 searches the registry only.",
)
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="How many candidates are ranked.")
@click.option("--generations", type=click.IntRange(1), default=4, show_default=True, help="How far up the ancestry goes.")
@JSON
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "json", "mermaid", "dot"]),
    default="tree",
    show_default=True,
    help="What is printed; mermaid and dot draw the ancestry.",
)
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
    as_json: bool,
) -> None:
    """Rank the parents of CHILD and draw its ancestry.

    CHILD is a Hub ID, ID@revision, a pasted URL, or a local folder or file; so is every candidate.

    \b
    Examples:
      hub-lineage trace org/model
      hub-lineage trace org/model@v1.0 --among org/base other/base
      hub-lineage trace ./my-model --among-file candidates.txt --no-declared
      hub-lineage trace org/model --json | jq .verdict
      hub-lineage trace org/model --format mermaid > lineage.mmd
    """
    note = parse_reference(child).note
    if note:
        click.echo(note, err=True)
    with progress() as report:
        found = trace(
            child,
            among=[*among, *lines(among_file)] if among or among_file else None,
            registry=registry,
            declared=not no_declared,
            depth=depth,
            budget=budget,
            top=top,
            generations=generations,
            progress=report,
        )
    click.echo(formatted(found, "json" if as_json else form), nl=False)


def formatted(found: Trace, form: str) -> str:
    """The answer in one of the forms that ``--format`` offers."""
    if form == "json":
        return json.dumps(found.to_dict(), indent=2) + "\n"
    if form == "mermaid":
        return graph.to_mermaid(found.graph)
    if form == "dot":
        return graph.to_dot(found.graph)
    return terminal.render(found, bold=bold)


def bold(text: str) -> str:
    """Bold in a terminal; ``click.echo`` takes it out where the output is piped."""
    return click.style(text, bold=True)
