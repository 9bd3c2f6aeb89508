"""Whole families, each judged on its own and made a tree: how many of the true edges stand in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Crowd
from benchmarks.judgement.baselines import FIRST_JUDGE
from benchmarks.judgement.scenes import Scene, judge_at
from benchmarks.judgement.sums import Owner, Sums, figure, total
from benchmarks.peers import PEERS, Peer
from benchmarks.results_file import Figure
from hub_lineage.family import Family
from hub_lineage.judge import Judge, judge
from hub_lineage.phylogeny import forest

FEWEST, MOST = 20, 60
"""Served members of the families that are measured."""
Parents = NDArray[np.intp]
Maker = Callable[[Family], Parents]
"""Makes a family of K models a forest: the place of each one's parent, -1 for none; shape [K]."""


@dataclass(frozen=True, eq=False)
class Whole:
    """All served models that come from one root."""

    owner: Owner
    crowd: Crowd

    def right(self, parents: Parents) -> tuple[int, int]:
        """How many edges of a forest are true, and how many true edges there are."""
        known = self.crowd.parents >= 0
        return int((parents[known] == self.crowd.parents[known]).sum()), int(known.sum())


def wholes(found: Sequence[Scene], fewest: int = FEWEST, most: int = MOST) -> Iterator[Whole]:
    """The whole families of some scenes with so many served members."""
    for scene in found:
        roots = np.array([model.root for model in scene.crowd.models])
        for root in np.unique(roots):
            members = np.flatnonzero(roots == root)
            if fewest <= len(members) <= most:
                yield Whole(scene.owner(int(members[0])), scene.crowd.only(members))


def edges(families: Sequence[Whole], maker: Maker) -> Sums:
    """The share of true edges, both ends served, that the forests of a maker have, direction included."""
    counts = [family.right(maker(family.crowd.family)) for family in families]
    return total([family.owner for family in families], np.array(counts, dtype=np.float64))


def judged_forest(fitted: Judge | None = None) -> Maker:
    """The forest of a judge."""
    return lambda family: forest(judge(family, fitted), whole=True).parent


def peer_forest(peer: Peer) -> Maker:
    """The forest of a peer, which is told that all come from one root."""
    return lambda family: peer.forest(family, 1)


def figures(found: Sequence[Scene], fitted: Judge | None = None, first: Path | None = FIRST_JUDGE) -> list[Figure]:
    """The row about whole families; none where there is no family of that size."""
    families = list(wholes(found))
    if not families:
        return []
    makers = {name: peer_forest(peer) for name, peer in PEERS.items()}
    if first is not None:
        makers["first judge"] = judged_forest(judge_at(first))
    beside = {name: edges(families, maker).value for name, maker in makers.items()}
    mine = edges(families, judged_forest(fitted))
    count = int(sum(family.right(family.crowd.parents)[1] for family in families))
    note = f"whole families of {FEWEST} to {MOST}, {count} edges; peers are told that there is one tree"
    return [figure("judge.tree_edges", mine, ">= .75, aim .85", beside, note=note)]
