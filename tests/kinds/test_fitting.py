"""What fitting a judge is made of: variations of families, kinds, calibration."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cases import glimpse, variations
from benchmarks.fit_judge import Chance, calibrate, chances, choose_cut
from benchmarks.training import kinds
from hub_lineage.family import Family
from hub_lineage.judge import shipped
from hub_lineage.network import KINDS
from tests.judgement.hand_made import scene_of, zoo

LINE = {"a": None, "b": "a", "c": "b", "d": "b", "e": "a"}


def test_families_lose_random_members_and_parents_in_turn() -> None:
    crowd = scene_of(zoo(LINE)).crowd
    kin = np.ones((5, 5), dtype=bool)
    found = list(variations(crowd, kin, np.random.default_rng(0), 40))
    assert len(found[0]) == 5
    gone = [{"a", "b", "c", "d", "e"} - {model.id for model in part.models} for part in found[1:]]
    assert all(1 <= len(each) <= 3 for each in gone)
    assert sum(each <= {"a", "b"} for each in gone) >= 20  # every other time parents alone
    assert any(not each <= {"a", "b"} for each in gone)
    for part in found:
        names = [model.id for model in part.models]
        for child, parent in zip(part.models, part.parents, strict=True):
            assert parent == (names.index(child.parent) if child.parent in names else -1)


def test_kinds_are_numbered_as_the_network_tells_them() -> None:
    scene = scene_of(zoo(LINE))
    found = kinds(scene.crowd, scene.lineage)
    names = [model.id for model in scene.crowd.models]

    def kind(child: str, candidate: str) -> str:
        return str(KINDS[int(found[names.index(child), names.index(candidate)])])

    assert kind("c", "b") == "parent"
    assert kind("c", "a") == "ancestor"
    assert kind("a", "c") == kind("a", "b") == "descendant"
    assert kind("c", "d") == kind("b", "e") == "sibling"
    assert kind("c", "e") == "cousin"
    assert (np.diagonal(found) == -1).all()


def _drawn(generator: np.random.Generator, count: int, mean: float) -> Chance:
    """Log odds of some candidates, and the parent as drawn from twice those log odds less one."""
    told = generator.normal(mean, 1.0, count)
    weights = np.append(np.exp(2.0 * told - 1.0), 1.0)
    chosen = int(generator.choice(count + 1, p=weights / weights.sum()))
    return Chance(told, chosen if chosen < count else -1)


def test_calibration_finds_the_slope_that_odds_lack_as_if_half_of_the_parents_were_there() -> None:
    generator = np.random.default_rng(3)
    found = [_drawn(generator, 3, -0.6) for _ in range(4000)]
    here = np.mean([chance.parent >= 0 for chance in found])
    slope, shift, loss = calibrate(found)
    assert abs(slope - 2.0) < 0.25
    assert abs(shift - (-1.0 - np.log(here / (1 - here)))) < 0.25
    assert 0 < loss < np.log(4)


def test_the_cut_is_the_lowest_that_claims_a_tenth_of_those_without_a_parent() -> None:
    random = np.random.default_rng(5)
    gone = [Chance(np.array([odds]), -1) for odds in random.normal(-1.0, 1.5, 400)]
    there = [
        Chance(np.array([odds, -9.0]), place) for odds, place in zip(random.normal(1.0, 1.5, 400), [0, 1] * 200, strict=True)
    ]
    cut, stated, false = choose_cut([*gone, *there], 1.0, 0.0)
    probability = 1 / (1 + np.exp(-np.array([chance.odds[0] for chance in gone])))
    assert false == pytest.approx((probability >= cut).mean())
    assert false <= 0.1 < (probability >= cut - 0.01).mean()
    assert 0.05 < stated < 0.5  # every other parent is not the leading candidate


def test_a_child_counts_with_its_parent_there_and_with_it_gone() -> None:
    scene = scene_of(zoo(LINE))
    found = chances([scene.crowd], shipped())
    assert sorted(chance.parent >= 0 for chance in found) == [False] * 5 + [True] * 4
    hidden = scene_of(zoo(LINE, regime=dict.fromkeys("cde", "star")))
    assert len(chances([hidden.crowd], shipped(), "star")) < len(found)


def test_a_glimpse_is_of_some_tensors_of_the_same_models() -> None:
    drawn = np.random.default_rng(1)
    raw = tuple(drawn.normal(size=(3, count)).astype(np.float32) for count in (100, 300, 400, 500, 600, 700))
    family = Family(raw, ("F32",) * 3, (1,) * 6, labels=tuple("abcdef"), shapes=tuple((count,) for count in range(6)))
    found = [glimpse(family, drawn) for _ in range(40)]
    assert {len(seen.raw) for seen in found} >= {2, 3, 4, 5}
    for seen in found:
        places = [family.labels.index(label) for label in seen.labels]
        assert seen.shapes == tuple(family.shapes[place] for place in places)
        for tensor, place in zip(seen.raw, places, strict=True):
            whole = raw[place]
            starts = range(whole.shape[1] - tensor.shape[1] + 1)
            assert any(np.array_equal(tensor, whole[:, first : first + tensor.shape[1]]) for first in starts)
    halved = {bool(tensor.shape[1] < raw["abcdef".index(seen.labels[-1])].shape[1]) for seen in found for tensor in seen.raw[-1:]}
    assert halved == {True, False}
