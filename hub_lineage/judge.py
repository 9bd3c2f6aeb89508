"""A whole family judged at once: for every model the odds of each other one to be its parent, and of none.

Networks that read all pairs together (:mod:`hub_lineage.network`) and boosted trees (:mod:`hub_lineage.trees`) are asked, and
their log odds averaged. The odds of all candidates and of "none of these" come from one division, so they sum to 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from hub_lineage import trees
from hub_lineage.evidence import measure
from hub_lineage.family import Family, Matrix
from hub_lineage.network import KINDS, Network, from_tensors
from hub_lineage.read.dtypes import coarser, round_to
from hub_lineage.types import Relation

Mask = NDArray[np.bool_]
NUMBERS = ("weight", "slope", "shift", "kin_cosine", "clone_parent", "cut")
"""The numbers of a judge, in its order and by the names in its file."""
_CHANCE = 4.5  # standard deviations that unrelated pairs stay below
_NEARLY = 0.9999  # rounding to eight bits alone leaves more than this


@dataclass(frozen=True, eq=False)
class Judge:
    """The fitted part: networks and boosted trees, a slope and a shift that calibrate them, and the cut for kinship."""

    networks: tuple[Network, ...]
    boosted: tuple[trees.Boosted, ...]
    weight: float  # of the trees' log odds, beside 1 of the networks'
    slope: float
    shift: float
    kin_cosine: float
    clone_parent: float  # how often one of the clones of a model's body is its parent
    cut: float  # a parent is stated at these odds or better

    def log_odds(self, cues: Mapping[str, Matrix]) -> tuple[Matrix, Matrix]:
        """Log odds of each ordered pair against "none of these", shape [K, K], and what kinds they are [K, K, kinds]."""
        count = len(cues["cosine"])
        odds, kinds = np.zeros((count, count)), np.zeros((count, count, len(KINDS)))
        for network in self.networks:
            told, kind = network(cues)
            odds += told / len(self.networks)
            kinds += kind / len(self.networks)
        for boosted in self.boosted:
            odds += self.weight * boosted(cues) / len(self.boosted)
        return odds, kinds


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was made of K models, row: child, column: candidate.

    ``parent`` [K, K]: probability to be the parent; with ``none`` [K] each row sums to 1. ``kin`` [K, K]: whether two
    models are related at all. ``clone`` [K, K]: whether two bodies hold the same values. ``cut``: the
    odds from which a parent is stated. ``kinds`` [K, K, kinds]: probabilities of what the candidate is to the child, in the
    order of :data:`hub_lineage.network.KINDS`; 0 where two models aren't kin. ``parts`` [K, K]: who shares some tensors with
    whom and is no kin as a whole.
    """

    parent: Matrix
    none: Matrix
    kin: Mask
    clone: Mask
    cues: dict[str, Matrix]
    cut: float
    kinds: Matrix | None = None
    parts: Mask | None = None

    def relation(self, child: int, parent: int) -> Relation:
        """How a child came from a parent of its own architecture: as a copy, or by training."""
        return "duplicate" if self.clone[child, parent] else "finetune"


@cache
def shipped() -> Judge:
    """The judge that ships with the package; ``benchmarks/fit_judge.py`` made it."""
    place = resources.files("hub_lineage")
    return read_judge(place.joinpath("judge.json").read_text(encoding="utf-8"), place.joinpath("judge.safetensors").read_bytes())


def read_judge(stored: str, tensors: bytes) -> Judge:
    """A judge from its two files: numbers and the names of cues as JSON, networks and trees as safetensors."""
    read, arrays = json.loads(stored), load(tensors)

    def numbered(kind: str) -> list[dict[str, NDArray[Any]]]:
        starts = [f"{kind}.{k}." for k in range(int(read[kind]))]
        return [{name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)} for start in starts]

    return Judge(
        tuple(from_tensors(read["cues"], each) for each in numbered("networks")),
        tuple(trees.from_tensors(read["cues"], each) for each in numbered("boosted")),
        *(float(read[name]) for name in NUMBERS),
    )


