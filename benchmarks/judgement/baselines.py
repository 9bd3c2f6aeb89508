"""What the judge stands beside in the same run: simple rules, the first judge of ``trace``, and published methods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.judgement.scenes import Scene, judge_at
from benchmarks.peers import PEERS
from benchmarks.ranking import BASELINES, Rule
from hub_lineage.evidence.tree import join, pendant_rule, with_origin
from hub_lineage.family import Family, Matrix
from hub_lineage.judge import Judge, components, groups, judge, shipped
from hub_lineage.read.dtypes import coarser, round_to

FIRST_JUDGE = Path(__file__).with_name("first_judge.json.gz")
"""The boosted trees with which ``trace`` first gave its verdicts."""


def most_equal(family: Family) -> Matrix:
    """The share of values that are equal to the bit once both are rounded to the coarser of two dtypes (Hamming)."""
    values = np.concatenate(family.raw, axis=1)
    words = sorted(set(family.storage))
    shares = {}
    for word in words:
        rounded = round_to(word, values)
        shares[word] = np.array([(row == rounded).mean(axis=1) for row in rounded])
    found = np.zeros((len(family), len(family)))
    for c, one in enumerate(family.storage):
        for p, other in enumerate(family.storage):
            found[c, p] = shares[coarser(one, other)][c, p]
    return found


def shortest_pendant(family: Family, kin_cosine: float) -> Matrix:
    """Minus a candidate's own branch in a tree of the child's kin and the origin, plus half the cosine; strangers last."""
    found = np.full((len(family), len(family)), -np.inf)
    for members in groups(components(family, kin_cosine), np.arange(len(family))):
        kin = family.only(members)
        pendant = join(with_origin(kin.gram)).pendant[: len(members)]
        found[np.ix_(members, members)] = pendant_rule(pendant, kin.cosine)
    return found


def rules(fitted: Judge | None = None, first: Path | None = FIRST_JUDGE) -> dict[str, Rule]:
    """The baselines by name; ``first`` is where the first judge lies."""
    cut = (fitted or shipped()).kin_cosine
    found: dict[str, Rule] = dict(BASELINES)
    found["shortest pendant"] = lambda family: shortest_pendant(family, cut)
    found["Hamming"] = most_equal
    if first is not None:
        earlier = judge_at(first)
        found["first judge"] = lambda family: judge(family, earlier).parent
    return found


def scores(scene: Scene, found: Mapping[str, Rule]) -> dict[str, Matrix]:
    """What each rule and each peer makes of a scene, the judge first; shapes [K, K]. Peers are told the number of roots."""
    family, trees = scene.crowd.family, len({model.root for model in scene.crowd.models})
    told = {"judge": scene.judgement.parent, **{name: rule(family) for name, rule in found.items()}}
    return told | {name: peer.scores(family, trees) for name, peer in PEERS.items()}
