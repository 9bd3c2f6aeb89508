"""The trained models of this benchmark, each a folder that transformers wrote, and the writing of what is made from them.

``models()`` trains what isn't there yet and returns all of them; ``python -m benchmarks.derivatives.models`` lists them.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.derivatives.recipes import Kind, Recipe, digest, recipes

if TYPE_CHECKING:
    from torch import Tensor

CACHE = Path(__file__).parents[1] / "cache" / "derivatives"


@dataclass(frozen=True, slots=True)
class Made:
    """One model on disk: ``path`` is its folder, ``net`` tells which models have one architecture."""

    id: str
    path: Path
    parent: str | None
    root: str
    kind: Kind
    net: str
    dtype: str


def folder() -> Path:
    """Where models of these recipes lie."""
    return CACHE / digest()


@cache
def _all() -> tuple[Made, ...]:
    with _alone():
        return tuple(_trained(recipe) for recipe in recipes())


def models() -> list[Made]:
    """Every trained model, parents before their children; trained first where they aren't there, some minutes on one core."""
    return list(_all())


def model(name: str) -> Made:
    """The trained model of that ID."""
    return next(one for one in _all() if one.id == name)


def family(root: str) -> list[Made]:
    """A root and all that comes from it."""
    return [one for one in _all() if one.root == root]


def load(made: Made) -> Any:
    """The model as its class in transformers, in float32, ready to run or to be tuned on."""
    import transformers  # noqa: PLC0415 - seconds of import, only where one is run
    from torch import float32  # noqa: PLC0415 - likewise

    config = transformers.AutoConfig.from_pretrained(made.path)
    return getattr(transformers, config.architectures[0]).from_pretrained(made.path, dtype=float32).eval()


def tensors(made: Made) -> dict[str, Tensor]:
    """Its weights by name, as they are stored."""
    from safetensors.torch import load_file  # noqa: PLC0415 - brings torch

    return dict(load_file(made.path / "model.safetensors"))


def derived(parent: Made, changed: Mapping[str, Tensor], name: str, *, config: Mapping[str, object] | None = None) -> Made:
    """Writes other weights beside a model's own configuration and returns the new model.

    Args:
        parent: The model whose configuration is copied; it counts as the parent.
        changed: All weights of the new model by name.
        name: Its ID, unlike every other; it may hold slashes.
        config: Entries of the configuration that differ, such as the number of layers.
    """
    import json  # noqa: PLC0415

    from safetensors.torch import save_file  # noqa: PLC0415 - brings torch

    target = folder() / "derived" / name
    target.mkdir(parents=True, exist_ok=True)
    kept = json.loads((parent.path / "config.json").read_text()) | dict(config or {})
    (target / "config.json").write_text(json.dumps(kept, indent=1))
    # Copies, since tensors that share memory can't be stored twice.
    save_file({key: value.detach().contiguous().clone() for key, value in changed.items()}, target / "model.safetensors")
    return Made(name, target, parent.id, parent.root, parent.kind, parent.net, parent.dtype)


@contextmanager
def _alone() -> Iterator[None]:
    """One process trains at a time; the others wait and find the models there."""
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _place(name: str) -> Path:
    return folder() / name


def _trained(recipe: Recipe) -> Made:
    made = Made(recipe.id, _place(recipe.id), recipe.parent, recipe.root, recipe.kind, recipe.net, recipe.dtype)
    if not (made.path / "model.safetensors").exists():
        _train(recipe, made)
    return made


def _train(recipe: Recipe, made: Made) -> None:
    import torch  # noqa: PLC0415 - seconds of import, only where one is trained

    from benchmarks.derivatives import nets  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)  # one thread, one result
    if recipe.parent is None:
        net = nets.made(recipe.net, recipe.seed)
    else:
        net = load(Made(recipe.parent, _place(recipe.parent), None, recipe.root, recipe.kind, recipe.net, "F32"))
    nets.tune(net, recipe)
    half = made.path.with_name(f"{recipe.id}.part")
    shutil.rmtree(half, ignore_errors=True)
    net.to(nets.DTYPES[recipe.dtype]).save_pretrained(half)
    half.rename(made.path)


if __name__ == "__main__":
    for one in models():
        print(one.id, one.net, one.dtype, one.parent or "-", one.path)
