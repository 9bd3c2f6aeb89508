"""The table of truth: what each model of a zoo is, and where it comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

MadeBy = Literal["train", "merge", "prune", "noise", "distil", "checkpoint"]


@dataclass(frozen=True)
class ZooModel:
    """One model as ``truth.json`` describes it; ``path`` is where its weights lie.

    ``cosine_to_parent`` is pooled over the body's weight tensors of two dimensions or more, each scaled to equal root mean
    square. ``twin_of_seed`` names the model whose initialisation this one shares, ``recipe_group`` the first of those trained by
    one recipe, ``checkpoint_of`` the model that this one became when its training went on.

    ``made_by`` says how: a ``checkpoint`` is such an earlier revision. A ``merge`` has no one parent: ``merged_from`` holds its
    sources with their coefficients, and ``root`` is theirs. A student (``distil``) is a root, for it has no lineage of weights:
    ``distilled_from`` names its teacher. What is made by ``prune`` or ``noise`` has a parent, and its recipe the share or scale.
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
    merged_from: tuple[tuple[str, float], ...] | None = None
    distilled_from: str | None = None
    made_by: MadeBy = "train"


def load_truth(folder: Path | str, *, served: bool = False) -> list[ZooModel]:
    """Reads the table of truth of a zoo; ``served`` leaves out the hidden revisions."""
    folder = Path(folder)
    rows = json.loads((folder / "truth.json").read_text())
    models = [_model(folder, row) for row in rows]
    return [model for model in models if not (served and model.hidden)]


def _model(folder: Path, row: dict[str, Any]) -> ZooModel:
    """One row, of a table from before there were merges and students too."""
    merged = row.pop("merged_from", None)
    made_by = row.pop("made_by", "train" if row["checkpoint_of"] is None else "checkpoint")
    return ZooModel(
        path=folder / row.pop("file"),
        merged_from=merged and tuple((source, coefficient) for source, coefficient in merged),
        made_by=made_by,
        **row,
    )
