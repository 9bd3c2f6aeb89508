"""``hub-lineage registry``: what the registry holds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from hub_lineage.cli.options import CONTEXT, JSON, REGISTRY
from hub_lineage.registry import Registry, default_folder
from hub_lineage.types import SCHEMA
from hub_lineage.words import amount, one_line


@click.group(context_settings=CONTEXT)
def command() -> None:
    """Look into the registry of known models."""


@command.command("info", context_settings=CONTEXT)
@REGISTRY
@JSON
def info(registry: Path | None, *, as_json: bool) -> None:
    """Say where the registry lies and what it holds.

    \b
    Example:
      hub-lineage registry info --registry ./registry
    """
    folder = registry or default_folder()
    with Registry.open(folder) as known:
        held = known.info()
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "registry": {"folder": str(folder), **asdict(held)}}, indent=2))
        return
    click.echo(f"Registry at {folder}, version {held.version}.")
    click.echo(f"{held.models} models of {held.architectures} architectures, {held.superseded} superseded revisions.")
    click.echo(f"{held.failures} models could not be read. {amount(held.bytes)} on disk.")
    click.echo(f"Last written: {held.last_write or 'never'}.")


@command.command("list", context_settings=CONTEXT)
@REGISTRY
@JSON
def listing(registry: Path | None, *, as_json: bool) -> None:
    """List the models in the registry, one a line.

    \b
    Example:
      hub-lineage registry list | wc -l
    """
    with Registry.open(registry or default_folder()) as known:
        ids = known.ids()
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "models": ids}, indent=2))
        return
    for name in ids:
        click.echo(one_line(name))
