"""A small family of models on disk, in the layout of the demonstration's: increments at random, as a tree's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hub_lineage.testing import write_model

SHAPES = {"conv1.weight": (24, 3, 3, 3), "conv2.weight": (48, 24, 3, 3), "conv3.weight": (48, 48, 3, 3), "fc.weight": (64, 432)}
TREE = {  # a model, its parent, the day it was made
    "ann/root": (None, "2024-01-01"),
    "ann/left": ("ann/root", "2024-02-01"),
    "ann/right": ("ann/root", "2024-02-02"),
    "bob/left-one": ("ann/left", "2024-03-01"),
    "bob/left-two": ("ann/left", "2024-03-02"),
    "cid/deep": ("bob/left-one", "2024-04-01"),
    "eve/stranger": (None, "2024-01-05"),
}
CHILD = "cid/deep"


def write_family(folder: Path) -> Path:
    """Writes the models and their index; gives the folder back."""
    random = np.random.default_rng(7)
    made: dict[str, dict[str, np.ndarray]] = {}
    for name, (parent, _) in TREE.items():
        size = 0.12 if parent else 1.0
        steps = {key: size * random.standard_normal(shape, dtype=np.float32) for key, shape in SHAPES.items()}
        made[name] = {key: made[parent][key] + step for key, step in steps.items()} if parent else steps
        place = write_model(folder / name.replace("/", "__"), made[name], config={"model_type": "cnn"})
        card = f"---\nlicense: mit\n{f'base_model: {parent}' if parent else ''}\n---\n# {name}\n"
        (place / "README.md").write_text(card, encoding="utf-8")
    index = [{"id": name, "created_at": f"{day}T00:00:00Z", "downloads": 10} for name, (_, day) in TREE.items()]
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder
