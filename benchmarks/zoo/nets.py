"""The architectures of the zoo: small, with the tensor names that their big relatives carry on the Hub."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.data import SIDE

HEADS = ("fc.", "classifier.", "head.", "lm_head.", "model.embed_tokens.")  # the head and the vocabulary, outside the body


def in_body(name: str) -> bool:
    """Whether a tensor belongs to the body, which fine-tuning keeps, rather than to the head or the vocabulary."""
    return not name.startswith(HEADS)


class Plain(nn.Module):
    """Convolutions, with or without batch norm, then a linear classifier."""

    def __init__(self, widths: tuple[int, ...], *, norm: bool, kernel: int = 3, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for at, (before, after) in enumerate(pairwise((1, *widths))):
            layers.append(nn.Conv2d(before, after, kernel, 2 if at == 1 else 1, kernel // 2, bias=not norm))
            layers += [nn.BatchNorm2d(after)] if norm else []
            layers.append(activation())
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(widths[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return out


class Perceptron(nn.Module):
    """Fully connected layers."""

    def __init__(self, widths: tuple[int, ...], activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        sizes = (SIDE * SIDE, *widths)
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.activation = activation()
        self.head = nn.Linear(widths[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.layers:
            x = self.activation(layer(x))
        out: Tensor = self.head(x)
        return out


def _norm(kind: str, width: int) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    return nn.BatchNorm2d(width) if kind == "batch" else nn.GroupNorm(4, width)


class Residual(nn.Module):
    """A basic residual block of two convolutions."""

    def __init__(self, before: int, after: int, stride: int, norm: str, activation: type[nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=norm == "none")
        self.bn1 = _norm(norm, after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=norm == "none")
        self.bn2 = _norm(norm, after)
        self.act = activation()
        same = stride == 1 and before == after
        self.downsample = nn.Identity() if same else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        result: Tensor = self.act(out + self.downsample(x))
        return result


class ResNet(nn.Module):
    """A stem and stages of residual blocks, each stage after the first halving the image."""

    def __init__(self, widths: tuple[int, ...], *, norm: str, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 3, 1, 1, bias=norm == "none")
        self.bn1 = _norm(norm, widths[0])
        self.act = activation()
        self.layer1 = nn.Sequential(Residual(widths[0], widths[0], 1, norm, activation))
        stages = [
            nn.Sequential(Residual(before, after, 2, norm, activation), Residual(after, after, 1, norm, activation))
            for before, after in pairwise(widths)
        ]
        self.layers = nn.Sequential(*stages)
        self.fc = nn.Linear(widths[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.layer1(self.act(self.bn1(self.conv1(x)))))
        out: Tensor = self.fc(x.mean((2, 3)))
        return out


class Restorer(nn.Module):
    """Seven convolutions with leaky rectifiers, as published networks for upscaling and denoising have them."""

    def __init__(self, widths: tuple[int, ...], slope: float = 0.1) -> None:
        super().__init__()
        self.slope = slope
        self.conv = nn.ModuleList(nn.Conv2d(before, after, 3, 1, 1) for before, after in pairwise((1, *widths, 1)))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.conv[:-1]:
            out = functional.leaky_relu(layer(out), self.slope)
        result: Tensor = self.conv[-1](out)
        return result


class Attention(nn.Module):
    """Self-attention of a vision transformer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        out: Tensor = self.proj(attend(q, k, v).transpose(1, 2).reshape(batch, length, width))
        return out


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention of (batch, heads, length, width), written out so that it vectorises over models."""
    weights = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    if mask is not None:
        weights = weights + mask
    mixed: Tensor = weights.softmax(-1) @ v
    return mixed


class ViTBlock(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class ViT(nn.Module):
    """A vision transformer on patches of two by two pixels."""

    def __init__(self, width: int, depth: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(1, width, 2, 2)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, (SIDE // 2) ** 2, width))
        self.blocks = nn.Sequential(*(ViTBlock(width, heads, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        out: Tensor = self.head(self.norm(self.blocks(x)).mean(1))
        return out


class RMSNorm(nn.Module):
    """Root-mean-square norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight


