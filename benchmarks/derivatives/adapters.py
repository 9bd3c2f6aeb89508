"""Adapters of ranks 2 to 64, trained by peft: kept apart or merged in; whose base is it, and of what rank?

``rows()`` gives the figures. The base's children, siblings and strangers are candidates too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.derivatives import models, nets, prints, recipes
from benchmarks.derivatives.models import Made
from benchmarks.derivatives.processes import spread
from benchmarks.derivatives.recipes import Split
from benchmarks.results_file import Figure
from hub_lineage.derivation import LEAST, adapter, low_rank
from hub_lineage.types import Model

RANKS = (2, 4, 8, 16, 32, 64)
TARGETS: Mapping[str, tuple[str, ...]] = {
    "language": ("q_proj", "v_proj", "up_proj", "c_attn", "c_fc", "query_key_value", "dense_h_to_4h"),
    "vision": ("query", "value", "q_proj", "v_proj", "fc1", "dense", "pwconv1"),
}
NETS = ("llama", "llama-tied", "neox", "vit", "vit-deep", "convnext")
"""Architectures whose linear layers peft adapts."""
_STEPS = 40
_RATE = 2e-3
_RANK = re.compile(r"by rank (\d+) ")

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Adapted:
    """One adapter of a trained model: what it adds by the base's names, and the base with it merged in."""

    base: Made
    rank: int
    adds: Weights
    merged: Weights

    def apart(self, declared: str | None = None) -> Model:
        """The adapter as a model of its own."""
        name = f"{self.base.id} adapter {self.rank}"
        return prints.child(name, self.adds, packed=set(self.adds), word=f"LORA-{self.rank}", declared=declared)

    def inside(self, dtype: str = "F32", *, full: bool = False) -> Model:
        """The base with the adapter merged in."""
        return prints.child(f"{self.base.id} merged {self.rank} {dtype}", self.merged, dtype=dtype, full=full)


def adapted(base: Made, rank: int, seed: int = 0) -> Adapted:
    """An adapter trained on another half of the data of the base's own kind, by peft, with its merge."""
    import torch  # noqa: PLC0415 - seconds of import
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - likewise

    torch.manual_seed(1000 + 100 * rank + seed)
    torch.set_num_threads(1)
    net = models.load(base)
    names = {name.rpartition(".")[2] for name, part in net.named_modules() if _is_linear(part)}
    chosen = [name for name in TARGETS[base.kind] if name in names]
    wrapped: Any = get_peft_model(net, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=chosen))
    recipe = recipes.recipe(base.id)
    nets.tune(wrapped, replace(recipe, seed=recipe.seed + rank + seed, steps=_STEPS, rate=_RATE, share=1 + seed % 2))
    deltas = {
        name: part.get_delta_weight("default").detach().clone()
        for name, part in wrapped.base_model.model.named_modules()
        if hasattr(part, "lora_A")
    }
    net = wrapped.merge_and_unload()
    merged = prints.saved(net)
    with torch.no_grad():
        for name, part in net.named_modules():
            if _is_linear(part):
                part.weight.copy_(deltas.get(name, torch.zeros_like(part.weight)))
    changed = prints.saved(net)
    before = prints.weights(base)
    adds = {name: changed[name] for name in before if name in changed and not np.array_equal(merged[name], before[name])}
    return Adapted(base, rank, adds, merged)


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer about an adapter of a rank: of which kind, whether it is right, and the rank that was told (0 for none)."""

    kind: str
    rank: int
    right: bool
    told: int = 0


def rows(split: Split = "reporting") -> list[Figure]:
    """Adapters apart and declared, and merged in: whose they are, and their ranks."""
    models.models(split)
    asked = [one for answers in spread(_asked, _cases(split)) for one in answers]
    return [*_apart(asked), *_inside(asked)]


def _apart(asked: Sequence[Asked]) -> Iterator[Figure]:
    apart, said = ([one for one in asked if one.kind.startswith(kind)] for kind in ("apart", "declared"))
    alone = [one for one in asked if one.kind == "alone"]
    note = f"{len(apart)} adapters, declaration hidden; named without a merge known: {sum(not one.right for one in alone)}"
    yield Figure("adapter.base_first", _share(apart), "of adapters", ">= .95", _by_rank(apart), note)
    kinds = {kind.removeprefix("declared "): _share([one for one in said if one.kind == kind]) for kind in _kinds(said)}
    yield Figure(
        "adapter.declared",
        _share(said),
        "of declarations",
        ">= .95",
        kinds,
        f"{len(said)} declarations: true, false, no merge known",
    )


def _inside(asked: Sequence[Asked]) -> Iterator[Figure]:
    merged = [one for one in asked if one.kind.startswith("merged")]
    kinds = {kind: _share([one for one in merged if one.kind == kind]) for kind in _kinds(merged)}
    yield Figure(
        "low_rank.base_first", _share(merged), "of models", "", kinds | _by_rank(merged), f"{len(merged)} merged-in adapters"
    )
    errors = {kind: [abs(one.told - one.rank) for one in merged if one.kind == kind and one.right] for kind in _kinds(merged)}
    everything = [error for found in errors.values() for error in found]
    means = {kind: float(np.mean(found)) for kind, found in errors.items() if found}
    exact = f"exact in {np.mean([error == 0 for error in everything]):.3f} of {len(everything)} whose base is right"
    yield Figure("low_rank.rank_error", float(np.mean(everything)), "mean absolute error", "", means, exact)
    absent = [one for one in asked if one.kind == "absent"]
    yield Figure(
        "low_rank.absent_false",
        1 - _share(absent),
        "of models",
        "",
        {},
        f"{len(absent)} merged-in adapters whose base isn't known",
    )


def _share(asked: Sequence[Asked]) -> float:
    return float(np.mean([one.right for one in asked]))


def _kinds(asked: Sequence[Asked]) -> list[str]:
    return list(dict.fromkeys(one.kind for one in asked))


def _by_rank(asked: Sequence[Asked]) -> dict[str, float]:
    return {f"rank {rank}": _share([one for one in asked if one.rank == rank]) for rank in sorted({one.rank for one in asked})}


def _cases(split: Split) -> list[tuple[str, int]]:
    """Bases with ranks: roots with every other rank, fine-tunes with one."""
    bases = [one for one in models.models(split) if one.net in NETS]
    tuned = [one for one in bases if one.parent == one.root and one.id in recipes.quantised(split)]
    some = [(one.id, RANKS[i % len(RANKS)]) for i, one in enumerate(tuned)]
    roots = [one for one in bases if one.parent is None]
    return [*((one.id, rank) for i, one in enumerate(roots) for rank in RANKS[i % 2 :: 2]), *some]


def _asked(case: tuple[str, int]) -> list[Asked]:
    """What is asked of one adapter; all models of its base's architecture are known."""
    name, rank = case
    base = models.model(name)
    known = [one for one in models.models(models.split_of(base)) if one.net == base.net]
    one = adapted(base, rank)
    return [*_of_apart(one, known), *(_of_inside(one, known) if _is_thin(one) else ())]


