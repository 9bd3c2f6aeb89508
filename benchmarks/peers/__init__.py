"""Peers from the literature, written anew from their papers as baselines: every one ranks parents and draws whole forests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.peers import mother, neural_phylogeny
from benchmarks.peers.arborescence import Parents as Parents
from hub_lineage.family import Family, Matrix

__all__ = ["PEERS", "Parents", "Peer"]


@dataclass(frozen=True)
class Peer:
    """A method from the literature; both functions are told how many trees a family holds.

    ``scores`` gives a figure for every ordered pair [K, K], child in the row and the higher, the likelier the parent; minus
    infinity for a model itself. ``forest`` gives the place of each model's parent [K], -1 for the root of each tree.
    """

    scores: Callable[[Family, int], Matrix]
    forest: Callable[[Family, int], Parents]


PEERS = {
    "MoTHer": Peer(mother.scores, mother.forest),
    "Neural Phylogeny": Peer(neural_phylogeny.scores, neural_phylogeny.forest),
}
