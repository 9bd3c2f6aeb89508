"""The models that are disguised: those of this benchmark and of zoos, each with what must be known to disguise it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from benchmarks.derivatives import models as trained
from benchmarks.derivatives.disguised import DISGUISES, Subject
from benchmarks.derivatives.recipes import Split
from benchmarks.derivatives.wires import Weights
from benchmarks.zoo import ZooModel, load_truth
from benchmarks.zoo.nets import LANGUAGE_MODELS, VISION_TRANSFORMERS

CACHE: Final = Path(__file__).parents[1] / "cache"
_HEADS: Final = {"llama": LANGUAGE_MODELS, "vit": VISION_TRANSFORMERS}
_UNRECTIFIED: Final = frozenset({"mlp-c", "mlp-d", "mlp-f", "mlp-g", "resnet-d", "resnet-g"})  # tanh, GELU and SiLU


@dataclass(frozen=True)
class Specimen:
    """A trained model: its file, its parent, its family, its net (models of one have one architecture), and its heads.

    ``mixed`` models are merges and students, which have several parents or none; a ``twin`` shares its initialisation with a
    model of another family, so that the two are neither kin nor strangers.
    """

    id: str
    path: Path
    parent: str | None
    family: str
    net: str
    heads: int
    mixed: bool = False
    twin: bool = False


def of_benchmark(split: Split) -> list[Specimen]:
    """The trained models of a split of this benchmark."""
    return [Specimen(m.id, m.path / "model.safetensors", m.parent, m.root, m.net, 4) for m in trained.models(split)]


def of_zoo(folder: str, splits: Sequence[str]) -> list[Specimen]:
    """The models of some splits of a zoo in the cache, hidden ones left out."""
    return [_specimen(model, folder) for model in load_truth(CACHE / folder, served=True) if model.split in splits]


def _specimen(model: ZooModel, folder: str) -> Specimen:
    heads = _HEADS[model.kind][model.architecture[-1]][2] if model.kind in _HEADS else 1
    parent = model.parent and f"{folder}/{model.parent}"
    return Specimen(
        f"{folder}/{model.id}",
        model.path,
        parent,
        f"{folder}/{model.family}",
        model.architecture,
        heads,
        mixed=model.merged_from is not None or model.made_by == "distil",
        twin=model.twin_of_seed is not None,
    )


@lru_cache(maxsize=4096)
def weights(specimen: Specimen) -> Weights:
    """All weights of a model, as float32."""
    from safetensors.torch import load_file  # noqa: PLC0415 - brings torch

    return {name: value.float().numpy() for name, value in load_file(specimen.path).items()}


def disguised(specimen: Specimen, word: str, seed: int) -> Weights:
    """A model's weights in a disguise; as they are for the word ``none``."""
    subject = Subject(weights(specimen), specimen.heads, rectified=specimen.net not in _UNRECTIFIED, seed=seed)
    if word in DISGUISES:
        DISGUISES[word](subject)
    return subject.weights


def by_net(everyone: Sequence[Specimen]) -> dict[str, list[Specimen]]:
    """Models of one architecture together."""
    groups: dict[str, list[Specimen]] = {}
    for one in everyone:
        groups.setdefault(one.net, []).append(one)
    return groups
