"""Options that several commands share, and the lists of models that files hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import click

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


def lines(file: IO[str] | None) -> Iterator[str]:
    """The words of a list, one a line, without blank lines and comments."""
    for line in file or ():
        word = line.partition("#")[0].strip()
        if word:
            yield word
