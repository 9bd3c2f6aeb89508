"""Tiny networks, really trained: a parent, its fine-tune, their sibling and a stranger of each architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.zoo.data import SIDE
from benchmarks.zoo.nets import LANGUAGE_MODELS, VARIANTS, VISION_TRANSFORMERS

Weights = dict[str, NDArray[np.float32]]
NETS = ("mlp-a", "cnn-a", "cnn_bn-a", "resnet-a", "resnet-d", "vit-a", "llama-a", "gpt2", "grouped")
"""Of the zoo, and of transformers a GPT-2 and a Llama whose queries share keys."""
UNRECTIFIED = ("resnet-d",)
_CLASSES = 10


@dataclass(frozen=True)
class Trained:
    """A family's weights by name, and what a network of such weights gives for some inputs."""

    net: str
    held: Mapping[str, Weights]
    heads: int

    @property
    def rectified(self) -> bool:
        return self.net not in UNRECTIFIED

    def outputs(self, weights: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """What the network computes with those weights."""
        net = made(self.net, 0)
        net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()}, strict=False)
        with torch.no_grad():
            found: NDArray[np.float32] = forward(net.eval(), inputs(self.net, torch.Generator().manual_seed(9))).numpy()
        return found


def is_language(net: str) -> bool:
    return net.startswith(("llama", "gpt2", "grouped"))


def made(net: str, seed: int) -> Any:
    torch.manual_seed(seed)
    return MADE[net]() if net in MADE else VARIANTS[net].make()


def _gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel  # noqa: PLC0415 - seconds of import

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=256, n_positions=32, n_embd=48, n_layer=2, n_head=4, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    )


def _grouped() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415 - likewise

    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=256, **sizes, num_attention_heads=8, num_key_value_heads=4))


MADE: dict[str, Callable[[], Any]] = {"gpt2": _gpt2, "grouped": _grouped}


def inputs(net: str, generator: torch.Generator) -> Any:
    if is_language(net):
        return torch.randint(256, (12, 24), generator=generator)
    return torch.rand(24, 1, SIDE, SIDE, generator=generator)


def forward(net: Any, x: Any) -> Any:
    found = net(x)
    return getattr(found, "logits", found)


def tune(net: Any, word: str, seed: int, steps: int, rate: float) -> Any:
    """Trains in place to tell classes, or tokens, that a random linear map of the input makes."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    rule = torch.randn(SIDE * SIDE, _CLASSES, generator=generator)
    following = torch.randint(256, (256,), generator=generator)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate)
    net.train()
    for _ in range(steps):
        x = inputs(word, generator)
        wanted = following[x] if is_language(word) else ((x.flatten(1) - 0.5) @ rule).argmax(dim=1)
        optimiser.zero_grad()
        loss: Any = torch.nn.functional.cross_entropy(forward(net, x).flatten(0, -2), wanted.flatten())
        loss.backward()
        optimiser.step()
    return net


def weights(net: Any) -> Weights:
    held = {name: value.detach().float().numpy().copy() for name, value in net.state_dict().items()}
    if "lm_head.weight" in held and "transformer.wte.weight" in held:  # tied, and stored once
        del held["lm_head.weight"]
    return {name: value for name, value in held.items() if not name.endswith("num_batches_tracked")}


@cache
def family(word: str) -> Trained:
    root = tune(made(word, 1), word, 1, 40, 3e-3)
    held = {"parent": weights(root)}
    for name, seed, steps, rate in (("child", 2, 15, 1e-3), ("sibling", 3, 15, 1e-3)):
        net = made(word, 0)
        net.load_state_dict(root.state_dict())
        held[name] = weights(tune(net, word, seed, steps, rate))
    held["stranger"] = weights(tune(made(word, 5), word, 1, 40, 3e-3))
    tables = {"llama": LANGUAGE_MODELS, "vit": VISION_TRANSFORMERS}.get(word[:-2], {})
    return Trained(word, held, tables[word[-1]][2] if tables else {"gpt2": 4, "grouped": 8}.get(word, 1))
