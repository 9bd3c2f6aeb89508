"""Pruned models: by magnitude, at random, two of every four, whole rows; as they are cut, and tuned on with zeros held.

``rows()`` gives the figures. All models of the architecture are candidates: children, siblings and parents of the source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.derivatives import models, nets, prints, recipes
from benchmarks.derivatives.models import Made
from benchmarks.derivatives.processes import spread
from benchmarks.derivatives.recipes import Split
from benchmarks.results_file import Figure
from hub_lineage.derivation import LEAST, pruned
from hub_lineage.types import Model

_STEPS, _RATE = 30, 1e-4
_SHARE = re.compile(r"with ([\d.]+)% of the weights")

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer: of which way of pruning, whether it is right, and by how much the told share of zeros is off."""

    source: str
    way: str
    question: str
    right: bool
    off: float | None = None


def rows(split: Split = "reporting") -> list[Figure]:
    """``pruned.source_first`` way by way, the share of zeros, and what is claimed where the source isn't known."""
    models.models(split)
    asked = [one for answers in spread(_asked, recipes.quantised(split)) for one in answers]
    known, absent = ([one for one in asked if one.question == question] for question in ("known", "absent"))
    offs = [one.off for one in known if one.off is not None]
    ways = dict.fromkeys(one.way for one in known)
    shares = {way: float(np.mean([one.right for one in known if one.way == way])) for way in ways}
    wrong = ", ".join(f"{one.source} {one.way}" for one in known if not one.right) or "none"
    false = [f"{one.source} {one.way}" for one in absent if not one.right]
    claimed = f"{len(absent)} whose source isn't known: {', '.join(false) or 'none'}"
    return [
        Figure(
            "pruned.source_first",
            float(np.mean([one.right for one in known])),
            "of models",
            ">= .95",
            shares,
            f"{len(known)}; wrong: {wrong}",
        ),
        Figure(
            "pruned.share_error", float(np.mean(offs)), "mean absolute error", "<= .01", {}, f"share of zeros, {len(offs)} told"
        ),
        Figure("pruned.absent_false", len(false) / len(absent), "of models", "", {}, claimed),
    ]


def smallest(share: float) -> Any:
    """Magnitude pruning, matrix by matrix."""

    def kept(held: Array, _: np.random.Generator) -> Mask:
        kept: Mask = np.abs(held) >= np.quantile(np.abs(held), share)
        return kept

    return kept


def at_random(held: Array, generator: np.random.Generator) -> Mask:
    """Half of all weights, whatever their size."""
    kept: Mask = generator.random(held.shape) >= 0.5
    return kept


def two_of_four(held: Array, _: np.random.Generator) -> Mask:
    """The two smaller of every four neighbours."""
    groups = np.abs(held.reshape(-1, 4))
    kept: Mask = (groups.argsort(axis=1).argsort(axis=1) >= 2).reshape(held.shape)
    return kept


def whole_rows(held: Array, _: np.random.Generator) -> Mask:
    """The quarter of rows that are smallest."""
    norms = np.linalg.norm(held.reshape(len(held), -1), axis=1)
    thin = norms >= np.quantile(norms, 0.25)
    return np.broadcast_to(thin.reshape(-1, *([1] * (held.ndim - 1))), held.shape)


WAYS: Final[Mapping[str, Any]] = {
    "smallest 10 %": smallest(0.1),
    "smallest 30 %": smallest(0.3),
    "smallest 50 %": smallest(0.5),
    "smallest 80 %": smallest(0.8),
    "random half": at_random,
    "two of four": two_of_four,
    "whole rows": whole_rows,
}
"""Which weights of a matrix are kept."""
TUNED: Final = ("smallest 50 %", "two of four")
"""Ways after which a model is tuned on too."""


def _asked(name: str) -> list[Asked]:
    """All that is asked of what one source was pruned to."""
    made = models.model(name)
    known = [prints.model(one) for one in models.models(models.split_of(made)) if one.net == made.net]
    others = [one for one in known if one.id != made.id]
    found = []
    for number, (way, child, share) in enumerate(_children(made)):
        found.append(_known(made, way, child, share, known))
        if number % 2 == len(name) % 2:
            told = pruned.explain(child, others)
            found.append(Asked(made.id, way, "absent", told is None or told.probability < LEAST))
    return found


def _known(made: Made, way: str, child: Model, share: float, known: Sequence[Model]) -> Asked:
    told = pruned.explain(child, known)
    if told is None or told.method != "pruned" or told.parents[0].id != made.id:
        return Asked(made.id, way, "known", right=False)
    said = _SHARE.search(told.summary)
    return Asked(made.id, way, "known", right=True, off=abs(float(said[1]) / 100 - share) if said else math.nan)


def _children(made: Made) -> Iterator[tuple[str, Model, float]]:
    """Each pruned model with the share of zeros in the matrices that were pruned."""
    whole, chosen = prints.weights(made), prints.matrices(made)
    for way, chooses in WAYS.items():
        generator = np.random.default_rng(len(made.id))
        masks = {name: chooses(whole[name], generator) for name in chosen}
        share = 1 - sum(int(mask.sum()) for mask in masks.values()) / sum(mask.size for mask in masks.values())
        held = whole | {name: np.where(mask, whole[name], 0).astype(np.float32) for name, mask in masks.items()}
        yield way, prints.child(f"{made.id} {way}", held, dtype=made.dtype), share
        if way == TUNED[len(made.id) % 2]:
            word = f"{way}, tuned on"
            yield word, prints.child(f"{made.id} {word}", _tuned(made, held, masks)), share


def _tuned(made: Made, held: Mapping[str, Array], masks: Mapping[str, Mask]) -> dict[str, Array]:
    """Trained on for some steps on another half of its data, zeros set again as optimisers of sparse models do."""
    import torch  # noqa: PLC0415 - seconds of import

    root = recipes.recipe(made.root)
    start = models.derived(made, {name: torch.from_numpy(np.array(value)) for name, value in held.items()}, f"pruned-{made.id}")
    net = models.load(start)
    nets.tune(net, replace(root, seed=root.seed + 11, steps=_STEPS, rate=_RATE, share=2))
    tuned = prints.saved(net)
    return {name: np.where(masks[name], value, 0).astype(np.float32) if name in masks else value for name, value in tuned.items()}


if __name__ == "__main__":
    for figure in rows("choosing"):
        print(figure)
