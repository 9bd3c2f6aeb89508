"""Zoos made by hand: a table of truth, simulated weights, and odds that are set rather than judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import Crowd
from benchmarks.judgement.lineage import Lineage
from benchmarks.judgement.scenes import Scene
from benchmarks.zoo import ZooModel
from hub_lineage.family import Family
from hub_lineage.judge import Judgement, clones, judge
from tests.simulated import family_of, tree

PLAIN = ZooModel(
    id="",
    path=Path("nowhere"),
    parent=None,
    root="",
    family="f0",
    generation=0,
    split="validation",
    kind="mlp",
    architecture="mlp-c",
    regime="deep",
    dtype="F32",
    hidden=False,
    recipe={"weight_decay": 0.0},
    seed=0,
    twin_of_seed=None,
    recipe_group=None,
    checkpoint_of=None,
    cosine_to_parent=None,
    score={},
    parameters=1,
)


def zoo(parents: Mapping[str, str | None], **changes: Mapping[str, Any]) -> list[ZooModel]:
    """Models by name and parent, parents first; ``changes`` sets further columns by model, such as ``hidden={"b": True}``."""
    models: dict[str, ZooModel] = {}
    for name, parent in parents.items():
        root = name if parent is None else models[parent].root
        near = None if parent is None else 0.9
        own = {column: values[name] for column, values in changes.items() if name in values}
        models[name] = replace(PLAIN, id=name, parent=parent, root=root, cosine_to_parent=near, **own)
        merged = models[name].merged_from
        if merged:
            models[name] = replace(models[name], root=models[merged[0][0]].root)
    return list(models.values())


def crowd_of(models: Sequence[ZooModel], family: Family | None = None) -> Crowd:
    """The served models side by side, with weights that are simulated along the tree of all of them."""
    served = [model for model in models if not model.hidden]
    places = {model.id: place for place, model in enumerate(served)}
    parents = np.array([places.get(model.parent or "", -1) for model in served], dtype=np.intp)
    return Crowd(tuple(served), family or simulated(models), parents)


def simulated(models: Sequence[ZooModel], seed: int = 0) -> Family:
    """Weights whose increments are independent Gaussians; a merge or student starts anew."""
    order = {model.id: k for k, model in enumerate(models)}
    parents = [-1 if model.parent is None else order[model.parent] for model in models]
    grown = tree(parents, [0.3 if parent >= 0 else 1.0 for parent in parents], seed)
    return family_of([values for values, model in zip(grown, models, strict=True) if not model.hidden])


def scene_of(models: Sequence[ZooModel], odds: Mapping[tuple[str, str], float] | None = None, zoo_name: str = "zoo") -> Scene:
    """A scene judged by the judge that ships, or with odds by child and candidate and everybody kin to everybody."""
    crowd = crowd_of(models)
    lineage = Lineage(models)
    if odds is None:
        return Scene(zoo_name, lineage, crowd, judge(crowd.family))
    return Scene(zoo_name, lineage, crowd, told(crowd, odds))


def told(crowd: Crowd, odds: Mapping[tuple[str, str], float], cut: float = 0.7) -> Judgement:
    """A judgement that says what it is told to."""
    place = {model.id: k for k, model in enumerate(crowd.models)}
    parent = np.zeros((len(crowd), len(crowd)))
    for (child, candidate), value in odds.items():
        parent[place[child], place[candidate]] = value
    kin = np.ones(parent.shape, dtype=bool)
    return Judgement(parent, 1.0 - parent.sum(axis=1), kin, clones(crowd.family), {"cosine": crowd.family.cosine}, cut)
