"""Which of many models are judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.candidates import MOST_JUDGED, copies_last, shortlist
from hub_lineage.gathering import read_model
from hub_lineage.hub import open_source, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.testing import write_model
from hub_lineage.trace import trace
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


def test_copies_of_one_body_do_not_crowd_the_parent_out() -> None:
    grown = tree([-1, 0, *[-1] * 5], [1.0, 0.3, *[1.0] * 5], 3, SHAPES)
    child, parent = fingerprint_of(grown[1]), Model("z/parent", None, fingerprint_of(grown[0]))
    copies = [Model(f"copy-{k:03}", None, child) for k in range(3 * MOST_JUDGED)]
    judged, rest = shortlist(child, [*copies, parent])
    assert "z/parent" in {model.id for model in judged}
    assert len(judged) == MOST_JUDGED
    assert len(judged) + len(rest) == len(copies) + 1


def test_a_registry_full_of_copies_still_names_the_parent(tmp_path: Path) -> None:
    grown = tree([-1, 0, *[-1] * 5], [1.0, 0.3, *[1.0] * 5], 3, SHAPES)
    folder = write_model(tmp_path / "child", {f"{i}.weight": t.astype(np.float32) for i, t in enumerate(grown[1])})
    child = read_model(open_source(parse_reference(str(folder))))
    architecture = child.fingerprint.architecture
    with Registry.open(tmp_path / "registry", write=True) as registry:
        registry.put(replace(child, id=f"copy-{k:03}") for k in range(400))
        registry.put(Model(f"z/{k}", None, fingerprint_of(model, key=architecture)) for k, model in enumerate(grown) if k != 1)
        found = trace(str(folder), registry=registry, top=60)
    assert "z/0" in {candidate.id for candidate in found.candidates}
    assert found.verdict.kind == "one_of", "copies of its body are there"


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_copies_come_after_all_else_and_none_is_lost(bodies: list[str]) -> None:
    order = copies_last(bodies)
    assert sorted(order) == list(range(len(bodies)))
    taken = Counter(bodies[place] for place in order[: len(set(bodies))])
    assert max(taken.values(), default=0) <= 4
    assert [place for place in order if bodies.count(bodies[place]) < 5] == [
        place for place, body in enumerate(bodies) if bodies.count(body) < 5
    ]


@given(st.integers(1, 30), st.integers(0, 60), st.integers(1, 20))
@SELDOM
def test_nobody_is_lost(kin: int, strangers: int, most: int) -> None:
    child, known = models(kin, strangers)
    judged, rest = shortlist(fingerprint_of(child), known, most)
    assert sorted(model.id for model in [*judged, *rest]) == sorted(model.id for model in known)
    assert 1 <= len(judged) <= max(most, 1)
