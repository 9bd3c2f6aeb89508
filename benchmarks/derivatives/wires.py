"""The wires of the networks that are disguised here, by their customary names: who leaves units on a wire and who takes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Weights = dict[str, Array]
_GROUPS: Final = 4  # of the zoo's group norms


class End(NamedTuple):
    """Where the units of a wire stand in a tensor: so many along an axis, from a place on."""

    name: str
    axis: int
    start: int
    length: int


@dataclass(frozen=True)
class Wire:
    """Units between layers, left there by ``makers`` and taken by ``takers``.

    They stand in ``count`` blocks, which move as wholes: single units, groups, or heads. ``kind`` is ``units`` within a block
    of a network, ``heads``, ``within`` for the units inside heads, which move in their head alone, or ``stream`` for what runs
    through many blocks. ``scaled`` makers may be multiplied by any positive factor if takers are divided by it; there are none
    where an activation isn't linear for positive factors.
    """

    kind: Literal["units", "heads", "within", "stream"]
    count: int
    makers: tuple[End, ...]
    takers: tuple[End, ...]
    scaled: tuple[End, ...] = ()


def wires(weights: Mapping[str, Array], heads: int, *, rectified: bool = True) -> list[Wire]:
    """All wires within blocks, whose units may stand in any order (heads as wholes).

    Args:
        weights: A network of the zoo or of this benchmark.
        heads: Attention heads in each block.
        rectified: Whether the activations of its plain layers are linear for positive factors.
    """
    found = [*_gated(weights), *_projections(weights, heads), *_fused(weights, heads), *_expansions(weights)]
    return [*found, *_plain(weights, rectified=rectified)]


def _end(weights: Mapping[str, Array], name: str, axis: int) -> End:
    return End(name, axis, 0, weights[name].shape[axis])


def with_bias(weights: Mapping[str, Array], name: str, axis: int) -> list[End]:
    """Where the units that a layer makes stand: along an axis of its weight, and in its bias where it has one."""
    bias = name.removesuffix("weight") + "bias"
    return [_end(weights, name, axis), *([_end(weights, bias, 0)] if bias in weights else [])]


def _gated(weights: Mapping[str, Array]) -> Iterator[Wire]:
    for name in weights:
        if name.endswith("gate_proj.weight"):
            gate, up = _end(weights, name, 0), _end(weights, name.replace("gate_proj", "up_proj"), 0)
            down = _end(weights, name.replace("gate_proj", "down_proj"), 1)
            yield Wire("units", gate.length, (gate, up), (down,), (up,))


_PROJECTIONS: Final = (
    ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.o_proj.weight"),
    (
        "attention.attention.query.weight",
        "attention.attention.key.weight",
        "attention.attention.value.weight",
        "attention.output.dense.weight",
    ),
)


def _projections(weights: Mapping[str, Array], heads: int) -> Iterator[Wire]:
    """Heads, with the queries that share a key as one, and the units of values within them, where each has a key of its own."""
    for name in weights:
        for query, key, value, out in _PROJECTIONS:
            if name.endswith(query):
                made = [with_bias(weights, name.replace(query, other), 0) for other in (query, key, value)]
                taken = _end(weights, name.replace(query, out), 1)
                count = heads * made[1][0].length // made[0][0].length
                yield Wire("heads", count, tuple(end for ends in made for end in ends), (taken,))
                if count == heads:
                    yield Wire("within", count, tuple(made[2]), (taken,), tuple(made[2]))


def _fused(weights: Mapping[str, Array], heads: int) -> Iterator[Wire]:
    for name, array in weights.items():
        if name.endswith(("attn.qkv.weight", "attn.c_attn.weight")):
            axis = 0 if "qkv" in name else 1
            size = array.shape[axis] // 3
            out = _end(weights, name.replace("qkv", "proj").replace("c_attn", "c_proj"), 1 - axis)
            thirds = [[end._replace(start=i * size, length=size) for end in with_bias(weights, name, axis)] for i in range(3)]
            yield Wire("heads", heads, tuple(end for third in thirds for end in third), (out,))
            yield Wire("within", heads, tuple(thirds[2]), (out,), tuple(thirds[2]))


def _expansions(weights: Mapping[str, Array]) -> Iterator[Wire]:
    """Hidden layers of two-layer perceptrons in transformers; their activations aren't linear."""
    for name in weights:
        for first, second, axis in (
            ("mlp.0.weight", "mlp.2.weight", 0),
            ("mlp.c_fc.weight", "mlp.c_proj.weight", 1),
            ("intermediate.dense.weight", "output.dense.weight", 0),
        ):
            if name.endswith(first):
                made = with_bias(weights, name, axis)
                yield Wire("units", made[0].length, tuple(made), (_end(weights, name.replace(first, second), 1 - axis),))


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
        made = normed(weights, maker)
        gains = [end for end in made if end.name.startswith(batch_norm(maker) or "-") and end.name.endswith(("weight", "bias"))]
        scaled = gains or with_bias(weights, maker, 0)
        yield Wire("units", blocks(weights, maker), tuple(made), (_end(weights, taker, 1),), tuple(scaled) if rectified else ())


def normed(weights: Mapping[str, Array], name: str) -> list[End]:
    """Where the channels that a layer makes stand: in its weight, its bias, and the vectors of the batch norm after it."""
    stem = batch_norm(name)
    vectors = [key for key in weights if stem and key.startswith(stem) and weights[key].ndim == 1]
    return [*with_bias(weights, name, 0), *(_end(weights, key, 0) for key in vectors)]


def blocks(weights: Mapping[str, Array], name: str) -> int:
    """In how many blocks the channels of a layer move: each by itself or, before a group norm, a group at a time."""
    stem = batch_norm(name)
    grouped = stem and f"{stem}weight" in weights and f"{stem}running_var" not in weights
    return _GROUPS if grouped else len(weights[name])


def batch_norm(name: str) -> str:
    """The customary stem of the norm that follows a convolution of that name; empty where none does."""
    plain = re.match(r"features\.(\d+)\.weight$", name)
    if plain:
        return f"features.{int(plain[1]) + 1}."
    if name.endswith("convolution.weight"):
        return name.replace("convolution.weight", "normalization.")
    return re.sub(r"conv(\d)\.weight$", r"bn\1.", name) if re.search(r"conv\d\.weight$", name) else ""
