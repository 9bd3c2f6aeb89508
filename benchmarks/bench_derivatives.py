"""Derived models told from what they were made of; ``benchmarks/results/derivatives.json``.

``python -m benchmarks.bench_derivatives`` measures all parts and stores their rows; ``--only quantised,adapters`` measures some
and prints them. Gates of the ways of deriving were set on the models and zoos of the split ``choosing`` (seeds 101 to 108 and
those of ``grown``'s validation part), which ``--split choosing`` prints; figures are stored of ``reporting`` alone (seeds 301 to
308 and test parts of zoos).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import click

from benchmarks import results_file
from benchmarks.derivatives import adapters, disguises, formats, merges, parts, plain, pruning, quantised
from benchmarks.derivatives.recipes import SPLITS, Split
from benchmarks.results_file import Figure

Rows = Callable[[Split], list[Figure]]

SPLIT: Final[Mapping[str, Rows]] = {
    "quantised": quantised.rows,
    "adapters": adapters.rows,
    "pruned": pruning.rows,
    "parts": parts.rows,
    "plain": plain.rows,
    "merges": merges.rows,
    "disguises": disguises.rows,
}
"""Parts that are measured on either split."""
WHOLE: Final[Mapping[str, Callable[[], list[Figure]]]] = {"formats": formats.rows}
"""Parts that judge nothing, and so have no split."""


@click.command()
@click.option("--only", default="", help="Parts to measure and print, divided by commas; nothing is stored.")
@click.option("--split", type=click.Choice(SPLITS), default="reporting", help="What to measure on; 'choosing' stores nothing.")
def main(only: str, split: Split) -> None:
    """Measures, prints and stores every row."""
    wanted = [word.strip() for word in only.split(",") if word.strip()]
    unknown = set(wanted) - {*SPLIT, *WHOLE}
    if unknown:
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join([*SPLIT, *WHOLE])}.", param_hint="--only")
    ways = {name: partial(rows, split) for name, rows in SPLIT.items()} | dict(WHOLE)
    figures = [figure for name, rows in ways.items() if not wanted or name in wanted for figure in _measured(name, rows)]
    if not wanted and split == "reporting":
        results_file.write("derivatives", "make bench-derivatives", figures)


def _measured(name: str, rows: Callable[[], list[Figure]]) -> list[Figure]:
    """The rows of one part, printed as soon as they are there."""
    began = time.perf_counter()
    figures = rows()
    for figure in figures:
        print(f"{figure.id:28} {figure.value:10.4g} {figure.bar:8} {figure.note}", file=sys.stderr)
        print("".join(f"    {kind}: {value:.4g}\n" for kind, value in figure.baselines.items()), end="", file=sys.stderr)
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return figures


if __name__ == "__main__":
    main()
