"""Families that the peers' assumptions hold for, made of numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub_lineage.family import Family
from tests.simulated import Values, family_of, tree

PARENTS = (-1, 0, 0, 1, 1, 2, -1, 6, 6, 7)
STEPS = (1.0, 0.2, 0.2, 0.2, 0.2, 0.2, 1.0, 0.2, 0.2, 0.2)
TREES = 2


def grown(seed: int = 0) -> list[Values]:
    """Two trees of independent increments: distances and norms grow along them."""
    return tree(PARENTS, STEPS, seed)


def sharpened(seed: int = 0, parents: Sequence[int] = PARENTS) -> list[Values]:
    """Trees whose roots are uniform and whose increments are few and large: kurtosis grows along them."""
    random = np.random.default_rng(seed)
    made: list[Values] = []
    for parent in parents:
        if parent < 0:
            made.append([random.uniform(-1, 1, (60, 60)) for _ in range(2)])
        else:
            steps = [random.standard_normal((60, 60)) * (random.random((60, 60)) < 0.01) for _ in range(2)]
            made.append([before + step for before, step in zip(made[parent], steps, strict=True)])
    return made


def scaled(models: Sequence[Values], scale: float) -> Family:
    return family_of([[scale * tensor for tensor in model] for model in models])
