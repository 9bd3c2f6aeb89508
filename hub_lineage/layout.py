"""Where each node of a lineage is drawn: layers, an order within them, coordinates.

A layered drawing after Sugiyama, Tagawa and Toda (1981): generations are rows, the barycentre rule orders them, long
edges pass through waypoints of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from hub_lineage.graph import layers
from hub_lineage.types import Edge, Graph

WIDTH, HEIGHT = 190, 54  # of a node, in SVG units
GAP_X, GAP_Y = 26, 66
WIDEST = 8  # nodes in a row; a wider generation is folded into several rows
SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Layout:
    """Centres of the nodes, the points each edge passes, and the size of the whole."""

    centres: Mapping[str, tuple[float, float]]
    paths: tuple[tuple[Edge, tuple[tuple[float, float], ...]], ...]
    width: float
    height: float


@dataclass(slots=True)
class _Rows:
    """Rows of keys; a key is a node's ID, or ``(edge number, row)`` for a waypoint."""

    rows: list[list[object]]
    up: dict[object, list[object]] = field(default_factory=dict)
    down: dict[object, list[object]] = field(default_factory=dict)

    def join(self, above: object, below: object) -> None:
        """Neighbours pull on each other."""
        self.down.setdefault(above, []).append(below)
        self.up.setdefault(below, []).append(above)


def layout(graph: Graph) -> Layout:
    """Coordinates for a graph; parents always stand above their children."""
    grid, chains = _grid(graph)
    for sweep in range(SWEEPS):
        _order(grid, downwards=sweep % 2 == 0)
    x = _place(grid)
    row_of = {key: i for i, row in enumerate(grid.rows) for key in row}
    spots = {key: (x[key], HEIGHT / 2 + row * (HEIGHT + GAP_Y)) for key, row in row_of.items()}
    width = max(x.values(), default=0.0) + WIDTH / 2
    height = len(grid.rows) * (HEIGHT + GAP_Y) - GAP_Y
    centres = {node.id: spots[node.id] for node in graph.nodes}
    paths = tuple((edge, tuple(spots[key] for key in chain)) for edge, chain in chains)
    return Layout(centres, paths, max(width, WIDTH), max(height, HEIGHT))


def _folded(graph: Graph) -> list[list[object]]:
    """The generations as rows; in a folded one, those that have children come last, nearest to them."""
    level = layers(graph)
    has_children = {edge.parent for edge in graph.edges}
    generations: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in sorted(level, key=lambda name: (name in has_children, name)):
        generations[level[name]].append(name)
    rows: list[list[object]] = []
    for names in generations:
        first = len(names) % WIDEST or WIDEST
        cuts = [0, *range(first, len(names) + 1, WIDEST)]
        rows += [list(names[start:stop]) for start, stop in pairwise(cuts)]
    return rows


def _grid(graph: Graph) -> tuple[_Rows, list[tuple[Edge, list[object]]]]:
    """Rows with waypoints, and the chain of keys that each edge follows."""
    grid = _Rows(_folded(graph))
    row_of = {key: i for i, row in enumerate(grid.rows) for key in row}
    crowded = len(row_of) > WIDEST * WIDEST  # waypoints of a crowd would push its nodes apart
    chains: list[tuple[Edge, list[object]]] = []
    for number, edge in enumerate(sorted(graph.edges, key=lambda e: (e.parent, e.child))):
        between: list[object] = [] if crowded else [(number, row) for row in range(row_of[edge.parent] + 1, row_of[edge.child])]
        for key, row in zip(between, range(row_of[edge.parent] + 1, row_of[edge.child]), strict=not crowded):
            grid.rows[row].append(key)
        chain = [edge.parent, *between, edge.child]
        for above, below in pairwise(chain):
            grid.join(above, below)
        chains.append((edge, chain))
    return grid, chains


def _order(grid: _Rows, *, downwards: bool) -> None:
    """One sweep: each row is sorted by the mean place of its neighbours in the rows passed before."""
    neighbours = grid.up if downwards else grid.down
    place = {key: i - len(row) / 2 for row in grid.rows for i, key in enumerate(row)}
    for row in grid.rows if downwards else reversed(grid.rows):
        row.sort(key=lambda key: _mean([place[near] for near in neighbours.get(key, ())], place[key]))
        place.update({key: i - len(row) / 2 for i, key in enumerate(row)})


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _place(grid: _Rows) -> dict[object, float]:
    """Centres along x: every key wishes to stand at the mean of its neighbours, none nearer than a gap to the next."""
    x = {key: position for row in grid.rows for key, position in zip(row, _spread(row, [0.0] * len(row)), strict=True)}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = grid.up if down else grid.down
        for row in grid.rows if down else reversed(grid.rows):
            wishes = [_mean([x[near] for near in neighbours.get(key, ())], x[key]) for key in row]
            x.update(zip(row, _spread(row, wishes), strict=True))
    left = min((x[key] - _size(key) / 2 for key in x), default=0.0)
    return {key: value - left for key, value in x.items()}


def _size(key: object) -> float:
    return WIDTH if isinstance(key, str) else GAP_X


def _spread(row: list[object], wishes: list[float]) -> list[float]:
    """Places in order, as near to the wishes as the gaps let them: least squares by pooling adjacent violators."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (_size(left) + _size(right)) / 2 + GAP_X)
    pools: list[tuple[float, int]] = []
    for wish, offset in zip(wishes, offsets, strict=False):
        total, count = wish - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    bases = [total / count for total, count in pools for _ in range(count)]
    return [base + offset for base, offset in zip(bases, offsets, strict=False)]
