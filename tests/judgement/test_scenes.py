"""Models judged again without their parent: among their kin alone as in the whole crowd."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cases import Crowd
from benchmarks.judgement.scenes import judged_alone, orphans
from hub_lineage.family import Family
from hub_lineage.judge import Judgement, judge, shipped
from tests.judgement.hand_made import scene_of, zoo
from tests.judgement.test_lineage import TRUTH
from tests.simulated import family_of, tree
from tests.strategies import SELDOM, seeds

PARENTS = [-1, 0, 0, 1, 1, -1, 5, 5, 6, -1]


def same(family: Family, child: int) -> None:
    whole, (part, place) = judge(family), judged_alone(family, child)
    assert part.none[place] == pytest.approx(whole.none[child], abs=1e-9)
    others = np.delete(np.arange(len(family)), child)
    np.testing.assert_allclose(
        np.sort(part.parent[place])[::-1][: part.kin[place].sum() - 1],
        np.sort(whole.parent[child][others])[::-1][: whole.kin[child].sum() - 1],
        atol=1e-9,
    )
    assert part.kin[place].sum() == whole.kin[child].sum()


@given(seeds, st.lists(st.floats(0.02, 2.5), min_size=10, max_size=10), st.integers(0, 9))
@SELDOM
def test_kin_alone_give_what_the_whole_crowd_gives(seed: int, steps: list[float], child: int) -> None:
    same(family_of(tree(PARENTS, steps, seed)), child)


def test_kin_that_no_longer_hang_together_are_judged_with_the_whole_crowd() -> None:
    """The scale of a tensor is that of all models compared, so it can hold two models together that alone fall apart."""
    drawn = np.random.default_rng(0).standard_normal((1024, 13))
    directions = np.linalg.qr(np.column_stack([np.ones(1024), drawn]))[0][:, 1:].T.reshape(13, 16, 64)
    common, one, other, *rest = directions  # all of no mean and at right angles
    near = 1.5 * shipped().kin_cosine
    pair = [[np.sqrt(near) * common + np.sqrt(1 - near) * own, loud] for own, loud in ((one, rest[0]), (other, rest[1]))]
    strangers = [[0.01 * rest[k], 30.0 * rest[k + 1]] for k in (2, 4, 6, 8)]
    family = family_of([*pair, *strangers])
    assert judge(family).kin[0, 1] != judge(family.only(np.array([0, 1]))).kin[0, 1], "the case that is meant"
    same(family, 0)


def absent(crowd: Crowd, judgement: Judgement) -> list[tuple[int, Crowd]]:
    """Slowly, in whole crowds: those born without a parent in sight that have kin, and the others with the parent taken away."""
    found = []
    for child in np.flatnonzero(~crowd.merged):
        parent = int(crowd.parents[child])
        if parent >= 0:
            kept = np.flatnonzero(np.arange(len(crowd)) != parent)
            found.append((int(np.flatnonzero(kept == child)[0]), crowd.only(kept)))
        elif judgement.kin[child].sum() > 1:
            found.append((int(child), crowd))
    return found


def test_orphans_are_the_cases_that_ranking_has() -> None:
    scene = scene_of(TRUTH.models)
    found = list(orphans(scene))
    wanted = absent(scene.crowd, scene.judgement)
    assert [orphan.model.id for orphan in found] == [crowd.models[child].id for child, crowd in wanted]
    for orphan, (child, crowd) in zip(found, wanted, strict=True):
        again = judge(crowd.family)
        assert orphan.leading == pytest.approx(float(again.parent[child].max()), abs=1e-9)
        assert orphan.none == pytest.approx(float(again.none[child]), abs=1e-9)
        assert orphan.born == (crowd is scene.crowd)


def test_orphans_of_one_regime_are_those_alone() -> None:
    scene = scene_of(zoo({"a": None, "b": "a", "c": "a"}, regime={"c": "star"}))
    assert [orphan.model.id for orphan in orphans(scene, regime="star")] == ["c"]
    assert [orphan.model.id for orphan in orphans(scene)] == ["a", "b", "c"]
