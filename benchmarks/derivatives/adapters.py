"""Adapters of ranks 2 to 64, trained by peft: kept apart, merged in, and pruned models beside them; whose base is it?

``rows()`` gives the figures. The base's children, siblings and strangers are candidates too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from benchmarks.derivatives import models, nets, prints
from benchmarks.derivatives.models import Made
from benchmarks.derivatives.recipes import recipes
from benchmarks.results_file import Figure
from hub_lineage.derivation import adapter, low_rank
from hub_lineage.types import Model

RANKS = (2, 4, 8, 16, 32, 64)
TARGETS: Mapping[str, tuple[str, ...]] = {
    "language": ("q_proj", "v_proj", "up_proj", "c_attn", "c_fc"),
    "vision": ("query", "value", "q_proj", "v_proj", "fc1", "dense"),
}
_STEPS = 40
_RATE = 2e-3
_THIN = 32  # half the width of these networks

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
    recipe = next(one for one in recipes() if one.id == base.id)
    nets.tune(wrapped, replace(recipe, seed=recipe.seed + rank + seed, steps=_STEPS, rate=_RATE, share=1 + seed % 2))
    deltas = {
        name: part.get_delta_weight("default").detach().clone()
        for name, part in wrapped.base_model.model.named_modules()
        if hasattr(part, "lora_A")
    }
    net = wrapped.merge_and_unload()
    merged = _stored(net)
    with torch.no_grad():
        for name, part in net.named_modules():
            if _is_linear(part):
                part.weight.copy_(deltas.get(name, torch.zeros_like(part.weight)))
    changed = _stored(net)
    before = prints.weights(base)
    adds = {name: changed[name] for name in before if name in changed and not np.array_equal(merged[name], before[name])}
    return Adapted(base, rank, adds, merged)


def _stored(net: Any) -> dict[str, NDArray[np.float32]]:
    """Its weights by the names that transformers stores them under."""
    with tempfile.TemporaryDirectory() as folder:
        net.save_pretrained(folder)
        return dict(load_file(Path(folder) / "model.safetensors"))


def rows(ranks: tuple[int, ...] = RANKS) -> list[Figure]:
    """``adapter.base_first`` with its parts beside it."""
    first: dict[str, list[bool]] = {"apart": [], "merged F32": [], "merged BF16": [], "declared": [], "false": [], "rank": []}
    for one, known in _cases(ranks):
        for kind, right in _judged(one, known):
            first[kind].append(right)
    shares = {kind: float(np.mean(found)) for kind, found in first.items() if found}
    wrong = shares.pop("false", 0.0)
    note = f"{len(first['apart'])} adapters of ranks {min(ranks)} to {max(ranks)}; plain fine-tunes claimed {wrong:.3f}"
    return [Figure("adapter.base_first", shares.pop("apart"), "share", ">= .95", shares, note)]


def _cases(ranks: tuple[int, ...]) -> Iterator[tuple[Adapted, list[Made]]]:
    """Adapters of roots and of fine-tunes, each with all models of its architecture."""
    everyone = models.models()
    for i, rank in enumerate(ranks):
        for base in everyone:
            wanted = base.parent is None or base.id.endswith(("-near", "-half"))
            if wanted and base.net in {"llama", "llama-tied", "vit", "vit-deep"} and (base.parent is None or i % 2 == 0):
                yield adapted(base, rank), [one for one in everyone if one.net == base.net]


def _judged(one: Adapted, known: list[Made]) -> Iterator[tuple[str, bool]]:
    there = [prints.model(made) for made in known]
    inside = one.inside()
    found = adapter.explain(one.apart(), [*there, inside])
    yield "apart", found is not None and found.parents[0].id == one.base.id
    other = next(made.id for made in known if made.id != one.base.id)
    truth = adapter.declared(one.apart(one.base.id), [*there, inside])[0]
    lie = adapter.declared(one.apart(other), [*there, inside])[0]
    alone = adapter.declared(one.apart(one.base.id), there)[0]
    yield "declared", (truth, lie, alone) == ("confirmed", "contradicted", "unverifiable")
    yield "false", adapter.explain(one.apart(), there) is not None
    if one.rank > _THIN:  # of full rank in networks so narrow
        return
    whole = [prints.model(made, full=True) for made in known]
    for dtype in ("F32", "BF16"):
        found = low_rank.explain(one.inside(dtype, full=True), whole)
        yield f"merged {dtype}", found is not None and found.parents[0].id == one.base.id
        if dtype == "F32":
            yield "rank", found is not None and f"by rank {one.rank} " in found.summary


def _is_linear(part: Any) -> bool:
    return type(part).__name__ in {"Linear", "Conv1D"}


def false_claims() -> Iterator[tuple[str, bool]]:
    """Plain fine-tunes, each with whether a low-rank difference from any other model is claimed."""
    everyone = models.models()
    for made in everyone:
        others = [prints.model(one) for one in everyone if one.net == made.net and one.id != made.id]
        yield made.id, low_rank.explain(prints.model(made), others) is not None


if __name__ == "__main__":
    for figure in rows():
        print(figure)
    print([name for name, claimed in false_claims() if claimed])
