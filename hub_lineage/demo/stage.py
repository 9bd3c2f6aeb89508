"""What the demonstration plays on: a Hub on loopback with the bundled models, a client, and an empty registry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hub_lineage.errors import NotFound
from hub_lineage.hub import Hub
from hub_lineage.testing import LoopbackHub

MODELS: Final = Path(__file__).parent / "models"
_EXAMPLES = 6


@dataclass(frozen=True, slots=True)
class Bundled:
    """One model of ``models/index.json``; its files lie in a folder named ``org__name``."""

    id: str
    created_at: str
    downloads: int = 0
    example: bool = False  # whether it is offered to click; the first one is traced in the terminal

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return self.id.replace("/", "__")


@dataclass(frozen=True, slots=True)
class Stage:
    """A Hub that is running, and what to ask of it."""

    url: str
    hub: Hub
    registry: Path
    models: tuple[Bundled, ...]

    @property
    def examples(self) -> list[str]:
        """IDs worth asking about: those marked, otherwise the youngest, which have most ancestors."""
        marked = [model.id for model in self.models if model.example]
        youngest = sorted(self.models, key=lambda model: model.created_at, reverse=True)
        return (marked or [model.id for model in youngest])[:_EXAMPLES]


def bundled(folder: Path = MODELS) -> tuple[Bundled, ...]:
    """The models that come with the package."""
    index = folder / "index.json"
    if not index.is_file():
        raise NotFound("The models of the demonstration aren't here.", "Install hub-lineage anew: they come with it.")
    return tuple(
        Bundled(each["id"], each["created_at"], each.get("downloads", 0), example=each.get("example", False))
        for each in json.loads(index.read_text("utf-8"))
    )


@contextmanager
def stage(folder: Path = MODELS) -> Iterator[Stage]:
    """Serves the models until it is left; the registry goes with it."""
    models = bundled(folder)
    with LoopbackHub() as server, Hub(server.url, token=False) as hub, TemporaryDirectory(prefix="hub-lineage-demo-") as scratch:
        serve(server, models, folder)
        yield Stage(server.url, hub, Path(scratch) / "registry", models)


def serve(server: LoopbackHub, models: Sequence[Bundled], folder: Path = MODELS) -> None:
    """Puts models on a Hub on loopback."""
    for model in models:
        server.add_repo(model.id, folder=folder / model.folder, created_at=model.created_at, downloads=model.downloads)
