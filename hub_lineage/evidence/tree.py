"""Where a candidate stands in the family's tree: norms, origin, Gromov products, and neighbour joining.

Fine-tuning adds increments nearly orthogonal to what came before, so squared distances are nearly additive along the
tree and the origin is where its trunk begins. An inner node of the tree that is a known model has a pendant branch near
zero (neighbour joining: Saitou and Nei 1987; Gromov products: as in the theory of tree metrics).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hub_lineage.family import Family, Matrix, ranks


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    gram, distance = family.gram, family.distance
    count = len(family)
    norms = np.sqrt(np.maximum(np.diagonal(gram), 1e-30))
    steps = np.maximum(distance, 1e-12)
    along = gram - np.diagonal(gram)[None, :]  # <c - p, p>
    rooted = join(with_origin(gram))
    by_angle = -np.log(np.clip(family.cosine, 1e-3, 1.0))  # adds up along paths whatever uniform shrinkage there was
    found = {
        "log_norm_ratio": np.log(norms[:, None] / norms[None, :]),
        "norm_rank": _everywhere(ranks(norms) / count),
        "increment_along_candidate": along / np.sqrt(steps) / norms[None, :],
        "increment_along_child": along.T / np.sqrt(steps) / norms[:, None],
        "shorter_in": _tensor_votes(family),
        "gromov": _gromov(gram),
        "gromov_least": _gromov_least(gram),
        "pendant_and_cosine": pendant_rule(rooted.pendant[:count], family.cosine),
        "joints_to_origin": rooted.joints[:count, count][:, None] - rooted.joints[:count, count][None, :],
    }
    found |= placed("pendant", distance, rooted)
    found |= placed("angle", by_angle, join(by_angle))
    return found


def placed(name: str, distance: Matrix, joined: Joined) -> dict[str, Matrix]:
    """Where child and candidate stand in one tree, by names that begin with ``name``; each of shape [K, K].

    ``distance`` is that of the K models; the tree may have further taxa behind them.
    """
    count = len(distance)
    steps = np.maximum(distance, 1e-12)
    pendant = joined.pendant[:count]
    apart = distance[~np.eye(count, dtype=bool)]
    span = max(float(np.median(apart)) if len(apart) else 1.0, 1e-12)
    return {
        name: _everywhere(pendant / span),
        f"{name}_share": pendant[None, :] / steps,
        f"{name}_share_of_child": pendant[:, None] / steps,
        f"{name}_rank": _everywhere(ranks(pendant)),
        f"{name}_between": joined.between[:count, :count] / steps,
        f"{name}_joints": joined.joints[:count, :count],
    }


def _everywhere(figures: Matrix) -> Matrix:
    """A figure of each candidate for every child."""
    return np.tile(figures, (len(figures), 1))


def pendant_rule(pendant: Matrix, cosine: Matrix) -> Matrix:
    """The shortest pendant branch plus half the cosine, as one figure: the higher, the likelier the parent."""
    rule: Matrix = cosine / 2 - pendant[None, :] / max(float(np.abs(pendant).max()), 1e-12)
    return rule


def _tensor_votes(family: Family) -> Matrix:
    """The share of tensors, by samples, in which c - p leans less on p than on c: what an increment on top of p does."""
    squares = np.diagonal(family.grams, axis1=1, axis2=2)
    on_candidate = np.abs(family.grams - squares[:, None, :]) / np.sqrt(np.maximum(squares, 1e-30))[:, None, :]
    on_child = np.abs(family.grams - squares[:, :, None]) / np.sqrt(np.maximum(squares, 1e-30))[:, :, None]
    votes: Matrix = np.einsum("t,tij->ij", family.sizes / family.sizes.sum(), (on_candidate < on_child).astype(np.float64))
    return votes


def _gromov(gram: Matrix) -> Matrix:
    """The mean over third models i of the cosine of (c - x) and (i - x) at candidate x: small at inner nodes."""
    count = len(gram)
    squares = np.diagonal(gram)
    found = np.zeros((count, count))
    for x in range(count):
        inner = gram - gram[:, [x]] - gram[[x], :] + squares[x]  # <i - x, j - x>
        lengths = np.sqrt(np.maximum(np.diagonal(inner), 1e-12))
        angles = inner / lengths[:, None] / lengths[None, :]
        np.fill_diagonal(angles, 0.0)
        angles[:, x] = angles[x, :] = 0.0
        found[:, x] = angles.sum(axis=1) / max(count - 2, 1)
    return found


def _gromov_least(gram: Matrix) -> Matrix:
    """The least product <c - p, i - p> over third models i and the origin, as a share of |c - p|^2: p's own branch."""
    count = len(gram)
    squares = np.diagonal(gram)
    found = np.zeros((count, count))
    for p in range(count):
        inner = gram - gram[:, [p]] - gram[[p], :] + squares[p]
        to_origin = squares[p] - gram[:, p]  # <c - p, -p>
        np.fill_diagonal(inner, np.inf)
        inner[:, p] = np.inf
        lengths = np.maximum(squares - 2 * gram[:, p] + squares[p], 1e-12)
        found[:, p] = np.clip(np.minimum(inner.min(axis=1), to_origin) / lengths, -3.0, 3.0)
        found[p, p] = 0.0
    return found


