"""Maximum branchings against every choice of parents there is."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.branching import NOBODY, maximum_branching
from tests.strategies import OFTEN, SELDOM


def is_acyclic(parent: tuple[int, ...]) -> bool:
    for start in range(len(parent)):
        node, steps = start, 0
        while node != NOBODY:
            node, steps = parent[node], steps + 1
            if steps > len(parent):
                return False
    return True


def worth(gain: np.ndarray, parent: tuple[int, ...]) -> float:
    return float(sum(gain[child, above] for child, above in enumerate(parent) if above != NOBODY))


def best_of_all(gain: np.ndarray) -> float:
    """The slow way: every choice of a parent or none for every node."""
    choices = [[NOBODY, *(k for k in range(len(gain)) if k != child)] for child in range(len(gain))]
    return max(worth(gain, parent) for parent in product(*choices) if is_acyclic(parent))


@st.composite
def gains(draw: st.DrawFn, most: int) -> np.ndarray:
    """Gains of any sign, often with ties and many cycles."""
    count = draw(st.integers(1, most))
    figure = st.integers(-3, 6).map(float) | st.floats(-5, 5) | st.just(-np.inf)
    row = st.lists(figure, min_size=count, max_size=count)
    return np.array(draw(st.lists(row, min_size=count, max_size=count)))


@given(gains(4))
@OFTEN
def test_no_choice_of_parents_is_better(gain: np.ndarray) -> None:
    assert_best(gain)


@given(gains(5))
@SELDOM
def test_nor_among_more_nodes(gain: np.ndarray) -> None:
    assert_best(gain)


def assert_best(gain: np.ndarray) -> None:
    parent = tuple(maximum_branching(gain).tolist())
    assert is_acyclic(parent)
    assert all(above == NOBODY or gain[child, above] > 0 for child, above in enumerate(parent))
    assert np.isclose(worth(gain, parent), best_of_all(gain))


@given(st.integers(0, 2**32 - 1), st.integers(6, 40))
@OFTEN
def test_a_tree_whose_claims_are_the_best_is_found_whatever_turns_back(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    truth = [NOBODY, *(int(random.integers(k)) for k in range(1, count))]
    gain = random.uniform(0, 1, (count, count))
    for child, above in enumerate(truth):
        if above != NOBODY:
            gain[child, above] = 3.0
            gain[above, child] = 2.5  # nearly as good the other way round
    gain[0, gain[0] < 2] = -1.0
    order = random.permutation(count)
    found = maximum_branching(gain[np.ix_(order, order)])
    assert worth(gain[np.ix_(order, order)], tuple(found.tolist())) >= 3.0 * (count - 1) - 1e-9


def test_a_cycle_is_opened_where_that_costs_least_and_not_where_the_least_sure_claim_stands() -> None:
    # 0 and 1 claim each other. To drop the claim of 0 costs 4; to drop that of 1 costs 5, but 2 takes it in for 4.5.
    gain = np.full((3, 3), -np.inf)
    gain[0, 1], gain[1, 0], gain[1, 2] = 4.0, 5.0, 4.5
    assert maximum_branching(gain).tolist() == [1, 2, NOBODY]


def test_a_hundred_nodes_that_all_claim_each_other_make_one_tree() -> None:
    found = maximum_branching(np.ones((100, 100)))
    assert is_acyclic(tuple(found.tolist()))
    assert int((found == NOBODY).sum()) == 1
