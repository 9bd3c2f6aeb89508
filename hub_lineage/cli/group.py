"""The commands by name, each in a file of its own that is imported when it runs, so that help comes at once."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from hub_lineage.cli.options import CONTEXT
from hub_lineage.version import __version__

COMMANDS: Final = {
    "trace": "Rank the parents of a model and draw its ancestry.",
    "family": "Draw the whole family of a model.",
    "layers": "Show which tensors of a model came from which other.",
    "unmerge": "Take a merge apart: its parents and their shares.",
    "phylogeny": "Draw who comes from whom among some models.",
    "crawl": "Add models from the Hub to the registry.",
    "card": "Put a model's parents on its card, by a pull request.",
    "schedule": "Have a crawl come back by itself.",
    "registry": "Look into the registry of known models.",
    "app": "Open the app in a browser.",
    "demo": "See it work on bundled models, without a network.",
}


class Commands(click.Group):
    """A group that knows its commands' names and first sentences without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a newcomer meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command ``name`` is what the module ``hub_lineage.cli.name`` calls ``command``."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        found = import_module(f"hub_lineage.cli.{cmd_name}").command
        if not isinstance(found, click.Command):
            raise TypeError(f"{cmd_name} is not a command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="hub-lineage")
def group() -> None:
    """Where a model comes from, told from its weights.

    \b
    Start here:
      hub-lineage demo                       see it work on bundled models
      hub-lineage crawl --author ORG         add an organisation's models to the registry
      hub-lineage trace ORG/MODEL            rank the parents of a model
      hub-lineage app                        the same in a browser
    """
