"""Options that several commands share, and the lists of models that files hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import click

AMONG: Final = "--among"
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
LINES: Final = click.File("r", encoding="utf-8", errors="replace")
REGISTRY: Final = click.option(
    "--registry",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The registry of known models.  [default: HUB_LINEAGE_REGISTRY, or your cache folder]",
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, errors included.")
PORT: Final = click.option(
    "--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="Where the app listens; 0 picks a free port."
)


def _words(ctx: click.Context, option: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """The words of a list with commas, however often the option is repeated."""
    del ctx, option
    return [word.strip() for each in given for word in each.split(",") if word.strip()]


WITH: Final = click.option(
    "--with",
    "counted",
    multiple=True,
    metavar="WORDS",
    callback=_words,
    help="Count more than weights, as visible evidence: dates, declared, downloads; with commas between.",
)


AMONG_OPTION: Final = click.option(
    AMONG, multiple=True, metavar="MODEL ...", help="Candidates to judge, in place of the registry."
)
AMONG_FILE: Final = click.option(
    "--among-file", type=LINES, metavar="FILE", help="Candidates from a file, one a line; - reads stdin."
)
NO_DECLARED: Final = click.option("--no-declared", is_flag=True, help="Leave out what cards say.")
BUDGET: Final = click.option(
    "--budget",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Most requests spent on finding candidates; 0 searches the registry only.",
)
FORMAT: Final = click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "json", "mermaid", "dot"]),
    default="tree",
    show_default=True,
    help="What is printed; mermaid and dot draw the ancestry.",
)


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


def candidates(named: tuple[str, ...], file: IO[str] | None) -> list[str] | None:
    """The candidates that were named one way or another; None where none were asked for."""
    return [*named, *lines(file)] if named or file else None


def lines(file: IO[str] | None) -> Iterator[str]:
    """The words of a list, one a line, without blank lines and comments."""
    for line in file or ():
        word = line.partition("#")[0].strip()
        if word:
            yield word
