"""What unrelated models give: the figures of a candidate, measured again with a stranger in its place.

The strangers are real where there are any: one model of each unrelated family, since kin would repeat one another. Where
there are too few, models are made up of a candidate's values with the channels of every tensor turned round by whole
kernels, which keeps what all networks of a shape share (the mean kernel, the spread, the grid of a dtype) and breaks what
only kin share (which channel does what). All are rounded to the coarsest dtype among the child and its kin, so that the
null knows how often rounding alone makes values equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hub_lineage.evidence import correlation, identity, independence, tree
from hub_lineage.family import Family, Matrix
from hub_lineage.read.dtypes import coarser, round_to
from hub_lineage.types import Floats, Null

ENOUGH = 8
"""With fewer unrelated models than this, turned channels make up the number."""
MOST = 12
"""Unrelated models that figures are measured with at the most; each costs about what a small family does."""
THIRD = 12
"""So many of the child's nearest kin are the third models of those figures that need some."""
LIKENESS = frozenset({"cosine", "median_cosine", "least_given_other", "equal_share"})
"""The cues of which Student's t holds on strangers of the zoo; for the others a null stands without a p-value."""

Places = NDArray[np.intp]
_MEASURED = (correlation, independence, tree, identity)
_FEWEST = 3  # a spread needs so many


@dataclass(frozen=True, eq=False)
class Strangers:
    """What S unrelated models give in a candidate's place: ``figures`` by the name of a cue, each of shape [S].

    ``group`` [S]: a number for the unrelated family that each stands for, -1 for turned channels. ``member`` [K]: the
    number of the unrelated family that each model of the judged family belongs to, -1 for the child and its kin.
    ``resolution``: the least step of a share of values.
    """

    figures: dict[str, Matrix]
    group: Places
    member: Places
    resolution: float

    def null(self, cue: str, candidate: int) -> Null | None:
        """The null of one cue for one candidate; None where the cue isn't measured, or too few can stand for strangers."""
        chosen = self._beside(candidate)
        if cue not in self.figures or len(chosen) < _FEWEST:
            return None
        found = self.figures[cue][chosen]
        least = self.resolution if cue == "equal_share" else 1e-6
        spread = max(float(found.std(ddof=1)), least)
        return Null(float(found.mean()), spread, len(found), self._words(chosen))

    def _beside(self, candidate: int) -> Places:
        """Those unrelated to the candidate too, turned channels last and only up to :data:`ENOUGH`."""
        real = np.flatnonzero((self.group >= 0) & ((self.group != self.member[candidate]) | (self.member[candidate] < 0)))
        turned = np.flatnonzero(self.group < 0)
        real = real[:MOST]
        return np.concatenate([real, turned[: max(0, ENOUGH - len(real))]])

    def _words(self, chosen: Places) -> str:
        real = int((self.group[chosen] >= 0).sum())
        turned = len(chosen) - real
        unrelated = f"{real} unrelated model{'' if real == 1 else 's'} of this shape"
        if not turned:
            return unrelated
        made = f"{turned} with turned channels"
        return f"{unrelated}, {made}" if real else f"{turned} models with turned channels"


def measured(family: Family, child: int, kin: NDArray[np.bool_], strangers: Family | None, kin_cosine: float) -> Strangers:
    """What unrelated models give in the place of a child's candidates.

    Args:
        family: K models judged together.
        child: The model whose candidates the others are.
        kin: Who is related to whom, shape [K, K].
        strangers: Further models whose tensors stand in the order of the family's, or None.
        kin_cosine: The cosine from which two models are kin; a stranger that reaches it with the child or its kin, or with
            another stranger, is one of them.
    """
    own = np.flatnonzero(kin[child])
    nearest = sorted((int(k) for k in own if k != child), key=lambda k: (-family.cosine[child, k], k))[:THIRD]
    unrelated = np.flatnonzero(~kin[child])
    core = [child, *nearest]
    rows = [*core, *(int(k) for k in unrelated)]
    joined = _joined(family, rows, strangers)
    related = joined.cosine >= kin_cosine
    related[np.ix_(range(len(core), len(rows)), range(len(core), len(rows)))] |= kin[np.ix_(unrelated, unrelated)]
    related[: len(core), len(core) : len(rows)] = related[len(core) : len(rows), : len(core)] = False  # as judged
    label = _groups(related, len(core))
    member = np.full(len(family), -1, dtype=np.intp)
    member[unrelated] = label[len(core) : len(rows)]
    first = [int(np.flatnonzero(label == group)[0]) for group in np.unique(label[label >= 0])]
    real = sorted(first)[: MOST + 1]  # one more than is shown, as a candidate is none of its own strangers
    grid = reduce(coarser, (family.storage[int(k)] for k in own))  # that of all kin, as figures of the family know it
    made = _turned(family, child, max(0, ENOUGH + 1 - len(real)))
    place = _with_strangers(joined, len(core), real, made, grid)
    figures = _figures(place, len(core), len(real) + len(made))
    group = np.array([*label[real], *[-1] * len(made)], dtype=np.intp)
    return Strangers(figures, group, member, 1.0 / max(float(family.sizes.sum()), 1.0))


