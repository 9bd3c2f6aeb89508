"""Confusions of kinship, and F1 beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from benchmarks.judgement.kinship import KINDS, OTHER, as_csv, confusions, figures, scores
from tests.judgement.hand_made import crowd_of, scene_of, zoo
from tests.judgement.test_lineage import PARENTS, TRUTH
from tests.simulated import family_of, tree
from tests.strategies import OFTEN

CHAIN = zoo({"a": None, "b": "a", "c": "b", "d": "b", "alone": None}, family={"alone": "f1"})
RIGHT = {("b", "a"): 0.9, ("c", "b"): 0.9, ("d", "b"): 0.9}

pairs = st.lists(
    st.tuples(st.integers(0, len(KINDS) - 1), st.integers(0, len(KINDS)), st.floats(0.01, 1)), min_size=1, max_size=30
)


@given(pairs)
@OFTEN
def test_f1_is_the_usual_one_with_weights(found: list[tuple[int, int, float]]) -> None:
    table = np.zeros((len(KINDS), len(KINDS) + 1))
    for true, said, weight in found:
        table[true, said] += weight
    true_, said_, weights = zip(*found, strict=True)
    wanted = f1_score(true_, said_, labels=range(len(KINDS)), average=None, sample_weight=weights, zero_division=0)
    mine = scores(table.reshape(1, -1))[:, 0]
    there = np.isin(np.arange(len(KINDS)), true_)
    np.testing.assert_allclose(mine[there], wanted[there])
    assert np.isnan(mine[~there]).all(), "what isn't there is no kind to be judged by"


def test_right_odds_confuse_nothing_but_strangers_taken_for_kin() -> None:
    found = confusions([scene_of(CHAIN, RIGHT)])  # all are kin to each other in what is told
    table = dict(zip(KINDS, found.table, strict=True))
    for kind in ("parent", "ancestor", "descendant", "sibling"):
        assert table[kind][KINDS.index(kind)] == pytest.approx(1.0)
    assert table["unrelated"][KINDS.index("unrelated")] == 0.0
    assert np.isnan(table["cousin"]).all()


def test_the_judge_that_ships_tells_strangers() -> None:
    table = confusions([scene_of(CHAIN)]).table
    assert table[KINDS.index("unrelated"), KINDS.index("unrelated")] == 1.0


def test_every_child_weighs_as_much_as_any_other() -> None:
    found = confusions([scene_of(CHAIN, RIGHT), scene_of(zoo({"x": None, "y": "x"}), {("y", "x"): 0.9})])
    np.testing.assert_allclose(found.tables.sum(axis=(1, 2)), 1.0)
    assert len(found.owners) == 7


def test_merges_are_no_children_and_their_ambiguous_kin_is_left_out() -> None:
    found = confusions([scene_of(TRUTH.models, {})])
    assert [child.id for child in found.children] == [name for name in PARENTS if name not in {"a", "m"}]
    tables = dict(zip([child.id for child in found.children], found.tables, strict=True))
    of_n = tables["n"]  # its parent, two descendants, twin and t, alone and student; nothing about the merge's sources
    assert of_n.sum(axis=1)[KINDS.index("descendant")] == pytest.approx(2 / 7)
    assert of_n.sum(axis=1)[KINDS.index("parent")] == pytest.approx(1 / 7)


def test_copies_are_duplicates_unless_one_is_the_parent() -> None:
    models = zoo({"a": None, "b": "a", "c": "a", "d": "a"})
    grown = tree([-1, 0, 0, 0], [1.0, 0.0, 0.0, 0.3])  # b and c are frozen trunks
    scene = scene_of(models, {("b", "a"): 0.9})
    scene = type(scene)("zoo", scene.lineage, crowd_of(models, family_of(grown)), scene.judgement)
    clone = np.zeros((4, 4), dtype=bool)
    clone[:3, :3] = True
    object.__setattr__(scene.judgement, "clone", clone)
    found = confusions([scene])
    assert found.tables[1][KINDS.index("parent"), KINDS.index("parent")] == pytest.approx(1 / 3)
    assert found.tables[1][KINDS.index("duplicate"), KINDS.index("duplicate")] == pytest.approx(1 / 3)
    assert found.tables[0][KINDS.index("duplicate"), KINDS.index("duplicate")] == pytest.approx(2 / 3)
    assert found.tables[2][KINDS.index("parent"), KINDS.index("duplicate")] == pytest.approx(1 / 3), "c's parent was not named"


def test_the_row_names_each_kind_and_the_table_every_cell() -> None:
    found = confusions([scene_of(CHAIN, RIGHT)])
    (row,) = figures(found)
    assert 0 < row.value < 1
    assert "parent 1.00" in row.note
    assert "second regime" not in row.baselines
    lines = as_csv(found).splitlines()
    assert len(lines) == len(KINDS) + 1
    assert {len(line.split(",")) for line in lines} == {len(KINDS) + 2}
    assert lines[0].endswith(OTHER)
