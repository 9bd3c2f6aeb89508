"""Networks of depth blocks for tests: stacks whose layers can be kept, dropped, lifted out and put into others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.types import Fingerprint
from tests.simulated import Memory

Weights = dict[str, NDArray[Any]]
Block = Mapping[str, tuple[int, ...]]

LANGUAGE: Block = {
    **{f"self_attn.{part}_proj.weight": (48, 48) for part in "qkvo"},
    "mlp.gate_proj.weight": (112, 48),
    "mlp.up_proj.weight": (112, 48),
    "mlp.down_proj.weight": (48, 112),
}
VISION: Block = {
    "attn.qkv.weight": (96, 32),
    "attn.proj.weight": (32, 32),
    "mlp.fc1.weight": (128, 32),
    "mlp.fc2.weight": (32, 128),
}


def stack(seed: int, layers: Sequence[int], block: Block = LANGUAGE, prefix: str = "model.layers") -> Weights:
    """Some layers of the network of that seed, in that order; a layer holds the same values wherever it stands."""
    made: Weights = {}
    for place, layer in enumerate(layers):
        for number, (name, shape) in enumerate(block.items()):
            random = np.random.default_rng([seed, layer, number])
            made[f"{prefix}.{place}.{name}"] = random.standard_normal(shape, dtype=np.float32)
    return made


def headed(weights: Weights, seed: int, vocabulary: int = 300) -> Weights:
    """With a vocabulary and a head of its own."""
    width = next(iter(weights.values())).shape[1]
    random = np.random.default_rng([seed, 10**6])
    ends = {name: random.standard_normal((vocabulary, width), dtype=np.float32) for name in ("embed.weight", "lm_head.weight")}
    return weights | ends


def tuned(weights: Weights, step: float, seed: int = 0) -> Weights:
    """The weights after training: each moved by so much of a standard deviation."""
    random = np.random.default_rng(seed)
    return {
        name: value + np.float32(step) * random.standard_normal(value.shape, dtype=np.float32) for name, value in weights.items()
    }


def adapter(weights: Weights, targets: Sequence[str], rank: int = 4, seed: int = 0) -> Weights:
    """A low-rank adapter of the matrices whose names hold one of the targets."""
    random = np.random.default_rng(seed)
    halves: Weights = {}
    for name, value in weights.items():
        if any(target in name for target in targets):
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            halves[f"{stem}.lora_A.weight"] = random.standard_normal((rank, value.shape[1]), dtype=np.float32)
            halves[f"{stem}.lora_B.weight"] = random.standard_normal((value.shape[0], rank), dtype=np.float32)
    return halves


def fingerprint(weights: Weights) -> Fingerprint:
    return read_fingerprint(Memory({"model.safetensors": save(weights)}))
