"""Places of the parent: ties, regimes that are never mixed, and bins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fit_judge import store
from benchmarks.judgement.baselines import FIRST_JUDGE, most_equal, rules, scores, shortest_pendant
from benchmarks.judgement.places import JUDGE, Seen, figures, full_figures, nearest_sibling, ranked_by, seen
from benchmarks.judgement.scenes import HUB_COSINE, Scene, judge_at
from benchmarks.ranking import BASELINES
from hub_lineage.evidence import measure
from hub_lineage.family import Family
from hub_lineage.judge import shipped
from hub_lineage.read.dtypes import coarser, round_to
from tests.judgement.hand_made import scene_of, zoo
from tests.simulated import family_of, fingerprint_of, orthogonal_tree, tree

NAMES = {"a": None, "b": "a", "c": "a", "d": "c", "e": "d"}
ODDS = {("b", "a"): 0.9, ("c", "a"): 0.4, ("c", "b"): 0.4, ("d", "a"): 0.5, ("d", "c"): 0.3}  # e: all at 0


def cases() -> Seen:
    scene = scene_of(zoo(NAMES), ODDS)
    return ranked_by([scene], [{JUDGE: scene.judgement.parent}])


def test_a_tie_is_shared() -> None:
    found = cases()
    assert [model.id for model in found.models] == ["b", "c", "d", "e"]
    np.testing.assert_allclose(found.places[JUDGE]["first"], [1.0, 0.5, 0.0, 0.25])
    np.testing.assert_allclose(found.places[JUDGE]["three"], [1.0, 1.0, 1.0, 0.75])


def mixed() -> Seen:
    near = {"b": "hub", "c": "hub", "d": "star", "e": "published"}
    models = zoo(NAMES, regime=near)
    cosines = {"b": 0.9999, "c": HUB_COSINE, "d": 0.99999}
    models = [replace(model, cosine_to_parent=cosines.get(model.id, model.cosine_to_parent)) for model in models]
    scene = scene_of(models, ODDS)
    return ranked_by([scene], [{JUDGE: scene.judgement.parent, "nearest cosine": scene.judgement.parent}])


def test_the_regimes_are_never_mixed_and_the_second_counts_what_is_really_near() -> None:
    found = mixed()
    assert found.first_regime.tolist() == [False, False, True, True]
    assert found.hub.tolist() == [True, False, False, False]
    rows = {row.id: row for row in figures(found)}
    assert rows["judge.parent_first"].value == pytest.approx((0.0 + 0.25) / 2)
    assert rows["judge.parent_first_hub"].value == 1.0
    assert "1 of 2 cases above a cosine of 0.999" in rows["judge.parent_first_hub"].note
    assert rows["judge.nearest_cosine"].baselines == {"second regime": 1.0}


def test_bins_part_the_cases() -> None:
    rows = [row for row in figures(mixed()) if row.id.startswith("judge.parent_first.")]
    titles = {row.id.split(".")[2].split("_")[0] for row in rows}
    assert titles == {"cosine", "regime"}, "all are of one kind, dtype, decay and likeness"
    assert {row.id for row in rows} == {
        "judge.parent_first.cosine_0.7-0.95",
        "judge.parent_first.cosine_0.9999-0.99999",
        "judge.parent_first.regime_star",
        "judge.parent_first.regime_published",
    }
    assert all(row.note.startswith("1 cases") for row in rows)


def test_the_nearest_sibling_is_told_by_its_cosine_beside_the_parents() -> None:
    models = zoo({"a": None, "b": "a", "c": "a", "d": "b"})
    found = []
    for step in (0.01, 0.3, 5.0):
        grown = tree([-1, 0, 0, 1], [1.0, 0.3, step, 0.3])
        scene = scene_of(models, {})
        crowd = replace(scene.crowd, family=family_of(grown))
        scene = Scene("zoo", scene.lineage, crowd, scene.judgement)
        found.append(nearest_sibling(scene, 1))
        assert nearest_sibling(scene, 3) == "none"
    assert found == ["hardly farther", "hardly farther", "far"]
    twin = family_of([*tree([-1, 0], [1.0, 0.3]), tree([-1, 0], [1.0, 0.3])[1], tree([-1], [1.0])[0]])
    scene = Scene("zoo", scene.lineage, replace(scene.crowd, family=twin), scene.judgement)
    assert nearest_sibling(scene, 1) == "much nearer"


def test_all_weights_stand_beside_the_fingerprints() -> None:
    scene = scene_of(zoo(NAMES), ODDS)
    better = scene_of(zoo(NAMES), {("b", "a"): 0.9, ("c", "a"): 0.9, ("d", "c"): 0.9, ("e", "d"): 0.9})
    rows = full_figures([scene], lambda _: better.judgement)
    assert rows[0].id == "judge.parent_first_full"
    assert rows[0].value == 1.0
    assert rows[0].baselines["quick"] == pytest.approx(1.75 / 4)


def mixed_storage() -> Family:
    from hub_lineage.family import gather  # noqa: PLC0415

    grown = tree([-1, 0, 0, 1, 1], [1.0, 0.002, 0.003, 0.002, 0.001])
    return gather([fingerprint_of(m, word) for m, word in zip(grown, ["BF16", "F32", "F16", "BF16", "F32"], strict=True)])


def test_equal_values_are_counted_pair_by_pair_at_the_coarser_dtype() -> None:
    family = mixed_storage()
    found = most_equal(family)
    values = np.concatenate(family.raw, axis=1)
    for c in range(len(family)):
        for p in range(len(family)):
            word = coarser(family.storage[c], family.storage[p])
            assert found[c, p] == (round_to(word, values[c]) == round_to(word, values[p])).mean()


def test_the_shortest_pendant_is_the_cue_within_kin_and_strangers_come_last() -> None:
    family = family_of([*tree([-1, 0, 0, 1], [1.0, 0.3, 0.3, 0.3]), *tree([-1, 0, 0], [1.0, 0.3, 0.2], seed=9)])
    found = shortest_pendant(family, 0.3)
    for members in (np.arange(4), np.arange(4, 7)):
        cue = measure(family.only(members))["pendant_and_cosine"]
        np.testing.assert_allclose(found[np.ix_(members, members)], cue, atol=1e-8)
    assert np.isneginf(found[:4, 4:]).all()


def test_the_pendant_rule_names_parents_where_increments_are_orthogonal() -> None:
    parents = [-1, 0, 0, 0, 1, 1]
    found = shortest_pendant(family_of(orthogonal_tree(parents, [1.0, 0.4, 0.5, 0.6, 0.2, 0.3])), 0.0)
    np.fill_diagonal(found, -np.inf)
    assert found[4].argmax() == found[5].argmax() == 1


def test_all_rules_and_peers_stand_beside_the_judge() -> None:
    scene = scene_of(zoo(NAMES))
    found = seen([scene], rules())
    wanted = {*BASELINES, "shortest pendant", "Hamming", "first judge", "MoTHer", "Neural Phylogeny", JUDGE}
    assert set(found.places) == wanted
    assert set(scores(scene, rules(first=None))) == wanted - {"first judge"}
    rows = figures(found)
    assert set(rows[1].baselines) == wanted - {JUDGE}


def test_a_judge_is_read_from_its_files_and_the_first_one_was_of_trees(tmp_path: Path) -> None:
    first = judge_at(FIRST_JUDGE)
    assert not first.networks
    assert first.boosted[0].second.names
    store(shipped(), {}, {}, tmp_path / "judge.json")
    again = judge_at(tmp_path / "judge.json")
    assert again.networks[0].names == shipped().networks[0].names
    assert again.kin_cosine == pytest.approx(shipped().kin_cosine)
    for one, other in zip(again.networks, shipped().networks, strict=True):
        for name, weight in one.weights.items():
            np.testing.assert_array_equal(weight, other.weights[name])
    for mine, theirs in zip(again.boosted, shipped().boosted, strict=True):
        np.testing.assert_array_equal(mine.second.threshold, theirs.second.threshold)