def _is_thin(one: Adapted) -> bool:
    """Whether what was added is of low rank at all, in networks so narrow."""
    return all(2 * one.rank <= min(len(held), held[0].size) for held in one.adds.values())


def _of_apart(one: Adapted, known: Sequence[Made]) -> Iterator[Asked]:
    there, inside = [prints.model(made) for made in known], one.inside()
    found = adapter.explain(one.apart(), [*there, inside])
    yield Asked("apart", one.rank, found is not None and found.parents[0].id == one.base.id)
    yield Asked("alone", one.rank, adapter.explain(one.apart(), there) is None)
    other = next(made.id for made in known if made.id != one.base.id)
    answers = {
        "true": (adapter.declared(one.apart(one.base.id), [*there, inside])[0], "confirmed"),
        "false": (adapter.declared(one.apart(other), [*there, inside])[0], "contradicted"),
        "no merge known": (adapter.declared(one.apart(one.base.id), there)[0], "unverifiable"),
    }
    for kind, (answer, right) in answers.items():
        yield Asked(f"declared {kind}", one.rank, answer == right)


def _of_inside(one: Adapted, known: Sequence[Made]) -> Iterator[Asked]:
    """Merged in, at depth full: whole rows are known there."""
    whole = [prints.model(made, full=True) for made in known]
    for dtype in ("F32", "BF16"):
        found = low_rank.explain(one.inside(dtype, full=True), whole)
        right = found is not None and found.relation == "adapter" and found.parents[0].id == one.base.id
        told = _RANK.search(found.summary) if found is not None else None
        yield Asked(f"merged {dtype}", one.rank, right, int(told[1]) if told else 0)
    found = low_rank.explain(one.inside(full=True), [model for model in whole if model.id != one.base.id])
    yield Asked("absent", one.rank, found is None or found.probability < LEAST)


def _is_linear(part: Any) -> bool:
    return type(part).__name__ in {"Linear", "Conv1D"}


if __name__ == "__main__":
    for figure in rows("choosing"):
        print(figure)
