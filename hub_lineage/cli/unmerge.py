"""``hub-lineage unmerge``: what a merge is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Literal

import click

from hub_lineage import terminal
from hub_lineage.cli.answers import bold, say_note
from hub_lineage.cli.options import AMONG_FILE, AMONG_OPTION, BUDGET, CONTEXT, JSON, REGISTRY, Among, candidates
from hub_lineage.cli.progress import progress
from hub_lineage.derivation.nouns import Layer
from hub_lineage.types import Parent
from hub_lineage.unmerge import Unmerged, unmerge

_SHOWN = 12  # tensors that are listed
_EVEN = 1e-6  # weights that differ by less are the same for all tensors
_FIRST = {"merge": "Parent", "copy": "Model", "source": "Nearest combination"}


@click.command(cls=Among, context_settings=CONTEXT)
@click.argument("model")
@AMONG_OPTION
@AMONG_FILE
@click.option(
    "--depth",
    type=click.Choice(["quick", "full"]),
    default="quick",
    show_default=True,
    help="How much is read: a sample, or up to a million weights of the model and of those it may be made of.",
)
@REGISTRY
@BUDGET
@JSON
def command(
    *,
    model: str,
    among: tuple[str, ...],
    among_file: IO[str] | None,
    depth: Literal["quick", "full"],
    registry: Path | None,
    budget: int,
    as_json: bool,
) -> None:
    """Take a merge apart: its parents, their coefficients, and what is left.

    Linear merges, task arithmetic, SLERP, Model Stock, TIES and DARE are told from the weights alone, where the models they
    were made of are among the candidates. MODEL and candidates are Hub IDs, ID@revision, pasted URLs, local folders or files.

    \b
    Examples:
      hub-lineage unmerge org/model
      hub-lineage unmerge org/model --among org/base org/one org/two
      hub-lineage unmerge ./my-merge --among-file candidates.txt --depth full
      hub-lineage unmerge org/model --json | jq .parents
    """
    say_note(model)
    with progress() as report:
        found = unmerge(
            model,
            among=candidates(among, among_file),
            registry=registry,
            depth=depth,
            budget=budget,
            progress=report,
        )
    click.echo(json.dumps(found.to_dict(), indent=2) if as_json else _rendered(found))


def _rendered(found: Unmerged) -> str:
    parts = [bold(found.summary)]
    if found.parents:
        head = _FIRST.get(found.kind, "Nearest combination")
        parts += ["", *_table([(head, "Share", "95 %"), *map(_row, found.parents)])]
    parts += _by_tensor(found.layers)
    parts += ["", *(f"Could not be read: {one.id}. {one.message}" for one in found.unread)]
    parts.append(f"Compared with {found.compared} different models of its architecture. {terminal.cost(found.cost)}")
    return "\n".join(parts)


def _row(parent: Parent) -> tuple[str, str, str]:
    share = "base" if parent.coefficient is None else f"{parent.coefficient:.4f}"
    within = f"± {(parent.interval[1] - parent.interval[0]) / 2:.1g}" if parent.interval else ""
    return parent.id, share, within


def _by_tensor(layers: tuple[Layer, ...]) -> list[str]:
    """The first tensors with their own weights, where those differ from tensor to tensor."""
    weights = [[weight for _, weight in layer.origins] for layer in layers]
    if not weights or all(max(column) - min(column) <= _EVEN for column in zip(*weights, strict=True)):
        return []
    head = ("Tensor", *(name for name, _ in layers[0].origins), "unexplained")
    rows = [(layer.tensor, *(f"{weight:.4f}" for _, weight in layer.origins), f"{layer.unexplained:.1e}") for layer in layers]
    more = [f"and {len(rows) - _SHOWN} more tensors: --json has them all."] if len(rows) > _SHOWN else []
    return ["", *_table([head, *rows[:_SHOWN]]), *more]


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
