"""Edmonds' algorithm against a search through all trees."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.arborescence import Parents, arborescence
from hub_lineage.family import Matrix
from tests.strategies import OFTEN, SELDOM, orders, seeds


def reaches_root(parent: Parents, node: int) -> bool:
    for _ in range(len(parent)):
        if parent[node] < 0:
            return True
        node = int(parent[node])
    return False


def price(cost: Matrix, parent: Parents) -> float:
    return float(sum(cost[child, above] for child, above in enumerate(parent) if above >= 0))


def least(cost: Matrix) -> float:
    """The price of the cheapest tree, by trying them all."""
    count = len(cost)
    choices = [[above for above in range(-1, count) if above != child] for child in range(count)]
    found = (np.array(parent) for parent in itertools.product(*choices) if parent.count(-1) == 1)
    return min(price(cost, parent) for parent in found if all(reaches_root(parent, node) for node in range(count)))


@st.composite
def costs(draw: st.DrawFn) -> Matrix:
    count = draw(st.integers(1, 5))
    figures = st.integers(-4, 4) if draw(st.booleans()) else st.integers(-1000, 1000)
    return np.array(draw(st.lists(figures, min_size=count**2, max_size=count**2)), dtype=np.float64).reshape(count, count)


@given(costs())
@OFTEN
def test_the_tree_is_one_and_none_is_cheaper(cost: Matrix) -> None:
    found = arborescence(cost)
    assert (found < 0).sum() == 1
    assert all(reaches_root(found, node) for node in range(len(cost)))
    assert price(cost, found) == least(cost)


@given(seeds, st.data())
@SELDOM
def test_the_order_of_nodes_and_the_unit_of_cost_tell_nothing(seed: int, data: st.DataObject) -> None:
    cost = np.random.default_rng(seed).random((12, 12))
    order = data.draw(orders(12))
    found, moved = arborescence(cost), arborescence(cost[np.ix_(order, order)])
    assert [-1 if above < 0 else order[above] for above in moved] == found[order].tolist()
    assert arborescence(1000 * cost + 7).tolist() == found.tolist()


@pytest.mark.parametrize("blocked", [np.nan, np.inf, 0.0])
def test_the_diagonal_is_not_read(blocked: float) -> None:
    cost = np.array([[0.0, 5.0, 9.0], [1.0, 0.0, 9.0], [9.0, 1.0, 0.0]])
    np.fill_diagonal(cost, blocked)
    assert arborescence(cost).tolist() == [-1, 0, 1]


def test_a_cycle_of_cycles_is_opened_where_it_costs_least() -> None:
    cost = np.full((5, 5), 50.0)
    cost[0, 1] = cost[1, 0] = 1.0  # a cycle
    cost[2, 3] = cost[3, 2] = 1.0  # another
    cost[0, 2], cost[3, 1] = 4.0, 5.0  # and the two make a third
    cost[1, 4], cost[2, 4] = 20.0, 30.0  # the way in from the root
    cost[4] = 100.0
    assert arborescence(cost).tolist() == [1, 4, 3, 1, -1]
    assert price(cost, arborescence(cost)) == least(cost)
