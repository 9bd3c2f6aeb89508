"""Forests and graphs of any odds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.graph import ancestors, check_acyclic
from hub_lineage.judge import Judgement
from hub_lineage.phylogeny import HIDDEN, Forest, forest, graph, kinship
from hub_lineage.types import Graph, Node
from tests.strategies import OFTEN, judgements


def nodes(judgement: Judgement) -> list[Node]:
    return [Node(f"org/m{k}", f"rev{k}", "model", "mit") for k in range(len(judgement.none))]


def known(odds: dict[tuple[int, int], float], count: int) -> Judgement:
    """Odds by child and candidate in one family without clones."""
    parent = np.zeros((count, count))
    for pair, share in odds.items():
        parent[pair] = share
    kin = np.ones((count, count), dtype=bool)
    return Judgement(
        parent, 1 - parent.sum(axis=1), kin, np.eye(count, dtype=bool), {"cosine": np.full((count, count), 0.5)}, 0.5
    )


def drawn(judgement: Judgement, focus: int = 0, generations: int = 4, siblings: int = 24) -> Graph:
    return graph(forest(judgement), judgement, nodes(judgement), focus, generations=generations, siblings=siblings)


def pairs(found: Graph) -> set[tuple[str, str]]:
    return {(edge.parent.removeprefix("org/"), edge.child.removeprefix("org/")) for edge in found.edges}


@given(judgements())
@OFTEN
def test_a_forest_has_no_cycle_and_takes_no_parent_less_likely_than_none(judgement: Judgement) -> None:
    found = forest(judgement)
    for model, parent in enumerate(found.parent):
        line = found.ancestors(model)  # would not end on a cycle
        assert model not in line
        assert len(set(line)) == len(line)
        if parent >= 0:
            assert judgement.parent[model, parent] > judgement.none[model]
            assert found.component[model] == found.component[parent]


@given(judgements())
@OFTEN
def test_the_likeliest_parent_is_taken_unless_it_closes_a_cycle(judgement: Judgement) -> None:
    found = forest(judgement)
    for model, parent in enumerate(found.parent):
        odds = judgement.parent[model]
        taken = odds[parent] if parent >= 0 else judgement.none[model]
        for better in np.flatnonzero(odds > max(taken, judgement.none[model])):
            assert model in [better, *found.ancestors(int(better))]


@given(judgements(), st.integers(0, 8), st.integers(0, 5), st.integers(1, 24))
@OFTEN
def test_a_graph_of_any_odds_is_a_lineage(judgement: Judgement, focus: int, generations: int, siblings: int) -> None:
    focus %= len(judgement.none)
    found = drawn(judgement, focus, generations, siblings)
    check_acyclic(found)
    named = {node.id for node in found.nodes}
    assert f"org/m{focus}" in named
    kin = {f"org/m{k}" for k in np.flatnonzero(judgement.kin[focus])}
    assert named <= kin | {f"{HIDDEN}1"}
    children = [edge.child for edge in found.edges]
    assert len(children) == len(set(children)), "more than one parent"
    assert all(0 <= (edge.probability or 0) <= 1 and edge.detected and not edge.declared for edge in found.edges)


@given(judgements(), st.integers(0, 8))
@OFTEN
def test_a_hidden_ancestor_stands_only_above_several_tops_of_several_bodies(judgement: Judgement, focus: int) -> None:
    focus %= len(judgement.none)
    found = drawn(judgement, focus)
    tops = np.flatnonzero((forest(judgement).parent < 0) & judgement.kin[focus])
    bodies = {int(judgement.clone[top].argmax()) for top in tops}
    hidden = [node for node in found.nodes if node.kind == "hidden"]
    assert len(hidden) == (len(bodies) > 1 and len(forest(judgement).ancestors(focus)) <= 4)
    for node in hidden:
        below = [edge for edge in found.edges if edge.parent == node.id]
        assert len(below) > 1
        assert all(edge.relation is None for edge in below)


@given(judgements())
@OFTEN
def test_duplicates_are_edges_between_equal_bodies(judgement: Judgement) -> None:
    for edge in drawn(judgement).edges:
        if edge.relation is not None:
            parent, child = (int(name.removeprefix("org/m")) for name in (edge.parent, edge.child))
            assert (edge.relation == "duplicate") == judgement.clone[child, parent]


@given(judgements(clones=False))
@OFTEN
def test_kinship_is_seen_alike_from_both_sides(judgement: Judgement) -> None:
    found = forest(judgement)
    opposite = {
        "parent": "descendant",
        "ancestor": "descendant",
        "sibling": "sibling",
        "cousin": "cousin",
        "unrelated": "unrelated",
    }
    for child in range(len(judgement.none)):
        assert [kinship(found, judgement, child, k) for k in range(len(judgement.none)) if k != child].count("parent") <= 1
        for candidate in range(len(judgement.none)):
            if child == candidate:
                continue
            here, there = kinship(found, judgement, child, candidate), kinship(found, judgement, candidate, child)
            assert (here == "parent") == (found.parent[child] == candidate)
            assert (here == "unrelated") == (not judgement.kin[child, candidate])
            if here == "descendant":
                assert there in {"parent", "ancestor"}
            else:
                assert there == opposite[here]


@given(judgements())
@OFTEN
def test_a_graph_of_all_generations_holds_every_known_ancestor(judgement: Judgement) -> None:
    found = drawn(judgement, generations=99, siblings=99)
    line = {f"org/m{k}" for k in forest(judgement).ancestors(0)}
    assert line <= ancestors(found, "org/m0")


#        0
#     1      2
#   3   4    5
#   6
TREE = {(1, 0): 0.9, (2, 0): 0.8, (3, 1): 0.7, (4, 1): 0.6, (5, 2): 0.9, (6, 3): 0.95}


def test_every_kinship_of_a_known_tree() -> None:
    judgement = known(TREE, 7)
    found = forest(judgement)
    assert found.parent.tolist() == [-1, 0, 0, 1, 1, 2, 3]
    assert [kinship(found, judgement, 3, k) for k in (1, 0, 4, 6, 2, 5)] == [
        "parent",
        "ancestor",
        "sibling",
        "descendant",
        "cousin",
        "cousin",
    ]


def test_the_graph_of_a_known_tree_has_no_cousins() -> None:
    found = drawn(known(TREE, 7), focus=3)
    assert pairs(found) == {("m0", "m1"), ("m1", "m3"), ("m1", "m4"), ("m3", "m6")}
    assert {node.id: (node.revision, node.license) for node in found.nodes}["org/m3"] == ("rev3", "mit")
    assert {(edge.child, edge.probability) for edge in found.edges} >= {("org/m3", 0.7), ("org/m6", 0.95)}


@pytest.mark.parametrize(
    ("generations", "expected"), [(0, set()), (1, {("m3", "m6"), ("m6", "m7")}), (2, {("m1", "m3"), ("m3", "m6"), ("m6", "m7")})]
)
def test_generations_limit_the_graph(generations: int, expected: set[tuple[str, str]]) -> None:
    chain = known({(1, 0): 0.9, (3, 1): 0.9, (6, 3): 0.9, (7, 6): 0.9, (2, 0): 0.9, (4, 0): 0.9, (5, 0): 0.9}, 8)
    assert pairs(drawn(chain, focus=6, generations=generations)) == expected


def test_siblings_are_limited_the_likest_first() -> None:
    judgement = known({(k, 0): 0.5 + k / 100 for k in range(1, 30)}, 30)
    found = drawn(judgement, focus=1, siblings=5)
    assert {child for _, child in pairs(found)} == {"m1", "m29", "m28", "m27", "m26", "m25"}


def test_two_tops_of_one_family_hang_from_a_hidden_ancestor() -> None:
    found = drawn(known({(1, 0): 0.9, (3, 2): 0.9}, 4), focus=1)
    assert pairs(found) == {("m0", "m1"), (f"{HIDDEN}1", "m0"), (f"{HIDDEN}1", "m2")}
    assert ":" in HIDDEN, "no ID on the Hub holds one"


def test_odds_that_go_round_lose_their_weakest() -> None:
    assert forest(known({(0, 1): 0.9, (1, 2): 0.8, (2, 0): 0.7}, 3)).parent.tolist() == [1, 2, -1]


def test_copies_without_a_parent_hang_from_one_another_and_not_from_a_hidden_ancestor() -> None:
    alone = known({}, 3)
    copies = replace(alone, clone=np.ones((3, 3), dtype=bool), cues={})
    assert pairs(drawn(copies)) == {("m1", "m0"), ("m1", "m2")}
    assert {edge.relation for edge in drawn(copies).edges} == {"duplicate"}
    assert [kinship(forest(copies), copies, 0, k) for k in (1, 2)] == ["duplicate", "duplicate"]


def test_ancestors_come_nearest_first() -> None:
    line = Forest(np.array([1, 2, -1]), np.zeros(3, dtype=np.intp))
    assert line.ancestors(0) == [1, 2]
    assert line.ancestors(2) == []
