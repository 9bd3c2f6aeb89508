"""The wires of the networks that are disguised here, by their customary names: who leaves units on a wire and who takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Weights = dict[str, Array]


@dataclass(frozen=True)
class Wire:
    """Units between layers: ``makers`` and ``takers`` are tensors with the axis and the place at which the units begin there.

    ``head`` is how many units stand together (a head's), 1 where each stands alone. ``linear`` makers may be scaled by any
    positive factor if takers are divided by it; there are none where an activation isn't linear for positive factors.
    """

    size: int
    makers: tuple[tuple[str, int, int], ...]
    takers: tuple[tuple[str, int, int], ...]
    head: int = 1
    linear: tuple[str, ...] = field(default=())


def wires(weights: Mapping[str, Array], heads: int, *, rectified: bool = True) -> list[Wire]:
    """All wires within blocks, whose units may stand in any order (heads as wholes).

    Args:
        weights: A network of the zoo or of this benchmark.
        heads: Attention heads in each block.
        rectified: Whether the activations of its plain layers are linear for positive factors.
    """
    return [*_gated(weights), *_attention(weights, heads), *_expansions(weights), *_plain(weights, rectified=rectified)]


def _with_bias(weights: Mapping[str, Array], name: str, axis: int, start: int = 0) -> list[tuple[str, int, int]]:
    bias = name.removesuffix("weight") + "bias"
    return [(name, axis, start), *([(bias, 0, start)] if bias in weights else [])]


def _gated(weights: Mapping[str, Array]) -> Iterator[Wire]:
    for name in weights:
        if name.endswith("gate_proj.weight"):
            up, down = (name.replace("gate_proj", other) for other in ("up_proj", "down_proj"))
            yield Wire(len(weights[name]), ((name, 0, 0), (up, 0, 0)), ((down, 1, 0),), linear=(up,))


def _attention(weights: Mapping[str, Array], heads: int) -> Iterator[Wire]:
    """Whole heads of a block, then the values' units within all heads as one wire that may be scaled."""
    for name, array in weights.items():
        for query, key, value, out in _PROJECTIONS:
            if name.endswith(query) and len(weights[name.replace(query, key)]) == len(array):
                k, v, o = (name.replace(query, other) for other in (key, value, out))
                made = [part for one in (name, k, v) for part in _with_bias(weights, one, 0)]
                yield Wire(
                    len(array),
                    tuple(made),
                    ((o, 1, 0),),
                    len(array) // heads,
                    linear=tuple(n for n, _, _ in _with_bias(weights, v, 0)),
                )
        if name.endswith(("attn.qkv.weight", "attn.c_attn.weight")):
            axis = 0 if "qkv" in name else 1
            size = array.shape[axis] // 3
            out = name.replace("qkv", "proj").replace("c_attn", "c_proj")
            made = [part for third in range(3) for part in _with_bias(weights, name, axis, third * size)]
            yield Wire(size, tuple(made), ((out, 1 - axis, 0),), size // heads)


_PROJECTIONS = (
    ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.o_proj.weight"),
    ("attention.query.weight", "attention.key.weight", "attention.value.weight", "output.dense.weight"),
)


def _expansions(weights: Mapping[str, Array]) -> Iterator[Wire]:
    """Hidden layers of two-layer perceptrons in transformers; their activations aren't linear."""
    for name, array in weights.items():
        for first, second, axis in (
            ("mlp.0.weight", "mlp.2.weight", 0),
            ("mlp.c_fc.weight", "mlp.c_proj.weight", 1),
            ("intermediate.dense.weight", "output.dense.weight", 0),
        ):
            if name.endswith(first):
                yield Wire(
                    array.shape[axis], tuple(_with_bias(weights, name, axis)), ((name.replace(first, second), 1 - axis, 0),)
                )


def _plain(weights: Mapping[str, Array], *, rectified: bool) -> Iterator[Wire]:
    """From one layer of a perceptron or convolutional network to the next, and inside residual blocks."""
    chain = [name for name in weights if re.match(r"(layers|features|conv)\.\d+\.weight$", name) and weights[name].ndim > 1]
    chain += [name for name in ("head.weight", "classifier.weight") if name in weights and chain]
    pairs = list(pairwise(chain))
    pairs += [(name, name.replace("conv1", "conv2")) for name in weights if re.search(r"\.conv1\.weight$", name)]
    pairs += [
        (name, name.replace("layer.0.conv", "layer.1.conv")) for name in weights if name.endswith("layer.0.convolution.weight")
    ]
    for maker, taker in pairs:
        norm = _norm_after(weights, maker)
        made = [*_with_bias(weights, maker, 0), *((name, 0, 0) for name in norm)]
        moved = [name for name in norm if name.endswith(("weight", "bias"))] or [name for name, _, _ in made]
        yield Wire(len(weights[maker]), tuple(made), ((taker, 1, 0),), linear=tuple(moved) if rectified else ())


def _norm_after(weights: Mapping[str, Array], name: str) -> list[str]:
    """The vectors of the batch norm that follows a convolution."""
    stem = batch_norm(name)
    return [key for key in weights if stem and key.startswith(stem) and weights[key].ndim == 1]


def batch_norm(name: str) -> str:
    """The customary stem of the batch norm that follows a convolution of that name."""
    plain = re.match(r"features\.(\d+)\.weight$", name)
    if plain:
        return f"features.{int(plain[1]) + 1}."
    if name.endswith("convolution.weight"):
        return name.replace("convolution.weight", "normalization.")
    return re.sub(r"conv(\d)\.weight$", r"bn\1.", name) if re.search(r"conv\d\.weight$", name) else ""