def p_value(value: float, null: Null) -> float:
    """How often an unrelated model gives so much or more: Student's t for one more draw of the null's kind.

    Strangers that are drawn alike can stand for one another, so with n of them the score (value - mean) over
    sd times the root of 1 + 1/n has Student's distribution of n - 1 degrees of freedom where the figures are normal. Its
    tail is turned into a normal score (Wallace 1959): right to a few per cent up to scores of five, and too large beyond.
    """
    free = null.n - 1
    score = (value - null.mean) / (null.sd * math.sqrt(1 + 1 / null.n))
    normal = (8 * free + 1) / (8 * free + 3) * math.sqrt(free * math.log1p(score * score / free))
    tail = 0.5 * math.erfc(normal / math.sqrt(2))
    return max(tail, 1e-300) if score > 0 else 1.0 - tail


def holm(p_values: Sequence[float], bodies: Sequence[int], compared: int) -> list[float]:
    """P-values corrected for the number of questions asked (Holm 1979), in the order given.

    It holds whatever the questions have to do with one another, which candidates of one family have a lot, and bounds the
    chance that any stranger at all is called kin: that is what somebody who is accused of copying may ask for.

    Args:
        p_values: One for each candidate.
        bodies: A number for the body of each candidate. Copies of one body ask one question, by the largest of their
            p-values.
        compared: Questions asked altogether, of candidates that were ruled out beforehand too.
    """
    by_body: dict[int, float] = {}
    for body, value in zip(bodies, p_values, strict=True):
        by_body[body] = max(value, by_body.get(body, 0.0))
    left, least = max(compared, len(by_body)), 0.0
    corrected: dict[int, float] = {}
    for body, value in sorted(by_body.items(), key=lambda item: (item[1], item[0])):
        least = max(least, min(1.0, left * value))
        corrected[body] = least
        left -= 1
    return [corrected[body] for body in bodies]


def _joined(family: Family, rows: Sequence[int], strangers: Family | None) -> Family:
    """Some members of the family with the strangers behind them."""
    members = family.only(np.array(rows, dtype=np.intp))
    if strangers is None:
        return members
    raw = tuple(np.concatenate(pair) for pair in zip(members.raw, strangers.raw, strict=True))
    return Family(raw, (*members.storage, *strangers.storage), family.kernels)


def _groups(related: NDArray[np.bool_], core: int) -> Places:
    """The families of those behind the first ``core`` models, by their first member; -1 for the kin of the core."""
    while True:
        wider: NDArray[np.bool_] = (related.astype(np.float32) @ related.astype(np.float32)) > 0
        if np.array_equal(wider, related):
            break
        related = wider
    first = related.argmax(axis=1).astype(np.intp)
    return np.where(first < core, -1, first)


def _turned(family: Family, child: int, wanted: int) -> list[tuple[Floats, ...]]:
    """Models with turned channels, each a row of every tensor, made of the child's candidates by turns."""
    others = [k for k in range(len(family)) if k != child]
    generator = np.random.default_rng(0)
    return [_turn(family, others[i % len(others)], generator) for i in range(wanted)] if others else []


def _turn(family: Family, model: int, generator: np.random.Generator) -> tuple[Floats, ...]:
    rows = []
    for tensor, kernel in zip(family.raw, family.kernels, strict=True):
        step = kernel if tensor.shape[1] > kernel else 1  # a single kernel can only be turned within itself
        places = max(1, tensor.shape[1] // step - 1)
        rows.append(np.roll(tensor[model], step * int(generator.integers(1, places + 1))))
    return tuple(rows)


def _with_strangers(joined: Family, core: int, real: Sequence[int], made: Sequence[tuple[Floats, ...]], grid: str) -> Family:
    """The child, its nearest kin, and the strangers behind them, rounded to the grid of one dtype."""
    raw = []
    for t, tensor in enumerate(joined.raw):
        strangers = [tensor[list(real)], *(rows[t][None, :] for rows in made)]
        raw.append(np.concatenate([tensor[:core], round_to(grid, np.concatenate(strangers))]))
    return Family(tuple(raw), (*joined.storage[:core], *[grid] * (len(real) + len(made))), joined.kernels)


def _figures(place: Family, core: int, count: int) -> dict[str, Matrix]:
    """Every cue of the child and each of the strangers, one at a time beside the child's kin; shapes [S]."""
    found: dict[str, list[float]] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for stranger in range(core, core + count):
            seen = place.only(np.array([*range(core), stranger], dtype=np.intp))
            for source in _MEASURED:
                for name, value in source.cues(seen).items():
                    found.setdefault(name, []).append(float(np.nan_to_num(value[0, -1], nan=0.0, posinf=0.0, neginf=0.0)))
    return {name: np.array(values) for name, values in found.items()}
