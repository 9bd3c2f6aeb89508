"""The likeliest tree with hidden nodes: Brownian motion along branches, each branch with a shrinkage of its own.

With increments that know nothing of each other, correlations multiply along paths, whatever weight decay took, so a family
is a Gaussian tree whose hidden nodes stand for models that aren't in sight. Its branches are fitted by expectation and
maximisation, its shape by the spanning tree of the expected correlations (structural EM: Friedman, Ninio, Pe'er and Pupko
2002; latent Gaussian trees: Choi, Tan, Anandkumar and Willsky 2011). What it costs in likelihood that a model stands right
at the joint where its branch begins tells whether others can hang below it; what it costs that a child hangs right below
a candidate tells whether it does. Costs are in nats a coordinate, and also in nats of as many coordinates as explain how far
the best tree is from the family: increments aren't quite independent, and coordinates aren't either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Family, Matrix

Edges = NDArray[np.intp]
_SURE = 1.0 - 1e-6  # a correlation that is still a branch
_LEAST = 1e-3
_SHAPES = 5  # spanning trees
_STEPS = 4  # of expectation and maximisation for each shape
_LAST = 15
_COORDINATES = 300.0  # as many as explain a misfit in a family where no more is known, from the training split
_FAINTEST = 1e-6  # the least eigenvalue of a correlation matrix that is more than rounding


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree over n nodes, of which the first K are models and the others hidden.

    ``edges`` [n - 1, 2]: the nodes that each branch joins. ``strength`` [n - 1]: their correlation, between 0 and 1.
    """

    edges: Edges
    strength: Matrix
    nodes: int

    def neighbours(self) -> list[list[tuple[int, int]]]:
        """For each node its neighbours, each with the number of the branch between."""
        found: list[list[tuple[int, int]]] = [[] for _ in range(self.nodes)]
        for branch, (one, other) in enumerate(self.edges.tolist()):
            found[one].append((other, branch))
            found[other].append((one, branch))
        return found

    def part(self, chosen: NDArray[np.intp]) -> Tree:
        """The branches among some of its nodes, which are numbered anew in the order given."""
        place = np.full(self.nodes, -1, dtype=np.intp)
        place[chosen] = np.arange(len(chosen))
        kept = (place[self.edges] >= 0).all(axis=1)
        return Tree(place[self.edges[kept]], self.strength[kept], len(chosen))


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    count = len(family)
    correlation = np.clip(family.cosine, 0.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    tree = fit(correlation)
    likelihood = log_likelihood(correlation, tree)
    coordinates = _coordinates(correlation, likelihood)
    joint = joint_costs(correlation, tree)
    direct, gain = direct_costs(correlation, tree)
    length, own, hidden = paths(tree, count)
    share = own / np.maximum(length, 1e-9)
    everywhere = np.ones((count, 1))
    found = {
        "joint_cost": everywhere * joint,
        "joint_cost_nats": everywhere * _deviations(coordinates * joint),
        "direct_cost": direct,
        "direct_cost_nats": _deviations(coordinates * direct),
        "direct_cost_share": np.clip(direct / np.maximum(gain, 1e-9), -5.0, 5.0),
        "hidden_between": hidden,
        "hidden_own": own.T,
        "hidden_own_share": share.T,
    }
    child = {
        f"{name}_of_child": found[name].T.copy() for name in ("joint_cost", "joint_cost_nats", "hidden_own", "hidden_own_share")
    }
    found |= child | {"direct_cost_reversed": direct.T.copy(), "tree_coordinates": np.full((count, count), np.log(coordinates))}
    for value in found.values():
        np.fill_diagonal(value, 0.0)
    return found


def _deviations(nats: Matrix) -> Matrix:
    """Nats as standard deviations, about, but smooth at 0, where rounding must not show."""
    deviations: Matrix = np.sign(nats) * (np.sqrt(1.0 + 2.0 * np.abs(nats)) - 1.0)
    return deviations


def fit(correlation: Matrix) -> Tree:
    """The likeliest tree of correlations, shape [K, K], that structural EM finds from average linkage."""
    tree = _linked(correlation)
    for _ in range(_SHAPES):
        tree = refined(correlation, tree, _STEPS)
        expected = _expected(correlation, tree)
        tree = Tree(*_spanning(expected), tree.nodes)
    return refined(correlation, _trimmed(tree, len(correlation)), _LAST)


def refined(correlation: Matrix, tree: Tree, steps: int) -> Tree:
    """The tree after so many steps of expectation and maximisation of its branches, its shape left as it is."""
    one, other = tree.edges.T
    for _ in range(steps):
        tree = Tree(tree.edges, _expected(correlation, tree)[one, other], tree.nodes)
    return tree


def log_likelihood(correlation: Matrix, tree: Tree) -> float:
    """Nats a coordinate, by how many the tree explains the correlations better than no kinship at all."""
    count = len(correlation)
    precision = _precision(tree)
    determinant = -np.log1p(-np.square(tree.strength)).sum()
    seen = precision[:count, :count]
    if tree.nodes > count:
        hidden, across = precision[count:, count:], precision[count:, :count]
        determinant -= np.linalg.slogdet(hidden)[1]
        seen = seen - across.T @ np.linalg.solve(hidden, across)
    return float(determinant - (seen * correlation).sum() + count) / 2


def joint_costs(correlation: Matrix, tree: Tree) -> Matrix:
    """For each model the nats that it costs to stand right at the joint where its branch begins, shape [K]; 0 at joints."""
    count = len(correlation)
    best = log_likelihood(correlation, tree)
    costs = np.zeros(count)
    for model, around in enumerate(tree.neighbours()[:count]):
        if len(around) == 1 and around[0][0] >= count:
            merged = refined(correlation, _merged(tree, model, *around[0]), _STEPS)
            costs[model] = max(best - log_likelihood(correlation, merged), 0.0)
    return costs


def direct_costs(correlation: Matrix, tree: Tree) -> tuple[Matrix, Matrix]:
    """The nats that it costs to hang a child right below a candidate, and those won by the best place, shapes [K, K].

    The tree is cut at the child's branch towards the candidate; two models alone are worth -log(1 - r^2) / 2.
    """
    count = len(correlation)
    best = log_likelihood(correlation, tree)
    pairs = -np.log1p(-np.square(np.clip(correlation, 0.0, _SURE))) / 2
    gain = np.zeros((count, count))
    around = tree.neighbours()
    for child in range(count):
        for neighbour, _ in around[child]:
            beyond = _beyond(around, neighbour, child)
            models = np.flatnonzero(beyond[:count])
            parts = sum(_alone(correlation, tree, side) for side in (beyond, ~beyond))
            gain[child, models] = best - parts
    costs = gain - pairs
    np.fill_diagonal(costs, 0.0)
    return costs, gain


def paths(tree: Tree, count: int) -> tuple[Matrix, Matrix, Matrix]:
    """Length of the path between models, of the first model's own branch on it, and hidden nodes on it: each [K, K].

    Lengths are logarithms of correlations. A model that stands at a joint has no branch of its own towards its neighbours
    among the models.
    """
    lengths = -np.log(np.maximum(tree.strength, _LEAST))
    around = tree.neighbours()
    length, own, hidden = np.zeros((3, count, count))
    for start in range(count):
        for first, branch in around[start]:
            waiting = [(first, start, lengths[branch], 0)]
            while waiting:
                node, before, far, unseen = waiting.pop()
                if node < count:
                    length[start, node], hidden[start, node] = far, unseen
                    own[start, node] = lengths[branch]
                further = [(after, lengths[step]) for after, step in around[node] if after != before]
                waiting += [(after, node, far + step, unseen + (node >= count)) for after, step in further]
    return length, own, hidden


def _coordinates(correlation: Matrix, likelihood: float) -> float:
    """As many independent coordinates as explain the misfit of the tree, drawn towards what is usual."""
    count = len(correlation)
    most = -np.log(np.maximum(np.linalg.eigvalsh(correlation), _FAINTEST)).sum() / 2
    freedom = max(count * (count - 1) / 2 - 2 * count + 3, 0.0)
    return float((freedom + 2.0) / (2 * max(most - likelihood, 0.0) + 2.0 / _COORDINATES))


def _expected(correlation: Matrix, tree: Tree) -> Matrix:
    """The correlations of all nodes, hidden ones as the tree expects them given the models, shape [n, n]."""
    count = len(correlation)
    found = np.zeros((tree.nodes, tree.nodes))
    found[:count, :count] = correlation
    if tree.nodes > count:
        precision = _precision(tree)
        spread = np.linalg.inv(precision[count:, count:])
        reading = -spread @ precision[count:, :count]
        found[count:, :count] = reading @ correlation
        found[:count, count:] = found[count:, :count].T
        found[count:, count:] = spread + found[count:, :count] @ reading.T
    scale = np.sqrt(np.maximum(np.diagonal(found), 1e-12))
    return np.clip(found / scale[:, None] / scale[None, :], 0.0, _SURE)


def _precision(tree: Tree) -> Matrix:
    """The inverse of the correlations that a tree gives all its nodes, shape [n, n]."""
    one, other = tree.edges.T
    across = tree.strength / (1.0 - np.square(tree.strength))
    found = np.eye(tree.nodes)
    np.add.at(found, (one, one), tree.strength * across)
    np.add.at(found, (other, other), tree.strength * across)
    found[one, other] = found[other, one] = -across
    return found


def _spanning(correlation: Matrix) -> tuple[Edges, Matrix]:
    """The spanning tree of the strongest correlations (Prim 1957)."""
    left = np.ones(len(correlation), dtype=bool)
    left[0] = False
    best, link = correlation[0].copy(), np.zeros(len(correlation), dtype=np.intp)
    edges = []
    for _ in range(len(correlation) - 1):
        node = int(np.where(left, best, -1.0).argmax())
        edges.append((node, int(link[node])))
        left[node] = False
        nearer = left & (correlation[node] > best)
        best[nearer], link[nearer] = correlation[node, nearer], node
    found = np.array(edges, dtype=np.intp).reshape(-1, 2)
    return found, correlation[found[:, 0], found[:, 1]]


def _linked(correlation: Matrix) -> Tree:
    """A first tree: average linkage of correlations, every joint a hidden node."""
    count = len(correlation)
    total = correlation.astype(np.float64).copy()
    size, names, height = np.ones(count), list(range(count)), np.ones(count)
    edges: list[tuple[int, int]] = []
    strength: list[float] = []
    joint = count
    while len(names) > 1:
        mean = total / size[:, None] / size[None, :]
        np.fill_diagonal(mean, -np.inf)
        one, other = sorted(int(k) for k in np.unravel_index(int(mean.argmax()), mean.shape))
        level = float(np.clip(mean[one, other], _LEAST, 1.0))
        for each in (one, other):
            edges.append((names[each], joint))
            strength.append(float(np.clip(np.sqrt(level / height[each]), _LEAST, 0.9999)))
        kept = [k for k in range(len(names)) if k not in (one, other)]
        row = total[one] + total[other]
        total = np.pad(total[np.ix_(kept, kept)], (0, 1))
        total[-1, :-1] = total[:-1, -1] = row[kept]
        size, height = np.append(size[kept], size[one] + size[other]), np.append(height[kept], min(level, 1.0))
        names = [names[k] for k in kept] + [joint]
        joint += 1
    return _trimmed(Tree(np.array(edges, dtype=np.intp).reshape(-1, 2), np.array(strength), joint), count)


def _trimmed(tree: Tree, count: int) -> Tree:
    """The tree without hidden nodes that join fewer than three branches."""
    around = {node: {other: float(tree.strength[branch]) for other, branch in row} for node, row in enumerate(tree.neighbours())}
    idle = [node for node in around if node >= count and len(around[node]) < 3]
    while idle:
        node = idle.pop()
        ends = list(around.pop(node).items())
        for other, _ in ends:
            del around[other][node]
        if len(ends) == 2:
            (one, first), (other, second) = ends
            around[one][other] = around[other][one] = first * second
        idle += [other for other, _ in ends if other >= count and len(around[other]) < 3 and other not in idle]
    place = {node: k for k, node in enumerate(sorted(around))}
    edges = [(place[a], place[b], s) for a, row in sorted(around.items()) for b, s in sorted(row.items()) if a < b]
    ends_of = np.array([edge[:2] for edge in edges], dtype=np.intp).reshape(-1, 2)
    return Tree(ends_of, np.array([edge[2] for edge in edges], dtype=np.float64), len(place))


def _merged(tree: Tree, model: int, joint: int, branch: int) -> Tree:
    """The tree with a model in the place of the hidden joint where its branch begins."""
    edges = np.delete(tree.edges, branch, axis=0)
    edges[edges == joint] = model
    edges[edges > joint] -= 1
    return Tree(edges, np.delete(tree.strength, branch), tree.nodes - 1)


def _beyond(around: list[list[tuple[int, int]]], start: int, barred: int) -> NDArray[np.bool_]:
    """The nodes that are reached from one without passing another, shape [n]."""
    found = np.zeros(len(around), dtype=bool)
    found[start] = True
    waiting = [start]
    while waiting:
        for node, _ in around[waiting.pop()]:
            if node != barred and not found[node]:
                found[node] = True
                waiting.append(node)
    return found


def _alone(correlation: Matrix, tree: Tree, side: NDArray[np.bool_]) -> float:
    """The nats of one part of a tree."""
    chosen = np.flatnonzero(side)
    models = chosen[chosen < len(correlation)]
    part = tree.part(chosen)
    return log_likelihood(correlation[np.ix_(models, models)], part) if len(part.edges) else 0.0
