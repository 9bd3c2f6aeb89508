"""The networks of this benchmark, all by transformers, and one way of training them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import nn

from benchmarks.derivatives.recipes import Optimiser, Recipe
from benchmarks.zoo import data

SEQUENCE = 64
"""Bytes that a language model reads at once."""
_BATCH = 16
_IMAGES = 64
_TURNED = "-turned"  # images by a quarter turn

DTYPES: Final = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def _llama(layers: int, key_heads: int, *, tied: bool) -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415 - seconds of import, only where one is made

    config = LlamaConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=key_heads,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config)


def _gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel  # noqa: PLC0415 - likewise

    config = GPT2Config(
        vocab_size=256,
        n_positions=256,
        n_embd=64,
        n_layer=4,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )
    return GPT2LMHeadModel(config)


def _neox() -> nn.Module:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM  # noqa: PLC0415 - likewise

    config = GPTNeoXConfig(
        vocab_size=256,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPTNeoXForCausalLM(config)


def _vit(layers: int) -> nn.Module:
    from transformers import ViTConfig, ViTForImageClassification  # noqa: PLC0415 - likewise

    config = ViTConfig(
        hidden_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=192,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        image_size=data.SIDE,
        patch_size=2,
        num_channels=1,
        num_labels=10,  # type: ignore[call-arg]
    )
    return ViTForImageClassification(config)


def _resnet() -> nn.Module:
    from transformers import ResNetConfig, ResNetForImageClassification  # noqa: PLC0415 - likewise

    config = ResNetConfig(
        num_channels=1,
        embedding_size=32,
        hidden_sizes=[32, 64, 96],
        depths=[2, 2, 2],
        layer_type="basic",
        num_labels=10,  # type: ignore[call-arg]
    )
    return ResNetForImageClassification(config)


def _convnext() -> nn.Module:
    from transformers import ConvNextConfig, ConvNextForImageClassification  # noqa: PLC0415 - likewise

    config = ConvNextConfig(
        num_channels=1,
        patch_size=2,
        num_stages=3,
        hidden_sizes=[32, 64, 96],
        depths=[2, 3, 2],
        image_size=data.SIDE,
        num_labels=10,  # type: ignore[call-arg]
    )
    return ConvNextForImageClassification(config)


NETS: Final[Mapping[str, Callable[[], nn.Module]]] = {
    "llama": lambda: _llama(4, 4, tied=False),
    "llama-tied": lambda: _llama(6, 2, tied=True),
    "gpt2": _gpt2,
    "vit": lambda: _vit(4),
    "vit-deep": lambda: _vit(6),
    "resnet": _resnet,
    "neox": _neox,
    "convnext": _convnext,
}


_OPTIMISERS: Final[Mapping[Optimiser, Callable[[list[nn.Parameter], float], torch.optim.Optimizer]]] = {
    "adamw": lambda wanted, rate: torch.optim.AdamW(wanted, lr=rate, weight_decay=0.01),
    "sgd": lambda wanted, rate: torch.optim.SGD(wanted, lr=rate, momentum=0.9),
}


def made(net: str, seed: int) -> Any:
    """An untrained network of that word."""
    torch.manual_seed(seed)
    return NETS[net]()


def tune(net: Any, recipe: Recipe) -> None:
    """Trains a network in place as the recipe says, its rate falling by a cosine; deterministic on one thread."""
    generator = torch.Generator().manual_seed(recipe.seed)
    wanted = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = _OPTIMISERS[recipe.optimiser](wanted, recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps, eta_min=recipe.rate / 20)
    batch = _texts(recipe) if recipe.kind == "language" else _pictures(recipe)
    net.train()
    for _ in range(recipe.steps):
        optimiser.zero_grad()
        net(**batch(generator)).loss.backward()
        nn.utils.clip_grad_norm_(wanted, 1.0)
        optimiser.step()
        schedule.step()
    net.eval()


Batch = Callable[[torch.Generator], dict[str, torch.Tensor]]


def _texts(recipe: Recipe) -> Batch:
    raw = data.text(recipe.data)
    half = len(raw) // 2
    kept = {0: raw, 1: raw[:half], 2: raw[half:]}[recipe.share]
    text = torch.frombuffer(bytearray(kept), dtype=torch.uint8).long()

    def batch(generator: torch.Generator) -> dict[str, torch.Tensor]:
        starts = torch.randint(len(text) - SEQUENCE, (_BATCH, 1), generator=generator)
        chosen = text[starts + torch.arange(SEQUENCE)]
        return {"input_ids": chosen, "labels": chosen}

    return batch


def _pictures(recipe: Recipe) -> Batch:
    pixels, labels = data.images(recipe.data.removesuffix(_TURNED))
    if recipe.data.endswith(_TURNED):
        pixels = torch.rot90(pixels, 1, (2, 3))
    kept = torch.arange(len(pixels))
    if recipe.share:
        kept = kept[kept % 2 == recipe.share - 1]

    def batch(generator: torch.Generator) -> dict[str, torch.Tensor]:
        chosen = kept[torch.randint(len(kept), (_IMAGES,), generator=generator)]
        return {"pixel_values": pixels[chosen], "labels": labels[chosen]}

    return batch
