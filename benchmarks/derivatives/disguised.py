"""Networks in disguise: changes of weights that keep what is computed, but for noise, each alone and all at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.derivatives.streams import streams
from benchmarks.derivatives.wires import Array, End, Weights, batch_norm, wires

_EPSILON = 1e-5
_NOISE = 0.02
"""Of a tensor's own spread."""


class Subject:
    """A network to disguise: its weights, attention heads, and whether its plain layers are rectified."""

    def __init__(self, weights: Mapping[str, Array], heads: int, *, rectified: bool = True, seed: int = 0) -> None:
        self.weights: Weights = {name: np.array(array, dtype=np.float32) for name, array in weights.items()}
        self.wires = [*wires(self.weights, heads, rectified=rectified), *streams(self.weights)]
        self.random = np.random.default_rng(seed)


def neurons(subject: Subject) -> None:
    """Hidden units and channels within blocks in another order."""
    _reordered(subject, "units")


def heads(subject: Subject) -> None:
    """Heads in another order, whole."""
    _reordered(subject, "heads")


def within_heads(subject: Subject) -> None:
    """The units of values in another order within each head."""
    for wire in subject.wires:
        if wire.kind == "within":
            ends = (*wire.makers, *wire.takers)
            head = ends[0].length // wire.count
            order = np.concatenate([start + subject.random.permutation(head) for start in range(0, ends[0].length, head)])
            for end in ends:
                _take(subject.weights, end, order)


def streamed(subject: Subject) -> None:
    """The channels of residual streams in another order, in all tensors along them."""
    _reordered(subject, "stream")


def rescaled(subject: Subject) -> None:
    """Gains moved from one layer to the next, between a half and the double."""
    for wire in subject.wires:
        if wire.scaled:
            gains = np.exp(subject.random.uniform(-0.7, 0.7, wire.scaled[0].length)).astype(np.float32)
            for end in wire.scaled:
                _scale(subject.weights, end, gains)
            for end in wire.takers:
                _scale(subject.weights, end, np.reciprocal(gains))


def folded(subject: Subject) -> None:
    """Batch norms folded into their convolutions and gone; gains of other norms multiplied into what reads them, then 1."""
    _fold_batch_norms(subject.weights)
    _fold_gains(subject.weights)


def fused(subject: Subject) -> None:
    """Queries, keys and values in one tensor, gates and ups likewise; split where they were fused."""
    weights = subject.weights
    for name in list(weights):
        for group, joined in _FUSED:
            if name.endswith(group[0]) and all(name.replace(group[0], other) in weights for other in group):
                whole = np.concatenate([weights.pop(name.replace(group[0], other)) for other in group])
                weights[name.replace(group[0], joined)] = whole
        if re.search(r"attn\.(qkv|c_attn)\.(weight|bias)$", name):
            whole = weights.pop(name)
            axis = 1 if "c_attn" in name and whole.ndim == 2 else 0
            for part, values in zip("qkv", np.split(whole, 3, axis), strict=True):
                weights[re.sub("qkv|c_attn", part, name)] = values


def transposed(subject: Subject) -> None:
    """Matrices stored the other way round, kernels before channels."""
    for name, array in subject.weights.items():
        if array.ndim in {2, 4}:
            turned = array.T if array.ndim == 2 else array.transpose(2, 3, 1, 0)
            subject.weights[name] = np.ascontiguousarray(turned)


def noisy(subject: Subject) -> None:
    """A little noise on every weight."""
    for name, array in subject.weights.items():
        noise = subject.random.standard_normal(array.shape) * (_NOISE * array.std())
        subject.weights[name] = (array + noise).astype(np.float32)


def untied(subject: Subject) -> None:
    """Tied vocabulary and head stored apart."""
    embedding = next((name for name in subject.weights if re.search(r"(embed_tokens|wte)\.weight$", name)), None)
    if embedding and "lm_head.weight" not in subject.weights:
        subject.weights["lm_head.weight"] = subject.weights[embedding].copy()


def renamed(subject: Subject) -> None:
    """Every tensor under a name that says nothing, in an order that says nothing."""
    old = list(subject.weights.items())
    subject.weights = {f"t{i}": old[place][1] for i, place in enumerate(subject.random.permutation(len(old)))}


