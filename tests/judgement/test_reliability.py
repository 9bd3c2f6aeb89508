"""Calibration error and Brier score of odds whose truth is known, and the diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from benchmarks.judgement.diagram import reliability
from benchmarks.judgement.reliability import BINS, FEWEST, Odds, figures, leading, none
from benchmarks.judgement.scenes import Orphan
from tests.judgement.hand_made import PLAIN, scene_of, zoo
from tests.strategies import OFTEN

stated_and_true = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60)


def odds_of(found: Sequence[tuple[float, float]]) -> Odds:
    stated, true = (np.array(column, dtype=np.float64) for column in zip(*found, strict=True))
    owners = tuple(("zoo", f"f{k % 5}") for k in range(len(found)))
    return Odds(owners, (PLAIN,) * len(found), stated, true)


@given(stated_and_true)
@OFTEN
def test_the_error_is_the_mean_gap_of_the_bins(found: list[tuple[float, bool]]) -> None:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for stated, true in found:
        bins.setdefault(min(int(stated * BINS), BINS - 1), []).append((stated, true))
    gaps = [abs(np.mean([s for s, _ in each]) - np.mean([t for _, t in each])) * len(each) for each in bins.values()]
    mine = odds_of(found)
    assert mine.error.value == pytest.approx(sum(gaps) / len(found), abs=1e-12)
    assert mine.bins[0].sum() == len(found)


@given(stated_and_true)
@OFTEN
def test_the_brier_score_is_the_usual_one(found: list[tuple[float, bool]]) -> None:
    stated, true = zip(*found, strict=True)
    assert odds_of(found).brier == pytest.approx(brier_score_loss(true, stated, pos_label=True))


def test_odds_that_hold_have_no_error() -> None:
    assert odds_of([(0.25, k % 4 == 0) for k in range(40)]).error.value == pytest.approx(0.0)
    assert odds_of([(0.75, k % 4 == 0) for k in range(40)]).error.value == pytest.approx(0.5)


def test_leaders_that_tie_are_right_by_the_share_of_them_that_is() -> None:
    models = zoo({"a": None, "b": "a", "c": "a", "d": "c"})
    scene = scene_of(models, {("b", "a"): 0.4, ("b", "c"): 0.4, ("c", "a"): 0.7, ("d", "a"): 0.6, ("d", "c"): 0.2})
    orphans = [Orphan(("zoo", "f0"), models[0], 0.3, 0.7, born=True)]
    lead, nobody = leading([scene], orphans), none([scene], orphans)
    np.testing.assert_allclose(lead.stated, [0.4, 0.7, 0.6, 0.3])
    np.testing.assert_allclose(lead.true, [0.5, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(nobody.stated, [0.2, 0.3, 0.2, 0.7])
    np.testing.assert_allclose(nobody.true, [0.0, 0.0, 0.0, 1.0])
    halves = odds_of([(0.4, 0.5)] * 2)
    assert halves.brier == pytest.approx((0.6**2 + 0.4**2) / 2)


def orphans_of(regime: str, leading: float, count: int) -> list[Orphan]:
    model = replace(PLAIN, regime=regime)
    return [Orphan(("zoo", f"f{k % 3}"), model, leading, 1.0 - leading, born=k % 2 == 0) for k in range(count)]


def test_the_worst_regime_is_one_of_enough_cases() -> None:
    orphans = orphans_of("deep", 0.2, FEWEST) + orphans_of("star", 0.4, FEWEST) + orphans_of("hub", 0.9, FEWEST - 1)
    rows = {row.id: row for row in figures([], orphans, {})}
    assert rows["judge.ece"].value == pytest.approx(0.4)
    assert "star; no regime was left out" in rows["judge.ece"].note
    assert rows["judge.ece.hub"].value == pytest.approx(0.9)
    assert rows["judge.ece.deep"].baselines["of none"] == pytest.approx(0.2)
    assert rows["judge.ece"].bar == "<= .08"


def test_regimes_that_were_left_out_of_fitting_go_before_those_that_were_not() -> None:
    orphans = orphans_of("deep", 0.2, FEWEST) + orphans_of("star", 0.4, FEWEST)
    unseen = leading([], orphans_of("deep", 0.3, FEWEST))
    rows = {row.id: row for row in figures([], orphans, {"deep": unseen})}
    assert rows["judge.ece"].value == pytest.approx(0.3)
    assert "deep, under a judge fitted without it" in rows["judge.ece"].note
    assert rows["judge.ece.without_deep"].value == pytest.approx(0.3)


def test_the_diagram_has_a_disc_for_every_bin_that_holds_any_case() -> None:
    one, other = odds_of([(0.05, 0), (0.55, 1), (0.56, 1), (1.0, 1)]), odds_of([(0.5, 1), (0.5, 0)])
    drawn = ET.fromstring(reliability({"Leading": {"all": one, "some": other}, "None": {"all": other}}))
    discs = [node for node in drawn.iter("{http://www.w3.org/2000/svg}circle") if len(node)]
    assert len(discs) == 3 + 1 + 1
    assert {float(disc.get("cx") or 0) for disc in discs} <= {13.0, 144.3, 260.0, 130.0}
    titles = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert "2 cases: stated 0.50, true 0.50" in titles
