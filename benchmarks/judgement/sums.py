"""Figures as functions of sums over root families, so that a bootstrap has only to weigh the families anew.

Models of one family share a root and much else, so cases aren't independent: families are resampled, not cases (Efron and
Tibshirani 1993, on clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.results_file import Figure
from hub_lineage.family import Matrix

Owner = tuple[str, str]
"""A zoo and one of its families: what grew from one root, its twins and students included."""
Statistic = Callable[[Matrix], Matrix]
"""From sums [n, d] to figures [n]; NaN where there is nothing to tell."""
TIMES = 1000
LEVEL = 0.95
_SEED = 0


def ratio(sums: Matrix) -> Matrix:
    """The first sum over the second."""
    found: Matrix = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)
    return found


def mean_of_ratios(sums: Matrix) -> Matrix:
    """The mean of several ratios, given as sums above, below, above, below, and so on; those of nothing left out."""
    shares = np.stack([ratio(sums[:, k : k + 2]) for k in range(0, sums.shape[1], 2)])
    return mean_known(shares)


def mean_known(figures: Matrix) -> Matrix:
    """The mean down the columns of what isn't NaN, from [k, n] to [n]; NaN where all is."""
    known = np.isfinite(figures)
    count = known.sum(axis=0)
    summed = np.where(known, figures, 0.0).sum(axis=0)
    found: Matrix = np.divide(summed, count, out=np.full(len(count), np.nan), where=count > 0)
    return found


@dataclass(frozen=True, eq=False)
class Sums:
    """What each root family adds to a figure: ``parts`` [F, d] by ``owners``, from ``cases`` cases."""

    owners: tuple[Owner, ...]
    parts: Matrix
    statistic: Statistic
    cases: int

    @property
    def value(self) -> float:
        """The figure over all families."""
        return self._over(np.ones(len(self.owners), dtype=bool))

    @property
    def by_zoo(self) -> dict[str, float]:
        """The figure in each zoo alone."""
        zoos = np.array([zoo for zoo, _ in self.owners])
        return {str(zoo): self._over(zoos == zoo) for zoo in np.unique(zoos)}

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the figure of so many families, drawn with replacement, lies in 95 % of a thousand draws; None for one family."""
        count = len(self.owners)
        if count < 2:
            return None
        drawn = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), size=TIMES)
        figures = self.statistic(drawn @ self.parts)
        known = figures[np.isfinite(figures)]
        if not len(known):
            return None
        low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)

    def _over(self, families: NDArray[np.bool_]) -> float:
        return float(self.statistic(self.parts[families].sum(axis=0, keepdims=True))[0])


def total(owners: Sequence[Owner], rows: Matrix, statistic: Statistic = ratio) -> Sums:
    """The rows [n, d] of cases summed by the family that each comes from."""
    names = sorted(set(owners))
    place = {name: at for at, name in enumerate(names)}
    parts = np.zeros((len(names), rows.shape[1]))
    np.add.at(parts, [place[owner] for owner in owners], rows)
    return Sums(tuple(names), parts, statistic, len(owners))


def share(owners: Sequence[Owner], values: Matrix) -> Sums:
    """The mean of one value [n] a case."""
    return total(owners, np.stack([values, np.ones(len(values))], axis=1))


def figure(name: str, sums: Sums, bar: str = "", beside: Mapping[str, float] | None = None, *, note: str = "") -> Figure:
    """One row of the results: the number of cases, each zoo's own value where there are several, and what else is told."""
    told = [f"{sums.cases} cases", _zoos(sums.by_zoo), note]
    return Figure(name, sums.value, "share", bar, known(beside or {}), "; ".join(part for part in told if part), sums.interval)


def known(beside: Mapping[str, float]) -> dict[str, float]:
    """The figures that there are cases for."""
    return {name: value for name, value in beside.items() if np.isfinite(value)}


def _zoos(values: Mapping[str, float]) -> str:
    return ", ".join(f"{zoo} {value:.3f}" for zoo, value in values.items()) if len(values) > 1 else ""
