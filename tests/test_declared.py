"""What cards declare, and how it stands to what was found."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.read.declared import agreement, of_card
from hub_lineage.types import Agreement, Declaration, Parent, Verdict, VerdictKind
from tests.strategies import OFTEN, json_values

A, B = Declaration("org/a", "finetune", "card: base_model"), Declaration("org/b", None, "card: base_model")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"base_model": "org/a", "base_model_relation": "finetune"}, [("org/a", "finetune")]),
        ({"base_model": ["org/a", "org/b"], "base_model_relation": "merge"}, [("org/a", "merge"), ("org/b", "merge")]),
        ({"base_model": " org/a\n"}, [("org/a", None)]),
        ({"base_model": ["org/a", "org/a", 7, None, "", "x" * 201]}, [("org/a", None)]),
        ({"base_model": "org/a", "base_model_relation": "duplicate"}, [("org/a", None)]),
        ({"base_model": "org/a", "base_model_relation": ["finetune"]}, [("org/a", None)]),
        ({"base_model": {"org/a": 1}}, []),
        ({"base_model": None}, []),
        ({}, []),
        (None, []),
        ("base_model: org/a", []),
    ],
)
def test_parents_that_a_card_names(data: Any, expected: list[tuple[str, str | None]]) -> None:
    found = of_card({"card_data": data})
    assert [(one.id, one.relation) for one in found] == expected
    assert all(one.where == "card: base_model" for one in found)


@given(json_values, json_values)
@OFTEN
def test_no_card_is_too_odd(base: Any, relation: Any) -> None:
    for card in ({"card_data": {"base_model": base, "base_model_relation": relation}}, {"card_data": base}, {}):
        assert all(isinstance(one.id, str) and one.id == one.id.strip() != "" for one in of_card(card))


def verdict(kind: VerdictKind, *parents: str) -> Verdict:
    return Verdict(kind, 0.9, 0.1, "Words.", None, tuple(Parent(name, None, "finetune", 0.9) for name in parents))


@pytest.mark.parametrize(
    ("declared", "found", "compared", "expected"),
    [
        ((), verdict("parent", "org/a"), {"org/a"}, "undeclared"),
        ((A,), verdict("parent", "org/a"), {"org/a", "org/b"}, "confirmed"),
        ((A, B), verdict("parent", "org/b"), {"org/b"}, "confirmed"),
        ((A,), verdict("one_of", "org/b", "org/a"), {"org/a", "org/b"}, "confirmed"),
        ((A,), verdict("parent", "org/b"), {"org/a", "org/b"}, "contradicted"),
        ((A,), verdict("parent", "org/b"), {"org/b"}, "unverifiable"),
        ((A,), verdict("independent"), {"org/a", "org/b"}, "contradicted"),
        ((A, B), verdict("independent"), {"org/a"}, "unverifiable"),
        ((A,), verdict("independent"), {"org/b"}, "unverifiable"),
        ((A,), verdict("family"), {"org/a"}, "unverifiable"),
        ((A,), verdict("one_of", "org/b"), {"org/a", "org/b"}, "unverifiable"),
        ((A,), verdict("unknown"), set(), "unverifiable"),
    ],
)
def test_what_is_declared_beside_what_was_found(
    declared: tuple[Declaration, ...], found: Verdict, compared: set[str], expected: Agreement
) -> None:
    assert agreement(declared, found, compared) == expected


@given(st.sampled_from(["parent", "one_of", "family", "independent", "unknown"]), st.sets(st.sampled_from(["org/a", "org/b"])))
@OFTEN
def test_what_was_not_compared_is_never_contradicted(kind: VerdictKind, compared: set[str]) -> None:
    named = ("org/b",) if kind in {"parent", "one_of"} else ()
    if "org/a" not in compared:
        assert agreement((A,), verdict(kind, *named), compared) == "unverifiable"
