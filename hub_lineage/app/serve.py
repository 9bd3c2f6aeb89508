"""Serving the page on this machine, with everything it needs and no word to another host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr

from hub_lineage.app.desk import Desk, Tracer
from hub_lineage.app.page import build
from hub_lineage.errors import UsageError
from hub_lineage.hub import Hub
from hub_lineage.trace import trace

_SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """System fonts and quiet colours; nothing is fetched."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=_SANS,
        font_mono=_MONO,
    ).set(
        button_primary_background_fill="#0b6e74",
        button_primary_background_fill_hover="#095a5f",
        button_primary_text_color="white",
    )


@dataclass(frozen=True)
class Served:
    """An app that is being served at ``address``."""

    blocks: gr.Blocks
    address: str
    hub: Hub | None = None  # one of its own, to be closed with it

    def wait(self) -> None:
        """Waits until the process is interrupted, then closes."""
        try:
            Event().wait()
        finally:
            self.close()

    def close(self) -> None:
        """Stops serving."""
        self.blocks.close(verbose=False)
        if self.hub:
            self.hub.close()


def launch(
    *,
    registry: Path | None = None,
    hub: Hub | None = None,
    examples: Sequence[str] = (),
    port: int = 7860,
    tracer: Tracer = trace,
    folders: bool = True,
) -> Served:
    """Serves the app until the process ends or it is closed.

    Args:
        registry: The folder of the registry; by default the usual one.
        hub: The Hub that is asked; by default the one at ``HF_ENDPOINT``.
        examples: IDs to click.
        port: Where it listens; 0 picks a free port.
        tracer: What answers; by default :func:`hub_lineage.trace.trace`.
        folders: Whether a visitor may name folders of this machine.
    """
    asked = hub or Hub()
    blocks = build(Desk(tracer, asked, registry, folders), examples)
    blocks.queue(default_concurrency_limit=4)
    try:
        _, address, _ = blocks.launch(**_settings(port), prevent_thread_lock=True)
    except OSError as error:
        raise UsageError(f"Port {port} is taken.", "Choose another one with --port, or 0 for any free one.") from error
    return Served(blocks, str(address), None if hub else asked)


def _settings(port: int) -> dict[str, Any]:
    return {
        "server_port": port or None,
        "theme": theme(),
        "css": files("hub_lineage.app").joinpath("page.css").read_text("utf-8"),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
        "quiet": True,
    }
