"""What is stated, of whom, and which end of an edge came first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from benchmarks.judgement.scenes import Orphan
from benchmarks.judgement.statements import (
    claims,
    direction_figures,
    paired_cosine,
    rated,
    right,
    stated,
    twin_figures,
    twins,
    wrong,
)
from hub_lineage.judge import judge, shipped
from hub_lineage.phylogeny import forest, kinship
from tests.judgement.hand_made import PLAIN, scene_of, zoo
from tests.simulated import family_of, tree
from tests.strategies import SELDOM, seeds

NAMES = {"a": None, "b": "a", "c": "a", "d": "c"}
ODDS = {("b", "a"): 0.8, ("c", "b"): 0.6, ("c", "a"): 0.3, ("d", "c"): 0.6, ("a", "b"): 0.8, ("a", "c"): 0.1}


def test_the_right_parent_is_stated_where_it_leads() -> None:
    found = right([scene_of(zoo(NAMES), ODDS)])
    np.testing.assert_allclose(found.values, [0.8, 0.0, 0.6])


def test_statements_at_the_cut_and_at_even_odds() -> None:
    orphans = [Orphan(("zoo", "f0"), PLAIN, leading, 0.1, born=True) for leading in (0.9, 0.6, 0.2, 0.7)]
    rows = {row.id: row.value for row in stated([scene_of(zoo(NAMES), ODDS)], orphans)}
    assert rows == {
        "judge.parent_said": pytest.approx(1 / 3),
        "judge.parent_said_probably": pytest.approx(2 / 3),
        "judge.false_parent": 0.5,
        "judge.false_parent_probably": 0.75,
    }
    np.testing.assert_allclose(wrong(orphans).values, [0.9, 0.6, 0.2, 0.7])


def test_regimes_stand_beside_the_whole() -> None:
    found = right([scene_of(zoo(NAMES, regime={"d": "hub"}), ODDS)]).at_least(0.5).row("judge.parent_said")
    assert found.value == pytest.approx(2 / 3)
    assert found.baselines == {"first regime": 0.5, "second regime": 1.0}


def test_a_twin_stated_as_the_parent() -> None:
    models = zoo(
        {"a": None, "twin": None, "b": "a", "c": "a", "d": "b", "m": None},
        twin_of_seed={"twin": "a"},
        recipe_group={"b": "b", "c": "b", "m": "b"},
        merged_from={"m": (("a", 0.5), ("b", 0.5))},
    )
    odds = {("a", "twin"): 0.9, ("twin", "b"): 0.9, ("b", "c"): 0.6, ("c", "a"): 0.9, ("d", "twin"): 0.9, ("m", "b"): 0.9}
    found = twins([scene_of(models, odds)])
    assert [model.id for model in found.models] == ["a", "twin", "b", "c"], "d has no twin, and a merge is no case"
    np.testing.assert_allclose(found.values, [0.9, 0.0, 0.6, 0.0])
    (row,) = twin_figures([scene_of(models, odds)])
    assert row.value == 0.25
    assert "at even odds 0.500" in row.note
    assert twin_figures([scene_of(zoo(NAMES), ODDS)]) == []


def test_direction_is_the_better_of_both_odds_and_a_tie_is_half() -> None:
    row = direction_figures([scene_of(zoo(NAMES), ODDS)])[0]
    assert row.id == "judge.direction"
    assert row.value == pytest.approx((0.5 + 1.0 + 1.0) / 3), "a and b tie, c and a don't, nothing speaks for d above c"


def test_direction_of_the_two_alone_is_what_the_judge_makes_of_two() -> None:
    scene = scene_of(zoo({"a": None, "b": "a"}))
    odds = judge(scene.crowd.family).parent
    rows = direction_figures([scene])
    assert [row.value for row in rows] == [float(odds[1, 0] > odds[0, 1])] * 2


@given(seeds)
@SELDOM
def test_strangers_are_claimed_as_the_pair_alone_would_be(seed: int) -> None:
    random = np.random.default_rng(seed)
    grown = tree([-1] * 6 + [0, 0], [*random.uniform(0.1, 3.0, 6), 2.0, 0.5], seed, [(5, 6), (4, 4)])
    family = family_of(grown)
    found = paired_cosine(family)
    for i in range(len(family)):
        for j in range(i):
            assert found[i, j] == pytest.approx(family.only(np.array([i, j])).cosine[0, 1], abs=1e-9)


def test_what_is_claimed_is_any_kinship_but_unrelated() -> None:
    family = family_of(tree([-1] * 5 + [0, 0], [1.0] * 5 + [2.0, 0.5], 3, [(5, 6), (4, 4)]))
    cut = shipped().kin_cosine
    pairs = [(i, j) for i in range(len(family)) for j in range(i + 1, len(family))]
    found = []
    for i, j in pairs:
        told = judge(family.only(np.array([i, j])))
        found.append(kinship(forest(told), told, 0, 1) != "unrelated")
    assert claims([str(k) for k in range(len(family))], family, cut) == found
    assert {True, False} == set(found)
    assert claims(["one"] * len(family), family, cut) == []


def test_no_cases_make_no_figure() -> None:
    assert np.isnan(rated([]).sums().value)
