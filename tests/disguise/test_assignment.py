"""The assignment solver against all permutations, and against what a linear programme would have to satisfy."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub_lineage.disguise.assignment import assign
from tests.strategies import OFTEN, seeds

Gain = NDArray[np.float64]


def best_by_trying_all(gain: Gain) -> float:
    rows, columns = gain.shape
    return float(max(sum(gain[i, j] for i, j in enumerate(chosen)) for chosen in permutations(range(columns), rows)))


def total(gain: Gain) -> float:
    chosen = assign(gain)
    assert len(set(chosen.tolist())) == len(gain), "a column taken twice"
    return float(gain[np.arange(len(gain)), chosen].sum())


@OFTEN
@given(seeds, st.integers(1, 6), st.integers(0, 2), st.booleans())
def test_no_other_assignment_gains_more(seed: int, rows: int, spare: int, ties: bool) -> None:
    drawn = np.random.default_rng(seed).standard_normal((rows, min(rows + spare, 7)))
    gain = drawn.round() if ties else drawn
    assert total(gain) == pytest.approx(best_by_trying_all(gain), abs=1e-9)


@OFTEN
@given(seeds, st.integers(2, 60), st.integers(0, 20))
def test_a_hidden_permutation_comes_back(seed: int, rows: int, spare: int) -> None:
    random = np.random.default_rng(seed)
    units = random.standard_normal((rows + spare, 40))
    order = random.permutation(rows + spare)[:rows]
    assert (assign(units[order] @ units.T) == order).all() or spare == 0
    assert (assign(-((units[order][:, None] - units[None]) ** 2).sum(axis=2)) == order).all()


@OFTEN
@given(seeds, st.integers(2, 40), st.floats(-50, 50))
def test_neither_a_row_s_level_nor_a_column_s_moves_the_answer_s_gain(seed: int, size: int, level: float) -> None:
    random = np.random.default_rng(seed)
    gain = random.standard_normal((size, size))
    moved = gain + level * random.standard_normal(size)[:, None] + random.standard_normal(size)[None, :]
    assert gain[np.arange(size), assign(moved)].sum() == pytest.approx(total(gain), abs=1e-6)


def test_a_random_gain_of_some_hundred_is_as_good_as_scipy_s() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    gain = np.random.default_rng(5).standard_normal((240, 260))
    rows, columns = optimize.linear_sum_assignment(gain, maximize=True)
    assert total(gain) == pytest.approx(gain[rows, columns].sum())


@pytest.mark.parametrize("bad", [np.zeros((3, 2)), np.array([[np.nan]]), np.array([[np.inf, 0.0]])])
def test_what_can_t_be_assigned_is_refused(bad: Gain) -> None:
    with pytest.raises(ValueError, match="finite gains"):
        assign(bad)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4)])
def test_nobody_gets_nothing(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape)).shape == (0,)
