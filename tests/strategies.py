"""All Hypothesis strategies for the pure middle, and how often a law is tried."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub_lineage.family import Matrix
from hub_lineage.judge import Judgement
from hub_lineage.trees import Trees
from hub_lineage.types import Fingerprint, Sample

_FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
OFTEN = settings(max_examples=100, deadline=None, suppress_health_check=_FIXTURES)
SELDOM = settings(max_examples=20, deadline=None, suppress_health_check=_FIXTURES)

seeds = st.integers(0, 2**32 - 1)
names = st.text(st.characters(codec="utf-8"), max_size=30)
shapes = st.lists(st.integers(1, 70), max_size=4).map(tuple)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@st.composite
def orders(draw: st.DrawFn, count: int) -> NDArray[np.intp]:
    """A permutation of so many things."""
    return np.array(draw(st.permutations(range(count))), dtype=np.intp)


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """The JSON of a safetensors header, from almost right to all wrong."""
    entry = st.fixed_dictionaries(
        {},
        optional={
            "dtype": st.sampled_from(["F32", "F16", "BF16", "F4", "F6_E2M3", "I64", "X", ""]) | json_values,
            "shape": st.lists(st.sampled_from([0, 1, 2, 3, 4, 8, -1, 2**40, 2**70, 1.5]), max_size=4) | json_values,
            "data_offsets": st.lists(st.sampled_from([0, 4, 8, 16, 32, 64, -4, 2**60, 0.5, True]), max_size=3) | json_values,
        },
    )
    table = draw(st.dictionaries(st.text(max_size=6) | st.just("__metadata__"), entry | json_values, max_size=4) | json_values)
    return json.dumps(table, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@st.composite
def hostile_files(draw: st.DrawFn) -> bytes:
    """Bytes of a file that may or may not be safetensors."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    header = draw(headers() | st.binary(max_size=60))
    length = draw(st.just(len(header)) | st.integers(0, 2**64 - 1) | st.integers(0, 200))
    return length.to_bytes(8, "little") + header + draw(st.binary(max_size=80))


@st.composite
def fingerprints(draw: st.DrawFn) -> Fingerprint:
    """Any fingerprint, meaningful or not."""
    samples = st.builds(Sample, shapes, st.sampled_from(["F32", "BF16", "F4"]), st.binary(max_size=40), names)
    return Fingerprint(draw(names), draw(names), draw(st.integers(0, 2**60)), tuple(draw(st.lists(samples, max_size=6))))


@dataclass(frozen=True)
class AdditiveTree:
    """Distances along a tree with what a tree says of its taxa, worked out by walking it."""

    distance: Matrix
    pendant: Matrix
    between: Matrix
    joints: Matrix


@st.composite
def additive_trees(draw: st.DrawFn) -> AdditiveTree:
    """A binary tree with 3 to 9 taxa; branches between joints are positive, those of taxa may have no length."""
    count = draw(st.integers(3, 9))
    inner, own = st.floats(0.1, 5.0), st.just(0.0) | st.floats(0.1, 5.0)
    branches: dict[tuple[int, int], float] = {(taxon, count): draw(own) for taxon in range(3)}
    for taxon in range(3, count):
        joint = count + taxon - 2
        a, b = draw(st.sampled_from(sorted(branches)))
        length = branches.pop((a, b))
        if a < count:  # the branch of a taxon keeps its length; a new one leads on to where it stood
            branches |= {(a, joint): length, (b, joint): draw(inner)}
        else:
            branches |= {(a, joint): draw(inner), (b, joint): draw(inner)}
        branches[taxon, joint] = draw(own)
    return _walked(count, branches)


def _walked(count: int, branches: dict[tuple[int, int], float]) -> AdditiveTree:
    ways: dict[int, list[tuple[int, float]]] = {}
    for (a, b), length in branches.items():
        ways.setdefault(a, []).append((b, length))
        ways.setdefault(b, []).append((a, length))
    pendant = np.array([ways[taxon][0][1] for taxon in range(count)])
    distance, joints = np.zeros((count, count)), np.zeros((count, count))
    for start in range(count):
        front = [(start, -1, 0.0, 0)]
        while front:
            node, came, far, hops = front.pop()
            if node < count and node != start:
                distance[start, node], joints[start, node] = far, hops - 1
            front += [(other, node, far + length, hops + 1) for other, length in ways[node] if other != came]
    between = distance - pendant[:, None] - pendant[None, :]
    np.fill_diagonal(between, 0.0)
    return AdditiveTree(distance, pendant, between, joints)


@st.composite
def judgements(draw: st.DrawFn, clones: bool = True) -> Judgement:
    """Any odds over 1 to 9 models, with any kin and clones that are equivalences, clones being kin."""
    count = draw(st.integers(1, 9))
    random = np.random.default_rng(draw(seeds))
    weight = random.random((count, count)) ** draw(st.sampled_from([1, 4, 12]))
    if draw(st.booleans()):  # odds that tie
        weight = np.round(weight * 2)
    np.fill_diagonal(weight, 0.0)
    body = np.array(draw(st.lists(st.integers(0, 3 if clones else 0), min_size=count, max_size=count)))
    body = body if clones else np.arange(count)
    group = np.array(draw(st.lists(st.integers(0, 2), min_size=10, max_size=10)))[body]
    kin = group[:, None] == group[None, :]
    weight *= kin
    total = weight.sum(axis=1) + draw(st.sampled_from([0.01, 0.3, 2.0]))
    cosine = np.where(kin, random.random((count, count)), 0.0)
    cut = draw(st.floats(0.05, 0.95))
    return Judgement(
        weight / total[:, None], 1.0 - weight.sum(axis=1) / total, kin, body[:, None] == body[None, :], {"cosine": cosine}, cut
    )


@st.composite
def boosted(draw: st.DrawFn) -> Trees:
    """Boosted trees over three features, of any form."""
    random = np.random.default_rng(draw(seeds))
    nodes: list[list[Any]] = []  # feature, threshold, left, right, value

    def grow(depth: int) -> tuple[int, int]:
        place = len(nodes)
        nodes.append([0, 0.0, place, place, float(random.normal())])
        if depth == 0 or random.random() < 0.3:
            return place, 0
        (left, one), (right, other) = grow(depth - 1), grow(depth - 1)
        nodes[place] = [int(random.integers(3)), float(np.round(random.normal(), 2)), left, right, 0.0]
        return place, 1 + max(one, other)

    grown = [grow(draw(st.integers(0, 4))) for _ in range(draw(st.integers(1, 4)))]
    feature, threshold, left, right, value = (list(column) for column in zip(*nodes, strict=True))
    return Trees(
        names=("a", "b", "c"),
        base=float(random.normal()),
        roots=np.array([place for place, _ in grown], dtype=np.int32),
        feature=np.array(feature, dtype=np.int32),
        threshold=np.array(threshold),
        left=np.array(left, dtype=np.int32),
        right=np.array(right, dtype=np.int32),
        value=np.array(value),
        depth=max(depth for _, depth in grown),
    )
