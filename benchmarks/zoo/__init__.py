"""A zoo of really trained small models whose lineages are known: ``build`` makes it, ``load_truth`` reads it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.zoo.truth import ZooModel as ZooModel
from benchmarks.zoo.truth import load_truth as load_truth

__all__ = ["ZooModel", "build", "load_truth"]


def build(folder: Path | str, *, size: str = "full", seed: int = 0, workers: int = 2) -> Path:
    """Builds the zoo into ``folder`` unless it is there already: see :func:`benchmarks.zoo.breeding.breed`."""
    from benchmarks.zoo.breeding import breed  # noqa: PLC0415 - brings torch, which those who only read the truth don't need

    return breed(folder, size=size, seed=seed, workers=workers)
