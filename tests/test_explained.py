"""What an answer says once the weights show how the child was made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage import explained
from hub_lineage.derivation.nouns import Derivation, Layer
from hub_lineage.graph import check_acyclic, parents
from hub_lineage.types import Candidate, Edge, Fingerprint, Graph, Model, Node, Parent, Verdict

BEFORE = Verdict("family", 0.7, 0.6, "Related to a.", "Crawl more.")
ROWS = (
    Candidate(1, "a", None, 0.3, 0.99, "finetune", "parent"),
    Candidate(2, "b", None, 0.1, 0.98, None, "sibling"),
    Candidate(3, "c", None, 0.0, 0.0, None, "unrelated"),
)
MODELS = [Model(name, None, Fingerprint("hl2", "x", 1, ())) for name in "abcd"]


def made(*named: str, probability: float = 0.98, relation: str = "quantized") -> Derivation:
    shares = [round(1 / len(named), 4)] * len(named)
    found = tuple(Parent(name, None, relation, probability, share) for name, share in zip(named, shares, strict=True))  # type: ignore[arg-type]
    layer = Layer("w", (2, 2), tuple((name, share) for name, share in zip(named, shares, strict=True)), 1e-5)
    return Derivation(found[0].relation, "Q4_0", found, probability, 1e-5, f"Made of {', '.join(named)}.", layers=(layer,))


def test_the_verdict_names_what_it_was_made_of() -> None:
    found = explained.verdict(BEFORE, made("b"))
    assert (found.kind, found.probability, found.none_probability, found.settle) == ("parent", 0.98, 0.02, None)
    assert found.summary == "Made of b."
    assert found.parents[0].relation == "quantized"
    assert explained.verdict(BEFORE, made("a", "b", relation="merge")).kind == "merge"
    assert explained.verdict(BEFORE, made("b", probability=0.8)).settle == "Crawl more."


def test_the_parent_stands_first_and_odds_still_sum_to_one() -> None:
    listed = explained.candidates(ROWS, made("b"), MODELS, 20)
    assert [row.id for row in listed] == ["b", "a", "c"]
    assert [row.rank for row in listed] == [1, 2, 3]
    assert listed[0].kinship == "parent"
    assert listed[0].relation == "quantized"
    assert listed[0].evidence[0].source == "derivation.Q4_0"
    assert listed[0].layers == ({"tensor": "w", "coefficient": 1.0, "unexplained": 1e-05},)
    assert listed[1].kinship == "sibling"
    assert listed[1].relation is None
    none = explained.verdict(BEFORE, made("b")).none_probability
    assert sum(row.probability for row in listed) + none == pytest.approx(1.0)


def test_a_parent_that_was_not_listed_is() -> None:
    listed = explained.candidates(ROWS, made("d"), MODELS, 2)
    assert [row.id for row in listed] == ["d", "a"]


def test_the_child_hangs_from_its_parents_alone() -> None:
    drawn = Graph(tuple(map(Node, ("child", "a", "b"))), (Edge("a", "child"), Edge("child", "b")))
    found = explained.graph(drawn, "child", made("b", "d", relation="merge"), [Node("d", license="mit")])
    check_acyclic(found)
    assert {edge.parent for edge in parents(found)["child"]} == {"b", "d"}
    assert "b" not in parents(found)  # it was thought to descend from the child
    assert next(node for node in found.nodes if node.id == "d").license == "mit"


@given(st.data())
def test_no_derivation_closes_a_cycle(data: st.DataObject) -> None:
    names = [f"m{k}" for k in range(7)]
    above = {names[k]: data.draw(st.sampled_from([None, *names[:k]])) for k in range(7)}
    drawn = Graph(tuple(map(Node, names)), tuple(Edge(parent, child) for child, parent in above.items() if parent))
    child = data.draw(st.sampled_from(names))
    chosen = data.draw(st.lists(st.sampled_from([n for n in (*names, "new") if n != child]), min_size=1, max_size=3, unique=True))
    found = explained.graph(drawn, child, made(*chosen), [])
    check_acyclic(found)
    assert {edge.parent for edge in found.edges if edge.child == child} == set(chosen)
    assert {node.id for node in drawn.nodes} <= {node.id for node in found.nodes}
