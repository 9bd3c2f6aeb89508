"""The trained models of this benchmark, each a folder that transformers wrote, and the writing of what is made from them.

``models()`` trains what isn't there yet and returns all of them; ``python -m benchmarks.derivatives.models`` lists those that
figures are reported of.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.derivatives.processes import spread
from benchmarks.derivatives.recipes import SPLITS, Kind, Recipe, Split, digest, recipe, recipes

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


def folder(split: Split = "choosing") -> Path:
    """Where models of a split's recipes lie."""
    return CACHE / digest(split)


@cache
def _all(split: Split) -> tuple[Made, ...]:
    wanted = {one.id: _made(split, one) for one in recipes(split)}
    with _alone(split):
        roots = {made.root for made in wanted.values() if not _is_there(made)}
        if roots:
            spread(partial(_train_family, split), sorted(roots))
    return tuple(wanted.values())


def models(split: Split = "choosing") -> list[Made]:
    """Every trained model, parents before their children; trained first where they aren't there, two minutes on two cores."""
    return list(_all(split))


def split_of(made: Made) -> Split:
    """The split that a trained model, or what was made of one, belongs to."""
    return next(split for split in SPLITS if any(one.id == made.root for one in recipes(split)))


def model(name: str) -> Made:
    """The trained model of that ID, of whichever split."""
    split = next(split for split in SPLITS if any(one.id == name for one in recipes(split)))
    return next(one for one in _all(split) if one.id == name)


def family(root: str) -> list[Made]:
    """A root and all that comes from it."""
    return [one for one in _all(split_of(model(root))) if one.root == root]


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

    target = folder(split_of(parent)) / "derived" / name
    target.mkdir(parents=True, exist_ok=True)
    kept = json.loads((parent.path / "config.json").read_text()) | dict(config or {})
    (target / "config.json").write_text(json.dumps(kept, indent=1))
    # Copies, since tensors that share memory can't be stored twice.
    save_file({key: value.detach().contiguous().clone() for key, value in changed.items()}, target / "model.safetensors")
    return Made(name, target, parent.id, parent.root, parent.kind, parent.net, parent.dtype)


@contextmanager
def _alone(split: Split) -> Iterator[None]:
    """One process trains at a time, with its own helpers; the others wait and find the models there."""
    folder(split).mkdir(parents=True, exist_ok=True)
    with (folder(split) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _made(split: Split, one: Recipe) -> Made:
    return Made(one.id, folder(split) / one.id, one.parent, one.root, one.kind, one.net, one.dtype)


def _is_there(made: Made) -> bool:
    return (made.path / "model.safetensors").exists()


def _train_family(split: Split, root: str) -> None:
    """Trains what is missing of a family, parents before their children."""
    for one in recipes(split):
        made = _made(split, one)
        if one.root == root and not _is_there(made):
            _train(split, one, made)


def _train(split: Split, one: Recipe, made: Made) -> None:
    import torch  # noqa: PLC0415 - seconds of import, only where one is trained

    from benchmarks.derivatives import nets  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)  # one thread, one result
    net = nets.made(one.net, one.seed) if one.parent is None else load(_made(split, recipe(one.parent)))
    nets.tune(net, one)
    half = made.path.with_name(f"{one.id}.part")
    shutil.rmtree(half, ignore_errors=True)
    net.to(nets.DTYPES[one.dtype]).save_pretrained(half)
    half.rename(made.path)


if __name__ == "__main__":
    for each in models("reporting"):
        print(each.id, each.net, each.dtype, each.parent or "-", each.path)
