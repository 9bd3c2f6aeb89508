"""``hub-lineage app``: the app on this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from hub_lineage.cli.options import CONTEXT, PORT, REGISTRY
from hub_lineage.errors import UsageError


@click.command(context_settings=CONTEXT)
@PORT
@REGISTRY
def command(port: int, registry: Path | None) -> None:
    """Open the app in a browser, by default at http://127.0.0.1:7860.

    \b
    Example:
      hub-lineage app --port 7861 --registry ./registry
    """
    require_app()
    from hub_lineage.app import launch  # noqa: PLC0415 - gradio comes with an extra and takes seconds to import

    served = launch(registry=registry, port=port)
    click.echo(f"The app is at {served.address} (Ctrl-C stops it).")
    served.wait()


def require_app() -> None:
    """Raises a UsageError that names the pip command where the app's extra is absent."""
    if find_spec("gradio") is None:
        raise UsageError("The app needs an extra that isn't installed.", "Install it with: pip install 'hub-lineage[app]'")
