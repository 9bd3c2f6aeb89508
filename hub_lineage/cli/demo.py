"""``hub-lineage demo``: the whole path on bundled models."""

from __future__ import annotations

from pathlib import Path

import click

from hub_lineage import terminal
from hub_lineage.cli.answers import bold
from hub_lineage.cli.app import require_app
from hub_lineage.cli.options import CONTEXT, PORT
from hub_lineage.cli.progress import progress
from hub_lineage.crawl import crawl
from hub_lineage.demo.stage import MODELS, Stage, stage
from hub_lineage.registry import Registry
from hub_lineage.trace import trace


@click.command(context_settings=CONTEXT)
@click.option("--no-app", is_flag=True, help="Stop after the trace in the terminal.")
@PORT
@click.option("--models", type=click.Path(path_type=Path), default=MODELS, hidden=True, help="Other models, in the same layout.")
def command(port: int, models: Path, *, no_app: bool) -> None:
    """See it work: a small Hub on this machine, a crawl, a trace, then the app.

    The models are bundled and really fine-tuned; nothing is asked of any network.

    \b
    Example:
      hub-lineage demo --no-app
    """
    if not no_app:
        require_app()
    with stage(models) as played:
        _say(1, f"A Hub on this machine serves {len(played.models)} small models, really fine-tuned: {played.url}")
        _crawl(played)
        _trace(played, played.examples[0])
        if not no_app:
            _app(played, port)


def _say(step: int, words: str) -> None:
    click.echo(bold(f"{step}. {words}"))


def _crawl(played: Stage) -> None:
    _say(2, "A crawl reads a few kilobytes of each into a registry.")
    with Registry.open(played.registry, write=True) as known, progress() as report:
        done = crawl(known, hub=played.hub, progress=report)
    click.echo(f"   {done.added} models known. {terminal.cost(done.cost)}")


def _trace(played: Stage, child: str) -> None:
    _say(3, f"Where does {child} come from? Its weights tell; what its card says stands beside it.")
    click.echo(f"   $ hub-lineage trace {child}\n")
    with progress() as report:
        found = trace(child, registry=played.registry, hub=played.hub, progress=report)
    click.echo(terminal.render(found, bold=bold))


def _app(played: Stage, port: int) -> None:
    _say(4, "The same in a browser.")
    from hub_lineage.app import launch  # noqa: PLC0415 - gradio comes with an extra and takes seconds to import

    served = launch(registry=played.registry, hub=played.hub, examples=played.examples, port=port)
    click.echo(f"   The app is at {served.address} (Ctrl-C stops it).")
    served.wait()
