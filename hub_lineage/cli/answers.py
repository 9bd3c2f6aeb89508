"""Answers about lineage as the commands print them, and how the words that were asked were understood."""

from __future__ import annotations

import json

import click

from hub_lineage import graph, terminal
from hub_lineage.hub import parse_reference
from hub_lineage.types import Phylogeny, Trace


def say_note(model: str) -> None:
    """Tells, beside the answer, how a model's name was understood, where that isn't plain."""
    note = parse_reference(model).note
    if note:
        click.echo(note, err=True)


def say(found: Trace | Phylogeny, form: str) -> None:
    """Prints an answer in one of the forms that ``--format`` offers."""
    click.echo(formatted(found, form), nl=False)


def formatted(found: Trace | Phylogeny, form: str) -> str:
    """The answer in one of the forms that ``--format`` offers."""
    if form == "json":
        return json.dumps(found.to_dict(), indent=2) + "\n"
    if form == "mermaid":
        return graph.to_mermaid(found.graph)
    if form == "dot":
        return graph.to_dot(found.graph)
    return terminal.render(found, bold=bold) if isinstance(found, Trace) else terminal.phylogeny(found, bold=bold)


def bold(text: str) -> str:
    """Bold in a terminal; ``click.echo`` takes it out where the output is piped."""
    return click.style(text, bold=True)
