"""Laws of a judgement, whatever the fitted trees say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.family import Family, gather
from hub_lineage.judge import Judgement, clones, components, judge, kin_cut, shipped
from hub_lineage.read.dtypes import round_to
from tests.simulated import Values, family_of, fingerprint_of, tree
from tests.strategies import SELDOM, orders, seeds

PARENTS = [-1, 0, 0, 1, 1, -1, 5, 5]
STEPS = [1.0, 0.4, 0.3, 0.3, 0.2, 1.0, 0.3, 0.4]


def families() -> dict[str, Family]:
    models = tree(PARENTS, STEPS)
    light = tree(PARENTS, [1.0, 0.01, 0.02, 0.005, 0.01, 1.0, 0.01, 0.02])
    nothing: Values = [0 * tensor for tensor in models[0]]
    return {
        "one": family_of(models[:1]),
        "two": family_of(models[:2]),
        "two strangers": family_of([models[0], models[5]]),
        "two families": family_of(models),
        "sixteen bits": family_of(light, "BF16"),
        "copies": family_of([models[0], models[3], models[1], models[3], models[3], models[0], models[5]]),
        "copies alone": family_of([models[0]] * 3),
        "nothing": family_of([nothing, nothing, nothing]),
        "nothing among others": family_of([models[0], nothing, models[1]]),
        "storages": gather([fingerprint_of(models[k], word) for k, word in ((0, "F32"), (0, "BF16"), (1, "F16"), (3, "F32"))]),
    }


FAMILIES = families()
cases = pytest.mark.parametrize("case", FAMILIES)


@cases
def test_odds_are_probabilities_that_sum_to_one(case: str) -> None:
    found = judge(FAMILIES[case])
    np.testing.assert_allclose(found.parent.sum(axis=1) + found.none, 1.0, atol=1e-12)
    assert (found.parent >= 0).all()
    assert (found.none >= 0).all()
    assert not found.parent.diagonal().any()
    assert all(np.isfinite(value).all() and value.shape == found.parent.shape for value in found.cues.values())


@cases
def test_strangers_have_no_odds(case: str) -> None:
    found = judge(FAMILIES[case])
    assert not found.parent[~found.kin].any()


@cases
def test_kin_is_an_equivalence_that_holds_all_clones(case: str) -> None:
    found = judge(FAMILIES[case])
    equivalence(found.kin)
    assert (found.kin | ~found.clone).all()


def equivalence(relation: np.ndarray) -> None:
    assert relation.diagonal().all()
    assert (relation == relation.T).all()
    assert ((relation.astype(int) @ relation.astype(int) > 0) == relation).all()


@given(seeds, st.floats(0.0, 0.5))
@SELDOM
def test_components_are_an_equivalence_at_any_cut(seed: int, cut: float) -> None:
    family = family_of(tree([-1] * 9, [1.0] * 9, seed, [(3, 4)]))
    kin = components(family, cut)
    equivalence(kin)
    assert (kin | (family.cosine < kin_cut(family, cut))).all()


@pytest.mark.parametrize("shape", [(8, 8), (12, 12), (20, 20)])
def test_small_strangers_are_no_kin(shape: tuple[int, int]) -> None:
    family = family_of(tree([-1] * 20, [1.0] * 20, 7, [shape]))
    assert np.array_equal(components(family, shipped().kin_cosine), np.eye(20, dtype=bool))


def same(one: Judgement, other: Judgement, order: np.ndarray) -> None:
    np.testing.assert_allclose(other.parent, one.parent[np.ix_(order, order)], atol=1e-6)
    np.testing.assert_allclose(other.none, one.none[order], atol=1e-6)
    np.testing.assert_array_equal(other.kin, one.kin[np.ix_(order, order)])
    np.testing.assert_array_equal(other.clone, one.clone[np.ix_(order, order)])


@pytest.mark.parametrize("case", ["two", "two families", "sixteen bits", "copies", "nothing among others"])
@given(data=st.data())
@SELDOM
def test_the_order_of_models_changes_nothing(case: str, data: st.DataObject) -> None:
    family = FAMILIES[case]
    order = data.draw(orders(len(family)))
    same(judge(family), judge(family.only(order)), order)


def test_clones_share_their_odds_evenly() -> None:
    found = judge(FAMILIES["copies"])  # 0 and 5 are one body, 1, 3 and 4 another
    assert found.clone[0, 5]
    assert found.clone[1, 3]
    assert found.clone[3, 4]
    assert found.clone.sum() == 4 + 9 + 2
    np.testing.assert_array_equal(found.parent[2, 0], found.parent[2, 5])
    assert found.parent[2, 1] == found.parent[2, 3] == found.parent[2, 4]
    assert found.parent[1, 3] == found.parent[1, 4] == found.parent[3, 1] == pytest.approx(shipped().clone_parent / 2)
    assert found.parent[0, 5] == pytest.approx(shipped().clone_parent)


def test_a_copy_changes_what_is_said_of_others_in_nothing_else() -> None:
    models = tree(PARENTS[:5], STEPS[:5])
    plain, copied = judge(family_of(models)), judge(family_of([*models, models[1]]))
    assert copied.parent[3, 1] + copied.parent[3, 5] < 1
    assert copied.parent[2, 1] == copied.parent[2, 5]
    ratio = copied.parent[3, [0, 2, 4]] / copied.none[3]
    np.testing.assert_allclose(ratio, plain.parent[3, [0, 2, 4]] / plain.none[3], rtol=1e-2)


def test_two_storages_are_one_body() -> None:
    clone = clones(FAMILIES["storages"])
    assert clone.tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False] * 2 + [True, False],
        [False] * 3 + [True],
    ]


def test_a_change_that_storage_hides_makes_no_chain_of_clones_that_depends_on_order() -> None:
    model = tree([-1], [1.0])[0]
    moved = [tensor * (1 + 1e-5) for tensor in model]
    hidden = [
        round_to("BF16", a.astype(np.float32)) == round_to("BF16", b.astype(np.float32))
        for a, b in zip(model, moved, strict=True)
    ]
    touched = [np.where(same, b, a) for a, b, same in zip(model, moved, hidden, strict=True)]
    prints = [fingerprint_of(model), fingerprint_of(model, "BF16"), fingerprint_of(touched)]
    for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
        family = gather([prints[k] for k in order])
        equivalence(clones(family))
        assert np.ptp(judge(family).none) == 0


def test_hundreds_of_copies_are_judged_as_one() -> None:
    models = tree([-1, 0], [1.0, 0.3], shapes=[(12, 12), (9, 12)])
    found = judge(family_of([models[1], *[models[0]] * 300]))
    assert np.ptp(found.parent[0, 1:]) == 0
    assert found.clone[1:, 1:].all()
    alone = judge(family_of(models[::-1]))
    assert found.parent[0, 1:].sum() == pytest.approx(alone.parent[0, 1], abs=0.02)
    np.testing.assert_allclose(found.parent.sum(axis=1) + found.none, 1.0)


def test_a_judge_says_the_same_twice() -> None:
    same(judge(FAMILIES["two families"]), judge(FAMILIES["two families"], shipped()), np.arange(len(PARENTS)))


def test_the_cut_and_kinship_of_the_judge_that_ships_are_shares() -> None:
    fitted = shipped()
    assert 0 < fitted.kin_cosine < 1
    assert 0 < fitted.cut < 1
    assert 0 <= fitted.clone_parent <= 1
    assert fitted.slope > 0


def test_families_of_strangers_stay_apart() -> None:
    found = judge(FAMILIES["two families"])
    assert (
        found.kin == (np.arange(8)[:, None] < 5) * (np.arange(8) < 5) | (np.arange(8)[:, None] >= 5) * (np.arange(8) >= 5)
    ).all()
