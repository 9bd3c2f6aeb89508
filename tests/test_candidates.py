"""Which of many models are judged."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.candidates import MOST_JUDGED, shortlist
from hub_lineage.types import Model
from tests.simulated import Values, fingerprint_of, tree
from tests.strategies import SELDOM

SHAPES = [(20, 30), (30, 20)]


def models(kin: int, strangers: int) -> tuple[Values, list[Model]]:
    """The child, its parent, siblings of growing distance, and strangers."""
    grown = tree([-1, *[0] * kin, *[-1] * strangers], [1.0, *[0.2 + k / 50 for k in range(kin)], *[1.0] * strangers], 3, SHAPES)
    return grown[1], [Model(f"m{k}", None, fingerprint_of(model)) for k, model in enumerate(grown) if k != 1]


def test_few_are_all_judged_in_the_order_given() -> None:
    child, known = models(3, MOST_JUDGED - 3)
    assert len(known) == MOST_JUDGED
    assert shortlist(fingerprint_of(child), known) == (known, [])


def test_of_many_the_kin_are_judged_and_the_strangers_are_not() -> None:
    child, known = models(20, 100)
    judged, rest = shortlist(fingerprint_of(child), known)
    assert {model.id for model in judged} == {"m0", *(f"m{k}" for k in range(2, 21))}
    assert judged[0].id == "m0"
    assert len(judged) + len(rest) == len(known)
    assert {model.id for model in judged}.isdisjoint(model.id for model in rest)


def test_of_many_kin_the_likest_are_judged() -> None:
    child, known = models(90, 5)
    judged, rest = shortlist(fingerprint_of(child), known)
    assert len(judged) == MOST_JUDGED
    assert len(rest) == len(known) - MOST_JUDGED
    assert judged[0].id == "m0"


def test_among_strangers_alone_one_is_judged() -> None:
    child, known = models(0, 80)[1][0], models(0, 80)[1]
    judged, rest = shortlist(replace(child.fingerprint), known[1:])
    assert (len(judged), len(rest)) == (1, len(known) - 2)


@given(st.integers(1, 30), st.integers(0, 60), st.integers(1, 20))
@SELDOM
def test_nobody_is_lost(kin: int, strangers: int, most: int) -> None:
    child, known = models(kin, strangers)
    judged, rest = shortlist(fingerprint_of(child), known, most)
    assert sorted(model.id for model in [*judged, *rest]) == sorted(model.id for model in known)
    assert 1 <= len(judged) <= max(most, 1)
