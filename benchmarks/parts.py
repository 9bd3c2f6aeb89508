"""Children of another architecture than their source, made of really trained models: cut in depth, lifted out, adapters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from benchmarks.zoo import ZooModel
from hub_lineage.hub import open_source, parse_reference
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.tensors import block_keys, body
from hub_lineage.types import ByteRange, Floats

Weights = dict[str, Floats]
Make = Callable[[ZooModel, ZooModel, Mapping[str, str], np.random.Generator], "PartCase | None"]
RANK = 4
_BLOCK = re.compile(r"^(?P<stack>\w*(?:\.\w*[a-z_]\w*)*)\.(?P<number>\d+)\.(?P<rest>.+)$")


@dataclass(frozen=True)
class PartCase:
    """A child to search the source of: what is put on the Hub beside the zoo, and the zoo's model that is taken from it.

    ``root`` is that of the zoo's models which the child shares weights with.
    """

    kind: str
    child: str
    source: str
    root: str
    served: Mapping[str, dict[str, bytes]]
    card: str = ""
    gone: str = ""


@cache
def weights_of(path: Path) -> Weights:
    """All tensors of a model as float32."""
    source = open_source(parse_reference(str(path)))
    tensors = read_index(source)
    parts = source.read([ByteRange(t.path, t.start, t.stop) for t in tensors])
    return {t.name: dtypes.decode(t.dtype, raw).reshape(t.shape) for t, raw in zip(tensors, parts, strict=True)}


def depth(weights: Mapping[str, object]) -> int:
    """How many blocks a stack has."""
    numbers = [int(match["number"]) for name in weights if (match := _BLOCK.match(name))]
    return max(numbers, default=-1) + 1


def without_block(weights: Weights, gone: int) -> Weights:
    """The network with one block cut out, the later ones moved up."""
    kept: Weights = {}
    for name, value in weights.items():
        match = _BLOCK.match(name)
        number = int(match["number"]) if match else -1
        if match is None:
            kept[name] = value
        elif number != gone:
            kept[f"{match['stack']}.{number - (number > gone)}.{match['rest']}"] = value
    return kept


def blocks_alone(weights: Weights, prefix: str) -> Weights:
    """The blocks of a network under another name."""
    return {f"{prefix}.{m['number']}.{m['rest']}": value for name, value in weights.items() if (m := _BLOCK.match(name))}


def adapter(base: Weights, tuned: Weights) -> Weights:
    """The best adapter of :data:`RANK` for what training changed in the square matrices of the blocks."""
    halves: Weights = {}
    for name, value in base.items():
        if _BLOCK.match(name) and value.ndim == 2 and value.shape[0] == value.shape[1]:
            left, sizes, right = np.linalg.svd(tuned[name] - value, full_matrices=False)
            stem = f"base_model.model.{name.removesuffix('.weight')}"
            halves[f"{stem}.lora_A.weight"] = np.ascontiguousarray(right[:RANK])
            halves[f"{stem}.lora_B.weight"] = np.ascontiguousarray(left[:, :RANK] * sizes[:RANK])
    return halves


def cases(models: Sequence[ZooModel], names: Mapping[str, str], count: int, seed: int = 0) -> list[PartCase]:
    """Up to ``count`` cases of each kind, of children drawn at random whose parents are on the Hub under these names."""
    random = np.random.default_rng(seed)
    stacked = [model for model in models if block_keys(body(read_index(open_source(parse_reference(str(model.path))))))]
    known = {model.id: model for model in stacked}
    pairs = [(model, known[model.parent]) for model in stacked if model.parent in known and model.made_by == "train"]
    found: list[PartCase] = []
    for make in (_cut, _lifted(stacked), _adapter):
        drawn = (pairs[int(k)] for k in random.permutation(len(pairs)))
        made = (make(child, parent, names, random) for child, parent in drawn)
        found += islice((case for case in made if case is not None), count)
    gone = {case.gone for case in found}
    return [case for case in found if case.source not in gone]


def _cut(child: ZooModel, parent: ZooModel, names: Mapping[str, str], random: np.random.Generator) -> PartCase | None:
    """A trained child that lost a block; the child itself is not on the Hub, what it was trained from is the source."""
    weights = weights_of(child.path)
    if depth(weights) < 3:
        return None
    cut = without_block(weights, int(random.integers(1, depth(weights))))
    name = f"cutter/small-{random.integers(10**6)}"
    return PartCase("cut", name, names[parent.id], child.root, {name: _files(cut, child.architecture)}, gone=names[child.id])


def _lifted(stacked: Sequence[ZooModel]) -> Make:
    """The blocks of a child's parent, where the child's own stand beside another network's in a larger model.

    Half are named after the larger model, half link to it.
    """

    def make(child: ZooModel, parent: ZooModel, _: Mapping[str, str], random: np.random.Generator) -> PartCase:
        others = [one for one in stacked if one.architecture != child.architecture]
        larger = blocks_alone(weights_of(child.path), "vision_tower.blocks")
        larger |= blocks_alone(weights_of(others[int(random.integers(len(others)))].path), "language_model.layers")
        number = int(random.integers(10**6))
        whole, tower, card = f"seers/seer-{number}-chat", f"lifter/seer-{number}-tower", ""
        if random.random() < 0.5:
            tower, card = f"lifter/tower-{number}", f"Taken out of https://huggingface.co/{whole}."
        lifted = blocks_alone(weights_of(parent.path), "blocks")
        return PartCase("tower", tower, whole, child.root, {whole: _files(larger, "seer"), tower: _files(lifted, "tower")}, card)

    return make


def _adapter(child: ZooModel, parent: ZooModel, names: Mapping[str, str], random: np.random.Generator) -> PartCase:
    """What training changed in a child, as an adapter of its parent that declares nothing.

    Half are named after the base, half are of its author.
    """
    author, _, plain = names[parent.id].partition("/")
    name = f"adapters/{plain}-lora" if random.random() < 0.5 else f"{author}/lora-{random.integers(10**6)}"
    halves = adapter(weights_of(parent.path), weights_of(child.path))
    return PartCase("adapter", name, names[parent.id], child.root, {name: {"adapter_model.safetensors": save(halves)}})


def _files(weights: Mapping[str, NDArray[np.float32]], kind: str) -> dict[str, bytes]:
    stored = {name: np.ascontiguousarray(value) for name, value in weights.items()}
    return {"model.safetensors": save(stored), "config.json": json.dumps({"model_type": kind}).encode()}
