"""A family of tiny language models, really trained: a root, its fine-tunes, their child, and a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.types import Declaration, Model
from tests.simulated import Memory

Weights = dict[str, NDArray[Any]]
_LENGTH, _BATCH, _VOCABULARY = 32, 16, 64


def untrained(seed: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415 - seconds of import

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=_VOCABULARY,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
        )
    )


def tune(net: Any, task: int, steps: int, rate: float) -> Any:
    """Trains in place on sequences in which each token follows from the one before by a rule of that task's own."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(task)
    rule = torch.randint(_VOCABULARY, (_VOCABULARY, 3), generator=generator)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=rate)
    for _ in range(steps):
        tokens = torch.randint(_VOCABULARY, (_BATCH, 1), generator=generator)
        for _ in range(_LENGTH - 1):
            choice = torch.randint(3, (_BATCH,), generator=generator)
            tokens = torch.cat([tokens, rule[tokens[:, -1], choice][:, None]], dim=1)
        optimiser.zero_grad()
        net(input_ids=tokens, labels=tokens).loss.backward()
        optimiser.step()
    return net


def weights(net: Any) -> Weights:
    return {name: value.detach().float().numpy().copy() for name, value in net.state_dict().items()}


def network(held: Mapping[str, NDArray[Any]]) -> Any:
    net = untrained(0)
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in held.items()})
    return net


@cache
def family() -> dict[str, Weights]:
    root = weights(tune(untrained(1), 1, 120, 3e-3))
    far = weights(tune(network(root), 2, 40, 1e-3))
    return {
        "root": root,
        "far": far,
        "near": weights(tune(network(root), 3, 20, 2e-5)),
        "child": weights(tune(network(far), 4, 20, 3e-4)),
        "stranger": weights(tune(untrained(2), 1, 120, 3e-3)),
    }


def model(name: str, held: Mapping[str, NDArray[Any]], *, packed: str = "", only: str = "proj", base: str = "") -> Model:
    """Read back from a file; ``packed`` is the word of the packing of all tensors whose names hold ``only``."""
    found = read_fingerprint(Memory({"model.safetensors": save({key: np.ascontiguousarray(v) for key, v in held.items()})}))
    samples = tuple(replace(s, packed=packed) if packed and only in s.label else s for s in found.samples)
    said = (Declaration(base, "adapter", "card"),) if base else ()
    return Model(name, None, replace(found, samples=samples), declared=said)


@cache
def models() -> tuple[Model, ...]:
    return tuple(model(name, held) for name, held in family().items())