class LlamaAttention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            self.add_module(name, nn.Linear(width, width, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = (self.get_submodule(name)(x).view(shape).transpose(1, 2) for name in ("q_proj", "k_proj", "v_proj"))
        mask = torch.full((length, length), -1e9).triu(1)
        mixed = attend(rotate(q), rotate(k), v, mask)
        out: Tensor = self.get_submodule("o_proj")(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


def rotate(x: Tensor) -> Tensor:
    """Rotary positions, the halves of each head turned together."""
    length, width = x.shape[-2:]
    frequencies = 1000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * frequencies
    left, right = x.chunk(2, -1)
    return torch.cat((left * angles.cos() - right * angles.sin(), right * angles.cos() + left * angles.sin()), -1)


class LlamaMLP(nn.Module):
    """A gated feed-forward layer (SwiGLU)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class LlamaLayer(nn.Module):
    """A pre-norm decoder layer."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(width)
        self.self_attn = LlamaAttention(width, heads)
        self.post_attention_layernorm = RMSNorm(width)
        self.mlp = LlamaMLP(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class LlamaModel(nn.Module):
    """Embedding, decoder layers and a final norm."""

    def __init__(self, width: int, depth: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(256, width)
        self.layers = nn.Sequential(*(LlamaLayer(width, heads, hidden) for _ in range(depth)))
        self.norm = RMSNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.layers(self.embed_tokens(x)))
        return out


class Llama(nn.Module):
    """A small Llama-like language model over bytes."""

    def __init__(self, width: int, depth: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.model = LlamaModel(width, depth, heads, hidden)
        self.lm_head = nn.Linear(width, 256, bias=False)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.06)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lm_head(self.model(x))
        return out


@dataclass(frozen=True)
class Variant:
    """One architecture of the zoo: its kind, its split, the batch size its split trains with, whether only grown zoos have it."""

    name: str
    kind: str
    split: str
    batch: int
    grown: bool = False

    def make(self) -> nn.Module:
        """A freshly initialised network, from torch's global random state."""
        return _make(self.name)


# Widths of each architecture, by its letter; those of the test split alone have GELU, SiLU and group norm.
PERCEPTRONS = {
    "a": (64, 48, 48),
    "b": (80, 64),
    "c": (96, 48),
    "d": (56, 56, 40),
    "e": (72, 56, 32),
    "f": (88, 64, 40),
    "g": (64, 64, 56),
}
PLAIN = {"a": (16, 16, 32), "b": (16, 32, 32, 16), "c": (16, 32, 16, 32), "d": (32, 16, 32, 32)}
BATCH_NORM = {
    "a": (16, 32, 32),
    "b": (16, 16, 16, 32),
    "c": (32, 32, 16),
    "d": (32, 32, 16, 16),
    "e": (24, 16, 32),
    "f": (16, 24, 24, 24),
    "g": (24, 40, 24),
}
RESIDUAL = {
    "a": ((16, 32), "batch"),
    "b": ((16, 16), "none"),
    "c": ((32, 16), "batch"),
    "d": ((16, 16, 32), "group"),
    "e": ((24, 24), "batch"),
    "f": ((16, 24), "none"),
    "g": ((24, 32), "group"),
}
RESTORERS = {
    "a": (16, 16, 32, 32, 32, 32),
    "b": (16, 16, 16, 32, 32),
    "c": (16, 32, 32, 32, 16),
    "d": (16, 32, 16, 32, 32, 16),
}
# Width, depth, heads and hidden width.
VISION_TRANSFORMERS = {
    "a": (32, 3, 2, 64),
    "b": (32, 2, 4, 96),
    "c": (48, 2, 4, 96),
    "d": (40, 3, 4, 80),
    "e": (40, 2, 4, 64),
    "f": (32, 3, 4, 80),
    "g": (48, 2, 4, 64),
}
LANGUAGE_MODELS = {
    "a": (48, 3, 4, 128),
    "b": (64, 2, 4, 160),
    "c": (56, 3, 4, 112),
    "d": (64, 3, 4, 144),
    "e": (96, 3, 4, 192),
    "f": (80, 3, 4, 224),
    "g": (88, 3, 4, 208),
}


def _make(name: str) -> nn.Module:  # noqa: PLR0911 - a table, one line a kind
    kind, _, which = name.rpartition("-")
    match kind:
        case "mlp":
            return Perceptron(PERCEPTRONS[which], {"c": nn.Tanh, "d": nn.GELU, "f": nn.Tanh, "g": nn.GELU}.get(which, nn.ReLU))
        case "cnn":
            return Plain(PLAIN[which], norm=False)
        case "cnn_bn":
            return Plain(BATCH_NORM[which], norm=True)
        case "resnet":
            widths, norm = RESIDUAL[which]
            return ResNet(widths, norm=norm, activation=nn.SiLU if norm == "group" else nn.ReLU)
        case "restorer":
            return Restorer(RESTORERS[which])
        case "vit":
            return ViT(*VISION_TRANSFORMERS[which])
    return Llama(*LANGUAGE_MODELS[which])


def _variants(split: str, batch: int, names: str, *, grown: bool = False) -> list[Variant]:
    return [Variant(name, name.rpartition("-")[0], split, batch, grown) for name in names.split()]


VARIANTS = {
    variant.name: variant
    for variant in [
        *_variants("train", 32, "mlp-a cnn-a cnn-b cnn_bn-a resnet-a restorer-a restorer-b vit-a llama-a llama-b"),
        *_variants("validation", 24, "mlp-c cnn-c cnn_bn-c resnet-c restorer-c vit-c llama-c"),
        *_variants("test", 40, "mlp-d cnn-d cnn_bn-d resnet-d restorer-d vit-d llama-d"),
        *_variants("train", 32, "mlp-e cnn_bn-e resnet-e vit-e llama-e", grown=True),
        *_variants("validation", 24, "mlp-f cnn_bn-f resnet-f vit-f llama-f", grown=True),
        *_variants("test", 40, "mlp-g cnn_bn-g resnet-g vit-g llama-g", grown=True),
    ]
}
