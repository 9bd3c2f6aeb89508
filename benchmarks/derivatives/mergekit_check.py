"""The benchmark's own merges beside those of mergekit, and mergekit's taken apart: a check made where it is installed.

``python -m benchmarks.derivatives.mergekit_check /path/to/mergekit-yaml`` prints, method by method, the largest difference of
a weight in units of its tensor's largest, and what is found of the file that mergekit wrote. It draws on chance for DARE,
so that there only the second can be told.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.torch import load_file

from benchmarks.derivatives import merging, models, prints
from benchmarks.derivatives.merging import Weights
from hub_lineage.unmerge import unmerge

BASE: Final = "handbook"
TUNED: Final = ("handbook-far", "handbook-near-on", "handbook-half-on")
_SLERP: Final = (0.35,)
_WEIGHTS: Final = (0.5, 0.3, 0.2)
_DENSITY: Final = 0.5
_SECONDS = 600

Own = Callable[[Weights, list[Weights]], Weights]
METHODS: Final[Mapping[str, Own | None]] = {
    "linear": lambda _, held: merging.linear(held, _WEIGHTS),
    "slerp": lambda _, held: merging.slerp(held[0], held[1], _SLERP[0]),
    "task_arithmetic": lambda base, held: merging.task_arithmetic(base, held, _WEIGHTS),
    "model_stock": merging.model_stock,
    "ties": lambda base, held: merging.ties(base, held, _DENSITY, 1.0, _WEIGHTS),
    "dare_linear": None,
    "dare_ties": None,
}


def recipe(method: str, dtype: str) -> dict[str, Any]:
    """Mergekit's configuration of one merge."""
    paths = [str(models.model(name).path) for name in TUNED]
    base = str(models.model(BASE).path)
    if method == "slerp":
        sources = [{"model": paths[0]}, {"model": paths[1]}]
        return {"merge_method": method, "base_model": paths[0], "models": sources, "parameters": {"t": _SLERP[0]}, "dtype": dtype}
    listed = [{"model": path, "parameters": {"weight": w, "density": _DENSITY}} for path, w in zip(paths, _WEIGHTS, strict=True)]
    found: dict[str, Any] = {"merge_method": method, "models": listed, "dtype": dtype}
    if method == "linear":
        return found
    normal = {"normalize": method == "ties"}
    return found | {"base_model": base, "parameters": {} if method == "model_stock" else normal}


def main(program: str) -> None:
    """Prints a row for each method and storage."""
    base = prints.weights(models.model(BASE))
    held = [prints.weights(models.model(name)) for name in TUNED]
    among = [str(made.path) for made in models.models() if made.net == models.model(BASE).net]
    for method, own in METHODS.items():
        for dtype in ("float32", "bfloat16"):
            with tempfile.TemporaryDirectory() as folder:
                place, written = Path(folder) / "merge.json", Path(folder) / "merged"
                place.write_text(json.dumps(recipe(method, dtype)))  # which is YAML too
                subprocess.run([program, str(place), str(written)], check=True, capture_output=True, timeout=_SECONDS)
                made = {key: value.float().numpy() for key, value in load_file(written / "model.safetensors").items()}
                found = unmerge(str(written), among=among)
            apart = f"{_apart(own(base, held), made):.1e}" if own else "-"
            named = ", ".join(f"{Path(p.id).name} {p.coefficient}" for p in found.parents)
            print(f"{method:16} {dtype:9} {apart:8} {found.kind:10} {found.method:16} {named}")


def _apart(own: Weights, other: Weights) -> float:
    return max(float(np.abs(own[key] - other[key]).max() / np.abs(own[key]).max()) for key in own)


if __name__ == "__main__":
    main(sys.argv[1])
