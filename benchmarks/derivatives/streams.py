"""Residual streams: the wire that runs through all blocks of a transformer, or through a stage of a residual network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from benchmarks.derivatives.wires import Array, End, Wire, blocks, normed

_TRANSFORMER: Final = (
    (r"embed_tokens\.weight$|wte\.weight$|wpe\.weight$|lm_head\.weight$|^classifier\.weight$|^head\.weight$", 1),
    (r"(q_proj|k_proj|v_proj|gate_proj|up_proj)\.weight$", 1),
    (r"(o_proj|down_proj)\.weight$", 0),
    (r"(c_attn|c_fc)\.weight$", 0),
    (r"(attn|mlp)\.c_proj\.weight$", 1),
    (r"(query|key|value|intermediate\.dense|attn\.qkv|mlp\.0)\.weight$", 1),
    (r"((?<!intermediate)(?<!\.h)\.output\.dense|attn\.proj|mlp\.2)\.weight$", 0),
    (r"(output\.dense|attn\.proj|mlp\.2|c_proj)\.bias$", 0),
    (r"(norm|layernorm|norm1|norm2|ln_1|ln_2|ln_f|layernorm_before|layernorm_after)\.(weight|bias)$", 0),
    (r"(patch_embed|projection)\.(weight|bias)$", 0),
    (r"(pos_embed|cls_token|position_embeddings)$", 2),
)
"""Tensors of the transformers of the zoo and of this benchmark, and the axis that lies along the stream."""
_IS_TRANSFORMER: Final = re.compile(r"(q_proj|c_attn|attn\.qkv|attention\.query)\.weight$")


def streams(weights: Mapping[str, Array]) -> list[Wire]:
    """The residual streams of a network, whose channels may stand in any order if all tensors along them agree; often none."""
    if any(_IS_TRANSFORMER.search(name) for name in weights):
        ends = [end for name in weights for end in _along(weights, name)]
        return [Wire("stream", ends[0].length, tuple(ends), ())]
    return [*_stages(weights, _zoo(weights)), *_stages(weights, _hub(weights))]


def _along(weights: Mapping[str, Array], name: str) -> Iterator[End]:
    for pattern, axis in _TRANSFORMER:
        if re.search(pattern, name):
            yield End(name, axis, 0, weights[name].shape[axis])
            return


Stage = tuple[list[str], list[str]]
"""The convolutions that add to a stream, and those that read it."""


def _stages(weights: Mapping[str, Array], stages: Iterable[Stage]) -> Iterator[Wire]:
    for makers, takers in stages:
        made = [end for name in makers for end in normed(weights, name)]
        taken = [End(name, 1, 0, weights[name].shape[1]) for name in takers]
        count = min(blocks(weights, name) for name in makers)
        yield Wire("stream", count, tuple(made), tuple(taken))


def _zoo(weights: Mapping[str, Array]) -> Iterator[Stage]:
    if "layer1.0.conv1.weight" not in weights:
        return
    stems = ["layer1.0.", *sorted({name[:11] for name in weights if re.match(r"layers\.\d\.\d\.", name)})]
    first, number = ["conv1.weight"], 0
    while first:
        here = [stem for stem in stems if stem.startswith("layer1" if number == 0 else f"layers.{number - 1}.")]
        makers = first + [f"{stem}conv2.weight" for stem in here]
        after = f"layers.{number}.0."
        takers = [f"{stem}conv1.weight" for stem in (here if number == 0 else here[1:])]
        if f"{after}conv1.weight" in weights:
            first = [f"{after}downsample.0.weight"]
            yield makers, [*takers, f"{after}conv1.weight", *first]
        else:
            first = []
            yield makers, [*takers, "fc.weight"]
        number += 1


def _hub(weights: Mapping[str, Array]) -> Iterator[Stage]:
    """The stages of a ResNet of basic blocks as transformers has it; the first adds to what the embedder makes."""
    stages = sorted({match[1] for name in weights if (match := re.match(r"(resnet\.encoder\.stages\.\d+\.)", name))})
    first = ["resnet.embedder.embedder.convolution.weight"]
    for number, stage in enumerate(stages):
        layers = sorted({match[1] for name in weights if (match := re.match(rf"({re.escape(stage)}layers\.\d+\.)", name))})
        shortcut = f"{layers[0]}shortcut.convolution.weight"
        makers = first + [f"{layer}layer.1.convolution.weight" for layer in layers]
        takers = [f"{layer}layer.0.convolution.weight" for layer in (layers if shortcut not in weights else layers[1:])]
        if number + 1 < len(stages):
            after = f"{stages[number + 1]}layers.0."
            first = [f"{after}shortcut.convolution.weight"]
            yield makers, [*takers, f"{after}layer.0.convolution.weight", *first]
        else:
            yield makers, [*takers, "classifier.1.weight"]
