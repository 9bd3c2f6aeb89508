"""Forests and graphs of any odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.graph import ancestors, check_acyclic, pieces
from hub_lineage.judge import Judgement
from hub_lineage.phylogeny import HIDDEN, Forest, bodies, forest, graph, kinship, whole
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
            assert bodies(judgement)[model, parent] > judgement.none[model]
            assert found.component[model] == found.component[parent]


@given(judgements())
@OFTEN
def test_the_likeliest_parent_is_taken_unless_it_closes_a_cycle(judgement: Judgement) -> None:
    found = forest(judgement)
    for model, parent in enumerate(found.parent):
        odds = bodies(judgement)[model]
        taken = odds[parent] if parent >= 0 else judgement.none[model]
        for better in np.flatnonzero(odds > max(taken, judgement.none[model])):
            assert model in [better, *found.ancestors(int(better))]


def test_copies_of_a_parent_count_together_and_the_first_is_named() -> None:
    judgement = known({(0, 1): 0.3, (0, 2): 0.3, (0, 3): 0.02}, 4)
    clone = np.eye(4, dtype=bool)
    clone[1, 2] = clone[2, 1] = True
    judgement = replace(judgement, clone=clone)
    found = forest(judgement)
    assert int(found.parent[0]) == 1
    assert [kinship(found, judgement, 0, k) for k in (1, 2)] == ["parent", "parent"]
    np.testing.assert_allclose(bodies(judgement)[0], [0.0, 0.6, 0.6, 0.02])
    assert pairs(drawn(judgement)) >= {("m1", "m0")}


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


def likelihood(judgement: Judgement, parent: Sequence[int]) -> float:
    """The logarithm of the odds of a whole: of each parent, or of none."""
    none, odds = np.maximum(judgement.none, 1e-300), bodies(judgement)
    return float(sum(np.log(odds[c, p] if p >= 0 else none[c]) for c, p in enumerate(parent)))


@given(judgements().filter(lambda judgement: len(judgement.none) <= 4))
@OFTEN
def test_no_acyclic_choice_of_parents_is_likelier_than_the_forest(judgement: Judgement) -> None:
    count = len(judgement.none)
    choices = [[-1, *(k for k in range(count) if bodies(judgement)[child, k] > 0)] for child in range(count)]
    wholes = [parent for parent in product(*choices) if ends(parent)]
    best = max(likelihood(judgement, parent) for parent in wholes)
    assert likelihood(judgement, forest(judgement).parent.tolist()) == pytest.approx(best)


def ends(parent: Sequence[int]) -> bool:
    """Whether every line of ancestors ends."""
    for start in range(len(parent)):
        node = start
        for _ in parent:
            node = parent[node] if node >= 0 else -1
        if node >= 0:
            return False
    return True


def test_the_surest_claim_gives_way_where_the_whole_is_likelier() -> None:
    """0 and 1 claim each other; the surer of the two would cost more than it is worth: .52 * .24 < .46 * .51."""
    judgement = known({(0, 1): 0.52, (0, 2): 0.46, (1, 0): 0.51, (1, 2): 0.24, (1, 3): 0.24}, 4)
    assert forest(judgement).parent.tolist() == [2, 0, -1, -1]


@given(judgements())
@OFTEN
def test_a_whole_family_hangs_from_one_root_and_who_has_no_kin_stands_alone(judgement: Judgement) -> None:
    found = whole(forest(judgement), judgement, nodes(judgement))
    check_acyclic(found)
    models = {node.id for node in found.nodes if node.kind == "model"}
    assert models == {node.id for node in nodes(judgement)}
    children = [edge.child for edge in found.edges]
    assert len(children) == len(set(children)), "more than one parent"
    for piece in pieces(found):
        names = {node.id for node in piece.nodes}
        roots = names - {edge.child for edge in piece.edges}
        assert len(roots) == 1
        places = [int(name.removeprefix("org/m")) for name in names & models]
        assert names & models == {f"org/m{k}" for k in np.flatnonzero(judgement.kin[places[0]])}
        hidden = names - models
        assert hidden in (set(), roots)
        for name in hidden:
            assert sum(edge.parent == name for edge in piece.edges) > 1


@given(judgements())
@OFTEN
def test_an_edge_of_a_whole_is_as_sure_as_its_odds(judgement: Judgement) -> None:
    for edge in whole(forest(judgement), judgement, nodes(judgement)).edges:
        child = int(edge.child.removeprefix("org/m"))
        if edge.parent.startswith(HIDDEN):
            assert edge.probability == pytest.approx(judgement.none[child], abs=1e-4)
        else:
            assert edge.probability == pytest.approx(bodies(judgement)[child, int(edge.parent.removeprefix("org/m"))], abs=1e-4)


@given(judgements(), st.integers(1, 5))
@OFTEN
def test_some_families_alone_are_those_of_the_whole(judgement: Judgement, first: int) -> None:
    everything = whole(forest(judgement), judgement, nodes(judgement))
    members = np.flatnonzero(judgement.kin[0]).tolist()
    found = whole(forest(judgement), judgement, nodes(judgement), members, first=first)
    assert {node.id for node in found.nodes if node.kind == "model"} == {f"org/m{k}" for k in members}
    assert {node.id for node in found.nodes if node.kind == "hidden"} <= {f"{HIDDEN}{first}"}
    names = {node.id for node in found.nodes}
    assert pairs(replace(found, edges=tuple(e for e in found.edges if e.parent in names and ":" not in e.parent))) == {
        (e.parent.removeprefix("org/"), e.child.removeprefix("org/"))
        for e in everything.edges
        if e.parent in names and ":" not in e.parent
    }


def test_two_models_without_known_parents_are_no_more_than_cousins() -> None:
    """Something stands above both; that it is the parent of both nobody knows."""
    judgement = known({(1, 0): 0.9, (3, 2): 0.9}, 5)
    found = forest(judgement)
    assert {kinship(found, judgement, a, b) for a, b in ((0, 2), (2, 4), (1, 3), (0, 3), (4, 1))} == {"cousin"}


def test_children_of_two_copies_of_one_body_are_siblings() -> None:
    judgement = known({(2, 0): 0.9, (3, 1): 0.9}, 4)
    clone = judgement.clone.copy()
    clone[0, 1] = clone[1, 0] = True
    copies = replace(judgement, clone=clone)
    assert kinship(forest(copies), copies, 2, 3) == "sibling"
    assert kinship(forest(judgement), judgement, 2, 3) == "cousin"
