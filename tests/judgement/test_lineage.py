"""What is true of two models, from the table of truth alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.judgement.lineage import Lineage
from tests.judgement.hand_made import zoo
from tests.strategies import OFTEN

#  root ── a ── c ── e          twin ── t        alone
#     │    └─ d                      student, taught by root
#     └─ b ── f        m = merge of c and f ── n ── o, and n ── p
PARENTS = {
    "root": None,
    "a": "root",
    "b": "root",
    "c": "a",
    "d": "a",
    "e": "c",
    "f": "b",
    "m": None,
    "n": "m",
    "o": "n",
    "p": "n",
    "twin": None,
    "t": "twin",
    "alone": None,
    "student": None,
}
TRUTH = Lineage(
    zoo(
        PARENTS,
        twin_of_seed={"twin": "root"},
        merged_from={"m": (("c", 0.5), ("f", 0.5))},
        distilled_from={"student": "root"},
        hidden={"a": True},
        recipe_group={"c": "c", "d": "c", "e": "c"},
    )
)


@pytest.mark.parametrize(
    ("child", "candidate", "kinship"),
    [
        ("c", "a", "parent"),
        ("e", "a", "ancestor"),
        ("e", "root", "ancestor"),
        ("a", "c", "descendant"),
        ("root", "e", "descendant"),
        ("c", "d", "sibling"),
        ("e", "d", "cousin"),
        ("b", "c", "cousin"),
        ("e", "f", "cousin"),
        ("root", "twin", "shared_initialisation"),
        ("e", "t", "shared_initialisation"),
        ("t", "e", "shared_initialisation"),
        ("alone", "e", "unrelated"),
        ("student", "root", "unrelated"),
        ("e", "m", None),
        ("n", "c", None),
        ("n", "b", None),
        ("n", "m", "parent"),
        ("o", "m", "ancestor"),
        ("o", "p", "sibling"),
        ("n", "alone", "unrelated"),
        ("o", "twin", "shared_initialisation"),
    ],
)
def test_kinship_in_truth(child: str, candidate: str, kinship: str | None) -> None:
    assert TRUTH.kinship(child, candidate) == kinship


def test_twins_share_a_start_or_a_recipe_and_no_line() -> None:
    twins = {
        (one.id, other.id) for one in TRUTH.models for other in TRUTH.models if TRUTH.are_twins(one, other) and one.id < other.id
    }
    assert twins == {("root", "twin"), ("c", "d"), ("d", "e")}, "e comes from c, and t is its twin's child"


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    parents: dict[str, str | None] = {}
    for k in range(draw(st.integers(2, 9))):
        parents[str(k)] = draw(st.sampled_from([None, *parents]))
    roots = [name for name, parent in parents.items() if parent is None]
    changes: dict[str, Any] = {}
    if len(roots) > 1 and draw(st.booleans()):
        changes["twin_of_seed"] = {roots[1]: roots[0]}
    return Lineage(zoo(parents, **changes))


OPPOSITE = {"parent": "descendant", "ancestor": "descendant"}


@given(lineages())
@OFTEN
def test_kinship_is_seen_alike_from_both_sides(truth: Lineage) -> None:
    for one in truth.by_id:
        kinds = [truth.kinship(one, other) for other in truth.by_id if other != one]
        assert kinds.count("parent") == (truth.by_id[one].parent is not None)
        assert kinds.count("parent") + kinds.count("ancestor") == len(truth.ancestors(one))
        for other in truth.by_id:
            if one != other:
                here, there = truth.kinship(one, other), truth.kinship(other, one)
                assert here is not None
                if here == "descendant":
                    assert there in OPPOSITE
                else:
                    assert there == OPPOSITE.get(here, here)