def all_at_once(subject: Subject) -> None:
    """All of the above, one after another."""
    for disguise in DISGUISES.values():
        if disguise is not all_at_once:
            disguise(subject)


DISGUISES: Final[Mapping[str, Callable[[Subject], None]]] = {
    "neurons": neurons,
    "heads": heads,
    "within heads": within_heads,
    "stream": streamed,
    "rescaled": rescaled,
    "folded": folded,
    "fused": fused,
    "transposed": transposed,
    "untied": untied,
    "noisy": noisy,
    "renamed": renamed,
    "all": all_at_once,
}
"""Every disguise by its word; in the order in which all of them are put on."""

_FUSED: Final = tuple(
    ([f"{part}.{kind}" for part in group], f"{joined}.{kind}")
    for kind in ("weight", "bias")
    for group, joined in (
        (("q_proj", "k_proj", "v_proj"), "qkv_proj"),
        (("attention.query", "attention.key", "attention.value"), "attention.qkv"),
        (("gate_proj", "up_proj"), "gate_up_proj"),
    )
)


def _reordered(subject: Subject, kind: str) -> None:
    for wire in subject.wires:
        if wire.kind == kind:
            order = subject.random.permutation(wire.count)
            for end in (*wire.makers, *wire.takers):
                block = end.length // wire.count
                _take(subject.weights, end, (order[:, None] * block + np.arange(block)).ravel())


def _take(weights: Weights, end: End, order: NDArray[np.intp]) -> None:
    array = weights[end.name]
    whole = np.arange(array.shape[end.axis])
    whole[end.start : end.start + end.length] = end.start + order
    weights[end.name] = np.ascontiguousarray(array.take(whole, end.axis))


def _scale(weights: Weights, end: End, gains: Array) -> None:
    array = weights[end.name]
    whole = np.ones(array.shape[end.axis], np.float32)
    whole[end.start : end.start + end.length] = gains
    weights[end.name] = array * whole.reshape([-1 if axis == end.axis else 1 for axis in range(array.ndim)])


def _fold_batch_norms(weights: Weights) -> None:
    for name in [name for name in weights if weights[name].ndim == 4]:
        stem = batch_norm(name)
        if not stem or f"{stem}running_var" not in weights:
            continue
        gain, shift, mean, variance = (weights.pop(stem + part) for part in ("weight", "bias", "running_mean", "running_var"))
        weights.pop(f"{stem}num_batches_tracked", None)
        factor = gain / np.sqrt(variance + _EPSILON)
        weights[name] = weights[name] * factor[:, None, None, None]
        weights[name.removesuffix("weight") + "bias"] = shift - mean * factor


_READERS: Final = (
    ("input_layernorm.weight", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), 1),
    ("post_attention_layernorm.weight", ("mlp.gate_proj", "mlp.up_proj"), 1),
    ("model.norm.weight", ("lm_head",), 1),
    ("norm1.weight", ("attn.qkv",), 1),
    ("norm2.weight", ("mlp.0",), 1),
    ("ln_1.weight", ("attn.c_attn",), 0),
    ("ln_2.weight", ("mlp.c_fc",), 0),
    ("layernorm_before.weight", ("attention.attention.query", "attention.attention.key", "attention.attention.value"), 1),
    ("layernorm_after.weight", ("intermediate.dense",), 1),
)
"""A norm's gain, what reads the norm, and along which axis."""


def _fold_gains(weights: Weights) -> None:
    for name in list(weights):
        for ending, readers, axis in _READERS:
            reading = [name.removesuffix(ending) + f"{reader}.weight" for reader in readers] if name.endswith(ending) else []
            if not reading or not all(reader in weights for reader in reading):
                continue
            gain, shift = weights[name].copy(), name.removesuffix("weight") + "bias"
            for reader in reading:
                if shift in weights:
                    bias = reader.removesuffix("weight") + "bias"
                    weights[bias] = weights[bias] + (weights[shift] @ (weights[reader] if axis == 0 else weights[reader].T))
                _scale(weights, End(reader, axis, 0, len(gain)), gain)
            weights[name] = np.ones_like(gain)
            if shift in weights:
                weights[shift] = np.zeros_like(gain)
