"""The judge of trees alone with which ``trace`` first gave its verdicts, from its gzipped file of JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Matrix
from hub_lineage.judge import NUMBERS, Judge
from hub_lineage.trees import Boosted, Trees


def read_boosted(path: Path) -> Judge:
    """A judge of trees alone; it knows nothing of kinds."""
    stored = json.loads(gzip.decompress(path.read_bytes()))
    boosted = Boosted(from_json(stored["first"]), from_json(stored["second"]))
    return Judge((), (boosted,), *(float({"weight": 1.0, **stored}[name]) for name in NUMBERS))


def from_json(stored: dict[str, Any]) -> Trees:
    """The trees of :func:`to_json`."""

    def whole(name: str) -> NDArray[np.int32]:
        return np.asarray(stored[name], dtype=np.int32)

    def real(name: str) -> Matrix:
        return np.asarray(stored[name], dtype=np.float64)

    return Trees(
        names=tuple(stored["names"]),
        base=float(stored["base"]),
        roots=whole("roots"),
        feature=whole("feature"),
        threshold=real("threshold"),
        left=whole("left"),
        right=whole("right"),
        value=real("value"),
        depth=int(stored["depth"]),
    )


def to_json(trees: Trees) -> dict[str, Any]:
    """Plain lists and numbers; what leaves add is rounded to six digits, thresholds aren't: values lie right on them."""
    whole = {name: getattr(trees, name).tolist() for name in ("roots", "feature", "left", "right")}
    real = {"threshold": trees.threshold.tolist(), "value": [float(f"{x:.6g}") for x in trees.value]}
    return {"names": list(trees.names), "base": trees.base, "depth": trees.depth, **whole, **real}
