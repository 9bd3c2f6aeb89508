"""Intervals by drawing root families anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.judgement.sums import LEVEL, TIMES, Owner, figure, mean_known, mean_of_ratios, ratio, share, total
from tests.strategies import SELDOM

families = st.integers(1, 5)
cases = st.lists(st.tuples(st.tuples(st.sampled_from("xy"), families.map(str)), st.floats(0, 1)), min_size=1, max_size=40)


@given(cases)
@SELDOM
def test_a_share_is_the_mean_of_its_cases_in_all_and_in_each_zoo(found: list[tuple[Owner, float]]) -> None:
    owners, values = [owner for owner, _ in found], np.array([value for _, value in found])
    sums = share(owners, values)
    assert sums.value == pytest.approx(values.mean())
    assert sums.cases == len(found)
    for zoo, value in sums.by_zoo.items():
        assert value == pytest.approx(values[[owner[0] == zoo for owner in owners]].mean())


@given(cases)
@SELDOM
def test_an_interval_is_that_of_cases_drawn_by_whole_families(found: list[tuple[Owner, float]]) -> None:
    """The slow way: every draw's cases written out one by one."""
    owners, values = [owner for owner, _ in found], np.array([value for _, value in found])
    names = sorted(set(owners))
    sums = share(owners, values)
    if len(names) == 1:
        assert sums.interval is None
        return
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), size=TIMES)
    by_name = [[v for owner, v in found if owner == name] for name in names]
    means = [np.mean([v for k, times in enumerate(row) for v in by_name[k] * int(times)]) for row in drawn]
    assert sums.interval == pytest.approx(tuple(np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])))


def test_many_cases_of_two_families_are_no_more_than_two() -> None:
    owners = [("zoo", "f1")] * 500 + [("zoo", "f2")] * 500
    assert share(owners, np.repeat([0.0, 1.0], 500)).interval == (0.0, 1.0)
    assert share(owners, np.ones(1000)).interval == (1.0, 1.0)


def test_families_of_one_name_in_two_zoos_are_two() -> None:
    sums = share([("one", "f1"), ("other", "f1")], np.array([0.0, 1.0]))
    assert len(sums.owners) == 2
    assert sums.by_zoo == {"one": 0.0, "other": 1.0}


def test_a_mean_of_ratios_leaves_out_what_has_no_cases() -> None:
    sums = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(mean_of_ratios(sums), [0.625, 0.5, np.nan])
    np.testing.assert_allclose(ratio(sums), [0.5, 0.5, np.nan])
    np.testing.assert_allclose(mean_known(np.array([[np.nan, 1.0], [np.nan, 3.0]])), [np.nan, 2.0])


def test_draws_that_tell_nothing_are_left_out_of_an_interval() -> None:
    rows = np.array([[1.0, 1.0], [0.0, 0.0]])  # of the second family nothing is counted
    assert total([("zoo", "f1"), ("zoo", "f2")], rows).interval == (1.0, 1.0)
    assert total([("zoo", "f1"), ("zoo", "f2")], 0 * rows).interval is None


def test_a_row_tells_its_cases_its_interval_and_each_zoo() -> None:
    sums = share([("one", "f1"), ("one", "f2"), ("other", "f1")], np.array([0.0, 1.0, 1.0]))
    row = figure("judge.something", sums, ">= .5", {"nearest": 0.1}, note="of three")
    assert row.note == "3 cases; one 0.500, other 1.000; of three"
    assert row.interval == sums.interval
    assert "one" not in figure("judge.something", share([("one", "f1")], np.ones(1))).note