def judge(family: Family, fitted: Judge | None = None) -> Judgement:
    """All pairs of a family judged; clones of one body are judged once and share their odds evenly."""
    fitted = fitted or shipped()
    count = len(family)
    clone = clones(family)
    representatives = np.flatnonzero(clone.argmax(axis=1) == np.arange(count))
    kin = components(family, fitted.kin_cosine)
    cues: dict[str, Matrix] = {}
    odds, kinds = np.zeros((count, count)), np.zeros((count, count, len(KINDS)))
    for members in groups(kin, representatives):
        if len(members) > 1:
            found = measure(family.only(members))
            place = np.ix_(members, members)
            odds[place], kinds[place] = _odds(found, fitted)
            for name, value in found.items():
                cues.setdefault(name, np.zeros((count, count)))[place] = value
    first = clone.argmax(axis=1)
    parts = alike(family, fitted.kin_cosine) & ~kin
    return replace(_shared(odds, cues, kin, clone, fitted), kinds=kinds[np.ix_(first, first)], parts=parts)


def _odds(cues: dict[str, Matrix], fitted: Judge) -> tuple[Matrix, Matrix]:
    """Odds of each ordered pair against "none of these", shape [K, K], zero on the diagonal; and of kinds [K, K, kinds]."""
    told, kinds = fitted.log_odds(cues)
    odds = np.exp(np.clip(fitted.slope * told + fitted.shift, -30, 30))
    np.fill_diagonal(odds, 0.0)
    return odds, kinds


def clones(family: Family) -> Mask:
    """Which bodies hold the same values once both are rounded to the coarser of their dtypes, shape [K, K]."""
    same = np.eye(len(family), dtype=bool)
    for one, other in np.argwhere(np.triu(family.cosine >= _NEARLY, 1)):
        if not same[one, other]:
            word = coarser(family.storage[one], family.storage[other])
            if all(np.array_equal(round_to(word, tensor[one]), round_to(word, tensor[other])) for tensor in family.raw):
                joined = same[one] | same[other]  # clones of clones are clones, in whatever order they are found
                same[np.ix_(joined, joined)] = True
    return same


def components(family: Family, kin_cosine: float) -> Mask:
    """Who is related to whom, directly or through others: shape [K, K], a true relation of equivalence."""
    kin: Mask = alike(family, kin_cosine) & ~in_part(family)
    np.fill_diagonal(kin, True)
    while True:
        wider = (kin.astype(np.float32) @ kin.astype(np.float32)) > 0
        if np.array_equal(wider, kin):
            return kin
        kin = wider


def alike(family: Family, kin_cosine: float) -> Mask:
    """Whose weights are more alike than those of strangers, in whole or in part: shape [K, K]."""
    found: Mask = family.cosine >= kin_cut(family, kin_cosine)
    return found


def in_part(family: Family) -> Mask:
    """Who is alike by few tensors alone, shape [K, K]: in most of them, less than half as much as in all together.

    Of kin that trained as a whole, half of the tensors are about as alike as the whole (.79 times at the least, on validation).
    """
    found: Mask = np.median(family.cosines, axis=0) < family.cosine / 2
    return found


def kin_cut(family: Family, kin_cosine: float) -> float:
    """The cosine from which two models count as kin: the judge's, or in small bodies what chance doesn't reach."""
    return max(kin_cosine, math.tanh(_CHANCE / math.sqrt(max(float(family.sizes.sum()) - 3, 1.0))))


def groups(kin: Mask, members: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The components of some of the models, each as an array of their places."""
    found: dict[int, list[int]] = {}
    for member in members:
        found.setdefault(int(kin[member].argmax()), []).append(int(member))
    return [np.array(group, dtype=np.intp) for group in found.values()]


def _shared(odds: Matrix, cues: dict[str, Matrix], kin: Mask, clone: Mask, fitted: Judge) -> Judgement:
    """Odds of representatives spread over their clones; a model's own clones are candidates for its parent too."""
    first = clone.argmax(axis=1)
    crowd = clone.sum(axis=1).astype(np.float64)
    spread = odds[np.ix_(first, first)] / crowd[None, :]
    total = 1.0 + spread.sum(axis=1)
    own = clone & ~np.eye(len(clone), dtype=bool)
    share = np.where(own.any(axis=1), fitted.clone_parent, 0.0)
    parent = (1.0 - share)[:, None] * spread / total[:, None] + share[:, None] * own / np.maximum(crowd - 1, 1)[:, None]
    full = {name: value[np.ix_(first, first)] for name, value in cues.items()}
    return Judgement(parent, (1.0 - share) / total, kin, clone, full, fitted.cut)
