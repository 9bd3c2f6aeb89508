"""The table of truth: what each model of a zoo is, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ZooModel:
    """One model as ``truth.json`` describes it; ``path`` is where its weights lie.

    ``cosine_to_parent`` is pooled over the body's weight tensors of two dimensions or more, each scaled to equal root mean
    square. ``twin_of_seed`` names the model whose initialisation this one shares, ``recipe_group`` the first of those trained by
    one recipe, ``checkpoint_of`` the model that this one became when its training went on.
    """

    id: str
    path: Path
    parent: str | None
    root: str
    family: str
    generation: int
    split: str
    kind: str
    architecture: str
    regime: str
    dtype: str
    hidden: bool
    recipe: dict[str, Any]
    seed: int
    twin_of_seed: str | None
    recipe_group: str | None
    checkpoint_of: str | None
    cosine_to_parent: float | None
    score: dict[str, Any]
    parameters: int


def load_truth(folder: Path | str, *, served: bool = False) -> list[ZooModel]:
    """Reads the table of truth of a zoo; ``served`` leaves out the hidden revisions."""
    folder = Path(folder)
    rows = json.loads((folder / "truth.json").read_text())
    models = [ZooModel(path=folder / row.pop("file"), **row) for row in rows]
    return [model for model in models if not (served and model.hidden)]
