"""Quantised copies of small language and vision models in every format: is the source first, and is it said so?

``rows()`` gives the figures. Among the candidates are all siblings, children, parents and other roots of the architecture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.derivatives import models, prints, rounding
from benchmarks.derivatives.models import Made
from benchmarks.results_file import Figure
from hub_lineage.derivation import quantised
from hub_lineage.types import Model

SOURCES = ("", "-near", "-half", "-gentle")
"""The members of each family that are quantised: a root, and fine-tunes in float32 and bfloat16, one of them very near it."""
UNPACKED = ("Q8_0", "Q4_0", "Q4_K", "Q6_K", "NF4", "FP8")
_SUPER = 256

Weights = Mapping[str, NDArray[np.float32]]


def rows(roots: tuple[str, ...] = ()) -> list[Figure]:
    """``quant.source_first`` with its parts, copies that were unpacked again, and claims of sources that aren't known."""
    everyone = models.models()
    chosen = [one for one in everyone if one.parent is None and one.id in (roots or {made.id for made in everyone})]
    right: dict[str, list[bool]] = {}
    unpacked: dict[str, list[bool]] = {}
    false: list[str] = []
    asked = 0
    for made in (one for root in chosen for one in models.family(root.id) if one.id.removeprefix(root.id) in SOURCES):
        known = [prints.model(one) for one in everyone if one.net == made.net]
        for format_, held in copies(made):
            word = format_.split()[0]
            child = prints.child(f"{made.id} {format_}", held, packed=prints.matrices(made), word=word)
            right.setdefault(format_, []).append(_is_right(child, known, made, word))
            others = [one for one in known if one.id != made.id]
            asked += 1
            false += [child.id] if quantised.explain(child, others) is not None else []
            for dtype in ("F16", "BF16"):
                if format_ in UNPACKED:
                    plain = prints.child(f"{made.id} {format_} {dtype}", held, dtype=dtype)
                    unpacked.setdefault(f"unpacked {format_} {dtype}", []).append(_is_right(plain, known, made))
    everything = [one for found in right.values() for one in found]
    by_format = {format_: float(np.mean(found)) for format_, found in (right | unpacked).items()}
    note = f"{len(everything)} copies; claimed where the source isn't known: {len(false)} of {asked} ({', '.join(false)})"
    return [Figure("quant.source_first", float(np.mean(everything)), "share", ">= .98", by_format, note)]


def copies(made: Made) -> Iterator[tuple[str, Weights]]:
    """All weights of a model with the matrices of its blocks rounded, format by format."""
    whole, chosen = prints.weights(made), prints.matrices(made)
    for format_, rounded in rounding.ROUNDINGS.items():
        if not format_.endswith("_K") or all(whole[name].size % _SUPER == 0 for name in chosen):
            held = {name: rounded(whole[name].reshape(len(whole[name]), -1)).reshape(whole[name].shape) for name in chosen}
            yield format_, whole | held
    fed = inputs(made)
    if all(name in fed for name in chosen):  # no kernels, which this format leaves as they are
        yield "GPTQ-4", whole | {name: rounding.gptq(whole[name], fed[name]) for name in chosen}


def inputs(made: Made) -> dict[str, NDArray[np.float32]]:
    """What each linear layer is fed on random inputs, by the name that its weight is stored under, shapes [N, in]."""
    import torch  # noqa: PLC0415 - seconds of import

    net = models.load(made)
    stored = {value.tobytes(): name for name, value in prints.weights(made).items()}  # names in memory may be others
    seen: dict[str, NDArray[np.float32]] = {}

    def watch(name: str) -> Any:
        def hook(_: Any, arguments: tuple[Any, ...]) -> None:
            seen[name] = arguments[0].detach().reshape(-1, arguments[0].shape[-1]).numpy()

        return hook

    for part in net.modules():
        if type(part).__name__ == "Linear":
            part.register_forward_pre_hook(watch(stored[part.weight.detach().numpy().tobytes()]))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        if made.kind == "language":
            net(input_ids=torch.randint(256, (8, 64), generator=generator))
        else:
            side = net.config.image_size if hasattr(net.config, "image_size") else 28
            net(pixel_values=torch.rand((32, 1, side, side), generator=generator))
    return seen


def _is_right(child: Model, known: list[Model], made: Made, word: str | None = None) -> bool:
    found = quantised.explain(child, known)
    if found is None or found.relation != "quantized" or found.parents[0].id != made.id:
        return False
    return word is None or found.method == word


if __name__ == "__main__":
    import sys

    for figure in rows(tuple(sys.argv[1:])):
        print(figure)
