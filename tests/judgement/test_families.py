"""Whole families as trees."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judgement.families import MOST, edges, figures, judged_forest, peer_forest, wholes
from benchmarks.peers import PEERS
from hub_lineage.judge import judge
from hub_lineage.phylogeny import forest
from tests.judgement.hand_made import scene_of, zoo

SMALL = {"x": None, "y": "x"}
TREE = {"a": None} | {f"b{k}": "a" for k in range(4)} | {f"c{k}": f"b{k % 4}" for k in range(15)} | {"m": None}
MERGED = {"m": (("b0", 0.5), ("c1", 0.5))}


def test_families_of_the_right_size_are_taken_whole() -> None:
    scene = scene_of(zoo(TREE | SMALL, hidden={"b3": True}, merged_from=MERGED, family=dict.fromkeys(SMALL, "f1")), {})
    (whole,) = wholes([scene])
    assert len(whole.crowd) == len(TREE) - 1, "without the hidden one, with the merge"
    assert {model.root for model in whole.crowd.models} == {"a"}
    assert [len(found.crowd) for found in wholes([scene], 2, MOST)] == [20, 2]
    assert not list(wholes([scene], 21, MOST))


def test_edges_count_where_both_ends_are_served_and_direction_is_right() -> None:
    scene = scene_of(zoo(TREE, hidden={"b3": True}, merged_from=MERGED), {})
    (whole,) = wholes([scene])
    true = whole.crowd.parents
    known = int((true >= 0).sum())
    assert known == 3 + 12, "three below the root, and all but those of the hidden one"
    assert whole.right(true) == (known, known)
    turned = np.full_like(true, -1)
    turned[true[true >= 0]] = np.flatnonzero(true >= 0)
    assert whole.right(turned)[0] == 0
    half = np.where(np.arange(len(true)) < 3, -1, true)
    assert edges([whole, whole], lambda _: half).value == pytest.approx(1 - int((true[:3] >= 0).sum()) / known)


def test_a_judges_forest_is_that_of_the_family_alone() -> None:
    scene = scene_of(zoo(TREE | SMALL, family=dict.fromkeys(SMALL, "f1")))
    (whole,) = wholes([scene])
    family = whole.crowd.family
    np.testing.assert_array_equal(judged_forest()(family), forest(judge(family), whole=True).parent)
    for peer in PEERS.values():
        assert (peer_forest(peer)(family) < 0).sum() == 1
    (row,) = figures([scene])
    assert set(row.baselines) == {"MoTHer", "Neural Phylogeny", "first judge"}
    assert row.value == edges([whole], judged_forest()).value


def test_no_family_of_that_size_makes_no_row() -> None:
    assert figures([scene_of(zoo(SMALL), {})]) == []
