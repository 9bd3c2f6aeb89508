"""What two networks of different architecture share: depth blocks of one kind that hold the same weights.

Blocks of one kind have one key, whatever stands around them. In each, every tensor of the child is compared with all of that
shape in the other network, whatever its place in depth: a network cut in depth has kept some, a tower lifted out all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hub_lineage.family import clear_pairs, likeness
from hub_lineage.fingerprint import first_run
from hub_lineage.types import Block, Fingerprint, Floats, Null

TURNS = 24
"""Times that the child's tensors are turned round for the null."""
_FEWEST = 2  # tensors that must be found again: one alone may be a constant that many networks hold


@dataclass(frozen=True, slots=True)
class Part:
    """What a child shares with a network of another architecture.

    ``correlation`` is the mean over ``tensors`` matched ones, beside what the likest give where the child's channels are
    turned round. At least ``shared`` of the child's ``blocks`` blocks hold weights of the other's; more can't be told,
    since not every tensor is sampled. ``whole`` is the number of such blocks in the other network.
    """

    correlation: float
    null: Null
    tensors: int
    shared: int
    blocks: int
    whole: int


def shared_part(child: Fingerprint, other: Fingerprint) -> Part | None:
    """The kind of block of which a child shares most tensors with another network; None where none is clearly shared.

    Both must be of one scheme.
    """
    theirs = {block.key: block for block in other.blocks}
    pairs = [(block, theirs[block.key]) for block in child.blocks if block.key in theirs]
    found = [part for mine, its in pairs if (part := _compared(child, mine, other, its)) is not None]
    return max(found, key=lambda part: part.tensors, default=None)


def _compared(child: Fingerprint, mine: Block, other: Fingerprint, its: Block) -> Part | None:
    generator = np.random.default_rng(0)
    ours, theirs = _runs(child, mine), _runs(other, its)
    matched: list[float] = []
    turned: list[list[float]] = [[] for _ in range(TURNS)]
    shared = 0
    for shape in sorted(ours.keys() & theirs.keys()):
        table = likeness(ours[shape], theirs[shape])
        clear = clear_pairs(table, len(ours[shape][0]))
        if not clear:
            continue
        matched += [math.tanh(float(table[i, j])) for i, j in clear]
        shared = max(shared, math.ceil(len(clear) / max(mine.shapes.count(shape), 1)))
        chosen = [ours[shape][i] for i, _ in clear]
        for turn in range(TURNS):
            turned[turn] += np.tanh(likeness(_turned(chosen, shape, generator), theirs[shape]).max(axis=1)).tolist()
    if len(matched) < _FEWEST:
        return None
    means = [float(np.mean(figures)) for figures in turned]
    null = Null(
        float(np.mean(means)), max(float(np.std(means, ddof=1)), 1e-6), TURNS, "the likest of its blocks' turned channels"
    )
    return Part(float(np.mean(matched)), null, len(matched), shared, mine.count, its.count)


def _runs(fingerprint: Fingerprint, block: Block) -> dict[tuple[int, ...], list[Floats]]:
    found: dict[tuple[int, ...], list[Floats]] = {}
    for place in block.samples:
        found.setdefault(fingerprint.samples[place].shape, []).append(first_run(fingerprint.samples[place]))
    return found


def _turned(runs: Sequence[Floats], shape: tuple[int, ...], generator: np.random.Generator) -> list[Floats]:
    """The runs turned round by some whole kernels, so that channels no longer stand where they stood."""
    kernel = math.prod(shape[2:])
    steps = max(1, len(runs[0]) // kernel - 1)
    return [np.roll(run, kernel * int(generator.integers(1, steps + 1))) for run in runs]
