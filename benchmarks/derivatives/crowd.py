"""Many candidates of one architecture, as on the Hub: trained models, fine-tunes of them, those of these, other revisions.

All are really trained, for a second each, and then kept: ``python -m benchmarks.derivatives.crowd reporting llama 200``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np

from benchmarks.derivatives import models
from benchmarks.derivatives.models import Made
from benchmarks.derivatives.recipes import Recipe, Split, recipes

_STORAGES: Final = ("F32", "BF16", "F16")
_OF_FIVE: Final = ("tuned", "tuned", "tuned", "descendant", "revision")


@dataclass(frozen=True, slots=True)
class Kin:
    """One candidate; ``name`` and ``revision`` are what a registry would call it, its own ID tells it from all others."""

    made: Made
    name: str
    revision: str


@cache
def crowd(split: Split, net: str, count: int) -> tuple[Kin, ...]:
    """So many models of one architecture; those that are missing are trained first."""
    plain = [one for one in models.models(split) if one.net == net]
    found = [Kin(one, one.id, "main") for one in plain]
    for number in range(count - len(plain)):
        found.append(_next(split, plain, found, number))
    return tuple(found[:count])


def _next(split: Split, plain: Sequence[Made], found: Sequence[Kin], number: int) -> Kin:
    """The candidate of a number: what it comes of, on which data, at what rate and in which storage the number decides."""
    drawn = np.random.default_rng([3, number])
    kind = _OF_FIVE[number % len(_OF_FIVE)]
    above = Kin(plain[int(drawn.integers(len(plain)))], "", "") if kind == "tuned" else found[-1 - int(drawn.integers(3))]
    words = sorted({one.data for one in recipes(split) if one.kind == above.made.kind})
    made = Recipe(
        id=f"{above.made.root}-kin-{number}",
        net=above.made.net,
        data=words[int(drawn.integers(len(words)))],
        kind=above.made.kind,
        seed=910_000 + number,
        parent=above.made.id,
        share=int(drawn.integers(3)),
        steps=int(drawn.integers(8, 25)),
        rate=float(10 ** drawn.uniform(-4.0, -2.7)),
        dtype=_STORAGES[int(drawn.integers(3))],
    )
    if kind != "revision":
        return Kin(_kept(split, made, above.made), made.id, "main")
    made = replace(made, steps=4, rate=made.rate / 10, dtype=above.made.dtype)  # trained on for a little
    return Kin(_kept(split, made, above.made), above.name, f"r{number}")


def _kept(split: Split, recipe: Recipe, parent: Made) -> Made:
    place = models.folder(split) / "kin" / f"{recipe.net}-{recipe.id}"
    made = Made(recipe.id, place, recipe.parent, recipe.root, recipe.kind, recipe.net, recipe.dtype)
    if not (place / "model.safetensors").exists():
        _train(recipe, made, parent)
    return made


def _train(recipe: Recipe, made: Made, parent: Made) -> None:
    import torch  # noqa: PLC0415 - seconds of import, only where one is trained

    from benchmarks.derivatives import nets  # noqa: PLC0415 - likewise

    torch.set_num_threads(1)  # one thread, one result
    net = models.load(parent)
    nets.tune(net, recipe)
    half = made.path.with_name(f"{made.path.name}.part")
    shutil.rmtree(half, ignore_errors=True)
    net.to(nets.DTYPES[recipe.dtype]).save_pretrained(half)
    half.rename(made.path)


if __name__ == "__main__":
    for one in crowd("choosing" if sys.argv[1] == "choosing" else "reporting", sys.argv[2], int(sys.argv[3])):
        print(one.name, one.revision, one.made.dtype, one.made.parent or "-")
