"""The likeliest acyclic whole of many claims: a maximum branching, after Chu and Liu (1965) and Edmonds (1967)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Matrix

NOBODY = -1


def maximum_branching(gain: Matrix) -> NDArray[np.intp]:
    """For each of K nodes its parent, or -1, so that there is no cycle and the sum of gains is the greatest there is.

    ``gain`` [K, K], child in the row, says what a parent adds over having none; only what is above 0 is ever taken. As
    log odds against "none", the greatest sum is the likeliest whole. Where every node takes its best parent and a cycle
    comes of it, the cycle is drawn together into one node, the smaller problem is solved, and the cycle opened where
    that costs least. Ties go to the first. Time grows with the cube of K at the most.
    """
    drawn: list[_Drawn] = []
    parent = _best(gain)
    while (cycle := _cycle(parent)) is not None:
        step, gain = _draw_together(gain, parent, cycle)
        drawn.append(step)
        parent = _best(gain)
    for step in reversed(drawn):
        parent = step.opened(parent)
    return parent


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A cycle drawn together, as the last node of a problem that has the others in their order before it."""

    parent: NDArray[np.intp]  # [K], as it was with the cycle
    cycle: NDArray[np.intp]  # its nodes
    kept: NDArray[np.intp]  # all others
    enters: NDArray[np.intp]  # for each kept node the node of the cycle that it would best be the parent of
    leaves: NDArray[np.intp]  # for each kept node its best parent in the cycle
    weakest: int  # the node of the cycle that is given up for least

    def opened(self, smaller: NDArray[np.intp]) -> NDArray[np.intp]:
        """The parents of all K nodes from those of the smaller problem."""
        found = self.parent.copy()
        for place, node in enumerate(self.kept):
            above = int(smaller[place])
            found[node] = NOBODY if above == NOBODY else self.leaves[place] if above == len(self.kept) else self.kept[above]
        above = int(smaller[-1])
        if above == NOBODY:
            found[self.weakest] = NOBODY
        else:
            found[self.enters[above]] = self.kept[above]
        return found


def _best(gain: Matrix) -> NDArray[np.intp]:
    """The best parent of each node, or none where none gains anything."""
    alone = gain.copy()
    np.fill_diagonal(alone, -np.inf)
    best = alone.argmax(axis=1)
    return np.where(alone[np.arange(len(gain)), best] > 0, best, NOBODY).astype(np.intp)


def _cycle(parent: NDArray[np.intp]) -> NDArray[np.intp] | None:
    """The nodes of one cycle; None where there is none."""
    seen = np.full(len(parent), NOBODY)
    for start in range(len(parent)):
        node = start
        while node != NOBODY and seen[node] == NOBODY:
            seen[node] = start
            node = int(parent[node])
        if node != NOBODY and seen[node] == start:
            found = [node]
            while (node := int(parent[node])) != found[0]:
                found.append(node)
            return np.array(sorted(found), dtype=np.intp)
    return None


def _draw_together(gain: Matrix, parent: NDArray[np.intp], cycle: NDArray[np.intp]) -> tuple[_Drawn, Matrix]:
    """The problem with a cycle as one node, whose gains are over the cycle without its weakest claim."""
    kept = np.setdiff1d(np.arange(len(gain)), cycle).astype(np.intp)
    held = gain[cycle, parent[cycle]]  # what each node of the cycle gains from it
    smaller = np.full((len(kept) + 1, len(kept) + 1), -np.inf)
    smaller[:-1, :-1] = gain[np.ix_(kept, kept)]
    out, into = gain[np.ix_(kept, cycle)], gain[np.ix_(cycle, kept)] - held[:, None]
    smaller[:-1, -1] = out.max(axis=1, initial=-np.inf)
    smaller[-1, :-1] = into.max(axis=0, initial=-np.inf) + held.min()
    return _Drawn(parent, cycle, kept, cycle[into.argmax(axis=0)], cycle[out.argmax(axis=1)], int(cycle[held.argmin()])), smaller
