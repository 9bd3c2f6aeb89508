"""The assignment problem: which of two sets of units belong together so that the sum of their likeness is largest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.intp]
Matrix = NDArray[np.float64]


def assign(gain: NDArray[np.floating]) -> Places:
    """For every row a column of its own, so that the sum of gains is the largest there is: shape [n] for a gain [n, m], n <= m.

    Shortest augmenting paths with dual prices, after a start in which every column bids for its best row (Jonker and
    Volgenant 1987; Crouse 2016): O(n^2 m) at worst, while rows whose best columns differ cost next to nothing.

    Raises:
        ValueError: there are more rows than columns, or a gain is no number.
    """
    rows, columns = gain.shape
    if rows > columns or not np.isfinite(gain).all():
        raise ValueError("an assignment needs finite gains and at least as many columns as rows")
    cost = -np.asarray(gain, dtype=np.float64)
    prices, of_row, of_column = np.zeros(columns), np.full(rows, -1, dtype=np.intp), np.full(columns, -1, dtype=np.intp)
    if rows == columns and rows:  # with columns to spare, those left over must keep the price 0
        prices = cost.min(axis=0)
    _bid(cost - prices, of_row, of_column)
    for row in np.flatnonzero(of_row < 0):
        _augment(cost, int(row), prices, of_row, of_column)
    return of_row


def _bid(reduced: Matrix, of_row: Places, of_column: Places) -> None:
    """Gives rows the columns that are best for them, where no row before took it."""
    if not reduced.size:
        return
    best = reduced.argmin(axis=1)
    taken, first = np.unique(best, return_index=True)
    of_row[first], of_column[taken] = taken, first


def _augment(cost: Matrix, start: int, prices: Matrix, of_row: Places, of_column: Places) -> None:
    """Finds the cheapest path from a row without a column to a column without a row, and turns it over; prices follow."""
    columns = cost.shape[1]
    reach, done, before = np.full(columns, np.inf), np.zeros(columns, dtype=bool), np.full(columns, -1, dtype=np.intp)
    row, length = start, 0.0
    visited: list[int] = []
    while True:
        held = of_row[row]
        level = cost[row, held] - prices[held] if held >= 0 else 0.0
        step = length + (cost[row] - prices - level)
        nearer = ~done & (step < reach)
        reach[nearer], before[nearer] = step[nearer], row
        column = int(np.where(done, np.inf, reach).argmin())
        length = float(reach[column])
        if of_column[column] < 0:
            break
        done[column] = True
        visited.append(column)
        row = int(of_column[column])
    prices[visited] += reach[visited] - length
    while True:  # every row on the path takes the column it was reached for
        row = int(before[column])
        of_column[column], of_row[row], column = row, column, of_row[row]
        if row == start:
            return
