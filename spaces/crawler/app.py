"""The receiver of a webhook as a Space starts it: new commits of watched authors are crawled into a registry.

Settings, from the environment:

- ``WEBHOOK_SECRET``: what the Hub sends along; without it nothing starts.
- ``WATCHED``: the authors, with commas between them.
- ``HUB_LINEAGE_STORE``: a dataset that keeps the registry, which ``HF_TOKEN`` may write; without it, the usual folder does.
- ``QUIET``: seconds without news of a model after which it is crawled; 120 by default.
"""  # noqa: INP001 - a Space's folder is no package

import json
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from huggingface_hub import HfApi, WebhooksServer
from watch import Watch, changed_model

from hub_lineage.cli import main
from hub_lineage.cli.schedule import kept
from hub_lineage.errors import LineageError
from hub_lineage.registry import default_folder
from hub_lineage.trace import trace

OWN = "hub-lineage"  # this project's commits change cards, never weights, and have this in their titles
LARGEST = 1_000_000  # bytes of a payload


def say(words: str) -> None:
    """A line of the Space's log."""
    print(words, flush=True)  # noqa: T201 - a Space's log is its standard output


class Crawler:
    """The work: crawls some models into the registry and tells where each comes from."""

    def __init__(self, store: str | None) -> None:
        self._store = store
        self._api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"))

    def __call__(self, models: Sequence[str]) -> None:
        """Crawl the models, save those whose newest commit is this project's own."""
        news = [name for name in models if not self._own(name)]
        if not news:
            return
        with ExitStack() as stack:
            folder = stack.enter_context(kept(self._store)) if self._store else default_folder()
            listed = Path(stack.enter_context(TemporaryDirectory())) / "models.txt"
            listed.write_text("\n".join(news), "utf-8")
            status = main(["crawl", "--ids-file", str(listed), "--registry", str(folder)])
            say(f"Crawled {', '.join(news)}: exit status {status}.")
            for name in news:
                self._trace(name, folder)

    def _own(self, name: str) -> bool:
        newest = self._api.list_repo_commits(name)[:1]
        return bool(newest) and OWN in newest[0].title

    def _trace(self, name: str, folder: Path) -> None:
        try:
            say(f"{name}: {trace(name, registry=folder).verdict.summary}")
        except LineageError as error:
            say(f"{name}: {error}")


async def body_of(request: Request) -> dict[str, object] | None:
    """The payload of a call; None where it is too large or no object of JSON."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            return None
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def receiver(watch: Watch, authors: frozenset[str], secret: str) -> WebhooksServer:
    """The server: it checks the secret before it reads, answers at once, and leaves the work to the watch."""
    with gr.Blocks(title="hub-lineage crawler", analytics_enabled=False) as page:
        gr.Markdown(f"# hub-lineage crawler\n\nNew models of {', '.join(sorted(authors))} are read into a registry.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the client calls its server an experiment
        server = WebhooksServer(ui=page, webhook_secret=secret)

    @server.add_webhook("/models")
    async def models(request: Request) -> JSONResponse:
        payload = await body_of(request)
        if payload is None:
            return JSONResponse({"error": "This is no payload of a webhook."}, status_code=400)
        name = changed_model(payload, authors)
        outcome = watch.add(name) if name else "ignored"
        return JSONResponse({"outcome": outcome}, status_code=503 if outcome == "full" else 200)

    return server


def start() -> int:
    """Serve until the process ends; says what is missing where something is."""
    secret = os.environ.get("WEBHOOK_SECRET", "")
    authors = frozenset(name.strip() for name in os.environ.get("WATCHED", "").split(",")) - {""}
    if not secret or not authors:
        say("Set WEBHOOK_SECRET and WATCHED among the Space's settings: without a secret anyone could start work here.")
        return 2
    watch = Watch(Crawler(os.environ.get("HUB_LINEAGE_STORE")), quiet=float(os.environ.get("QUIET", "120")), tell=say)
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    receiver(watch, authors, secret).launch(share=False, ssr_mode=False, server_port=port)
    return 0


if __name__ == "__main__":
    sys.exit(start())