def with_origin(gram: Matrix) -> Matrix:
    """Squared distances of the family and, last, of the origin: shape [K + 1, K + 1]."""
    count = len(gram)
    squares = np.append(np.diagonal(gram), 0.0)
    inner = np.zeros((count + 1, count + 1))
    inner[:count, :count] = gram
    distance: Matrix = np.maximum(squares[:, None] + squares[None, :] - 2 * inner, 0.0)
    return distance


@dataclass(frozen=True, slots=True)
class Joined:
    """A tree by neighbour joining over n taxa.

    ``pendant`` [n]: length of each taxon's own branch. ``between`` [n, n]: length of the path between the joints of two
    taxa. ``joints`` [n, n]: joints on the path between two taxa.
    """

    pendant: Matrix
    between: Matrix
    joints: Matrix


def join(distance: Matrix) -> Joined:
    """The tree that neighbour joining fits to distances, shape [n, n]; ties go to the first pair."""
    count = len(distance)
    if count < 3:
        half = distance.sum(axis=1) / 2 if count == 2 else np.zeros(count)
        return Joined(half, np.zeros((count, count)), np.ones((count, count)))
    edges = _edges(distance)
    return _paths(count, edges)


def _edges(distance: Matrix) -> list[tuple[int, int, float]]:
    """The branches (node, joint, length); taxa are 0 to n - 1, joints follow."""
    nodes = list(range(len(distance)))
    table = distance.astype(np.float64).copy()
    edges: list[tuple[int, int, float]] = []
    joint = len(distance)
    while len(nodes) > 3:
        size = len(nodes)
        sums = table.sum(axis=1)
        criterion = (size - 2) * table - sums[:, None] - sums[None, :]
        np.fill_diagonal(criterion, np.inf)
        i, j = sorted(int(k) for k in np.unravel_index(int(criterion.argmin()), criterion.shape))
        first = table[i, j] / 2 + (sums[i] - sums[j]) / (2 * (size - 2))
        edges += [(nodes[i], joint, float(first)), (nodes[j], joint, float(table[i, j] - first))]
        row = (table[i] + table[j] - table[i, j]) / 2
        keep = [k for k in range(size) if k not in (i, j)]
        shrunk = np.zeros((size - 1, size - 1))
        shrunk[:-1, :-1] = table[np.ix_(keep, keep)]
        shrunk[-1, :-1] = shrunk[:-1, -1] = row[keep]
        table, nodes = shrunk, [nodes[k] for k in keep] + [joint]
        joint += 1
    a, b, c = table[0, 1], table[0, 2], table[1, 2]
    for node, length in zip(nodes, ((a + b - c) / 2, (a + c - b) / 2, (b + c - a) / 2), strict=True):
        edges.append((node, joint, float(length)))
    return edges


def _paths(count: int, edges: list[tuple[int, int, float]]) -> Joined:
    """Path lengths by growing the tree backwards from its last joint, negative lengths taken as they are."""
    total = max(max(a, b) for a, b, _ in edges) + 1
    length = np.zeros((total, total))
    hops = np.zeros((total, total))
    placed = [total - 1]
    for node, joint, branch in reversed(edges):
        for other in placed:
            length[node, other] = length[other, node] = length[joint, other] + branch
            hops[node, other] = hops[other, node] = hops[joint, other] + 1
        placed.append(node)
    pendant = np.array([branch for node, _, branch in sorted(edges) if node < count])
    between = length[:count, :count] - pendant[:, None] - pendant[None, :]
    np.fill_diagonal(between, 0.0)
    return Joined(pendant, between, np.maximum(hops[:count, :count] - 1, 0))
