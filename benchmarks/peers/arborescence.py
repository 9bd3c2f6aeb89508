"""The cheapest directed tree over all of a graph's nodes: Chu and Liu 1965, Edmonds 1967."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Matrix

Parents = NDArray[np.intp]
"""The place of each model's parent, or -1 where it has none; shape [K]."""


def arborescence(cost: Matrix) -> Parents:
    """The parents that make one tree of K nodes at the least sum of costs, the root -1, whichever root is best.

    ``cost`` [K, K] holds the child in the row and its parent in the column; its diagonal isn't read. It must be finite
    elsewhere.
    """
    count = len(cost)
    apart = cost[~np.eye(count, dtype=bool)]
    dear = 1.0 + count * float(np.ptp(apart)) if apart.size else 1.0
    grounded = np.full((count + 1, count + 1), np.inf)  # the last node is above all, and so dear that one alone hangs from it
    grounded[:count, :count] = cost
    grounded[:count, count] = (float(apart.max()) if apart.size else 0.0) + dear
    np.fill_diagonal(grounded, np.inf)
    parent = _cheapest(grounded, count)[:count]
    parent[parent == count] = -1
    return parent


def _cheapest(cost: Matrix, root: int) -> Parents:
    """The cheapest parents below a given root, its own -1: the best edges, their cycles shrunk to one node and opened again."""
    parent: Parents = cost.argmin(axis=1)
    parent[root] = -1
    cycle = _cycle(parent)
    if not len(cycle):
        return parent
    others = np.setdiff1d(np.arange(len(cost)), cycle)
    instead = cost[cycle] - cost[cycle, parent[cycle]][:, None]  # what another parent costs a member of the cycle more
    entry, leave = cycle[instead.argmin(axis=0)], cycle[cost[:, cycle].argmin(axis=1)]
    small = np.full((len(others) + 1, len(others) + 1), np.inf)  # the cycle is its last node
    small[:-1, :-1] = cost[np.ix_(others, others)]
    small[:-1, -1] = cost[others, leave[others]]
    small[-1, :-1] = instead.min(axis=0)[others]
    found = _cheapest(small, int(np.flatnonzero(others == root)[0]))
    for place, child in enumerate(others):
        if child != root:
            parent[child] = leave[child] if found[place] == len(others) else others[found[place]]
    above = others[found[-1]]
    parent[entry[above]] = above
    return parent


def _cycle(parent: Parents) -> Parents:
    """The members of one cycle, or nobody."""
    for start in range(len(parent)):
        line: list[int] = []
        node = start
        while node >= 0 and node not in line:
            line.append(node)
            node = int(parent[node])
        if node >= 0:
            return np.array(line[line.index(node) :], dtype=np.intp)
    return np.empty(0, dtype=np.intp)
