"""How two readings make one judgement: what the fuller one says of those read again, what the first says of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage import fuller
from hub_lineage.fuller import Fuller, nearest
from hub_lineage.judge import Judgement
from hub_lineage.tensors import architecture_key
from hub_lineage.types import Model, Tensor
from hub_lineage.weighing import Weighed, weigh
from tests.simulated import model_of, tree
from tests.strategies import OFTEN, judgements


def weighed(judgement: Judgement) -> Weighed:
    models = [model_of(f"org/m{k}", [np.eye(2)]) for k in range(len(judgement.none))]
    family = weigh(models).family
    return Weighed(tuple(models), family, judgement, judgement)


def part(judgement: Judgement, members: list[int]) -> Judgement:
    """A judgement of some models, by whoever was not asked about the others."""
    place = np.ix_(members, members)
    return Judgement(
        judgement.parent[place],
        1.0 - judgement.parent[place].sum(axis=1),
        judgement.kin[place],
        judgement.clone[place],
        {name: value[place] for name, value in judgement.cues.items()},
        judgement.cut,
    )


@st.composite
def two_readings(draw: st.DrawFn) -> tuple[Judgement, Judgement, list[int]]:
    """A family judged, some of its child's kin with the child first, and those judged anew by somebody else."""
    quick = draw(judgements())
    others = [int(k) for k in np.flatnonzero(quick.kin[0]) if k]
    members = [0, *draw(st.permutations(others))[: draw(st.integers(0, len(others)))]]
    again = draw(judgements().filter(lambda judgement: len(judgement.none) >= len(members)))
    return quick, part(again, list(range(len(members)))), members


def is_equivalence(mask: np.ndarray) -> bool:
    wider = (mask.astype(int) @ mask.astype(int)) > 0
    return bool(mask.diagonal().all() and (mask == mask.T).all() and (wider == mask).all())


@given(two_readings())
@OFTEN
def test_what_holds_of_any_judgement_holds_of_two_joined(readings: tuple[Judgement, Judgement, list[int]]) -> None:
    quick, full, members = readings
    found = Fuller(np.array(members), weighed(full)).joined(weighed(quick)).judgement
    np.testing.assert_allclose(found.parent.sum(axis=1) + found.none, 1.0)
    assert (found.parent >= 0).all()
    assert (found.none >= -1e-12).all()
    assert not found.parent.diagonal().any()
    assert is_equivalence(found.kin)
    assert is_equivalence(found.clone)
    assert not found.parent[~found.kin].any()


@given(two_readings())
@OFTEN
def test_members_are_as_told_anew_and_the_share_of_the_others_stays(readings: tuple[Judgement, Judgement, list[int]]) -> None:
    quick, full, members = readings
    found = Fuller(np.array(members), weighed(full)).joined(weighed(quick)).judgement
    place, apart = np.ix_(members, members), [k for k in range(len(quick.none)) if k not in members]
    np.testing.assert_array_equal(found.kin[place], full.kin)
    np.testing.assert_array_equal(found.clone[place], full.clone)
    left = 1.0 - quick.parent[members][:, apart].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.parent[place], left * full.parent)
    np.testing.assert_array_equal(found.parent[0, apart], quick.parent[0, apart])  # they stay with the child
    np.testing.assert_array_equal(found.cues["cosine"][place], full.cues["cosine"])
    aside = np.ix_(apart, apart)
    assert found.clone[aside][quick.clone[aside]].all(), "copies that nobody read again stay copies"


@given(judgements(clones=False))
@OFTEN
def test_nothing_changes_where_nobody_was_read_again_or_the_same_is_said(quick: Judgement) -> None:
    quick.kin[:] = True
    for members in ([0], list(range(len(quick.none)))):
        again = part(quick, members)
        found = Fuller(np.array(members), weighed(again)).joined(weighed(quick)).judgement
        np.testing.assert_allclose(found.parent, quick.parent)
        np.testing.assert_allclose(found.none, quick.none, atol=1e-12)
        np.testing.assert_array_equal(found.kin, quick.kin)
        np.testing.assert_array_equal(found.clone, quick.clone)


def test_kinds_of_kin_are_told_anew_too() -> None:
    count, kinds = 4, 3
    quick = Judgement(np.zeros((4, 4)), np.ones(4), np.ones((4, 4), bool), np.eye(4, dtype=bool), {}, 0.5)
    full = part(quick, [0, 2])
    quick, full = replace(quick, kinds=np.zeros((count, count, kinds))), replace(full, kinds=np.ones((2, 2, kinds)))
    found = Fuller(np.array([0, 2]), weighed(full)).joined(weighed(quick)).judgement
    assert found.kinds is not None
    assert found.kinds[np.ix_([0, 2], [0, 2])].all()
    assert found.kinds.sum() == 4 * kinds


def family(steps: list[float], copies: int = 0) -> list[Model]:
    grown = tree([-1, *[0] * (len(steps) - 1)], steps)
    names = [f"org/m{k}" for k in range(len(steps) + copies)]
    return [model_of(name, tensors) for name, tensors in zip(names, [*grown, *[grown[1]] * copies], strict=True)]


def test_the_nearest_kin_are_read_again_and_strangers_are_not() -> None:
    models = [*family([1.0, 0.5, 0.2, 0.4]), model_of("org/stranger", tree([-1], [1.0], seed=9)[0])]
    quick = weigh(models)
    assert nearest(quick) == [0, 2, 3, 1]
    assert quick.family.cosine[0, [2, 3, 1]].tolist() == sorted(quick.family.cosine[0, 1:4], reverse=True)
    assert nearest(weigh([models[0], models[4]])) == nearest(weigh(models[:1])) == []


def test_so_many_are_read_at_the_most_and_copies_after_all_else() -> None:
    models = family([1.0, 0.3, *np.linspace(0.4, 0.6, 18)], copies=20)
    places = nearest(weigh(models))
    assert len(places) == 1 + fuller.MOST
    copies = {1, *range(20, 40)}
    assert set(places[1:5]) <= copies, "the nearest"
    assert set(places[5:23]) == set(range(2, 20)), "all others"
    assert set(places[23:]) <= copies


def test_what_was_read_whole_is_not_read_again() -> None:
    models = family([1.0, 0.5, 0.2])
    parts = [Tensor(s.label, s.dtype, s.shape, "", 0, 0) for s in models[0].fingerprint.samples]
    whole = [replace(m, fingerprint=replace(m.fingerprint, architecture=architecture_key(parts))) for m in models]
    assert nearest(weigh(models)) == [0, 2, 1]
    assert nearest(weigh(whole)) == []


def test_evidence_of_the_fuller_reading_stands_where_there_is_one() -> None:
    models = [*family([1.0, 0.5, 0.2, 0.4]), model_of("org/stranger", tree([-1], [1.0], seed=9)[0])]
    quick = weigh(models)
    read = Fuller(np.array([0, 2, 3]), weigh([models[0], models[2], models[3]]))
    told = {one.id: one for one in read.candidates(read.joined(quick), ruled_out=2)}
    assert set(told) == {"org/m2", "org/m3"}
    from hub_lineage import phylogeny, report  # noqa: PLC0415

    listed = report.candidates(models, quick.family, quick.judgement, phylogeny.forest(quick.judgement), 9)
    found = {one.id: one for one in fuller.with_evidence(listed, list(told.values()))}
    assert [one.id for one in listed] == list(found)
    for one in listed:
        more = told.get(one.id, one)
        assert found[one.id].evidence == more.evidence
        assert found[one.id].probability == pytest.approx(one.probability)
        assert found[one.id].kinship == one.kinship
