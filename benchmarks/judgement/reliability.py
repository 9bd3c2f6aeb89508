"""Whether stated odds hold: expected calibration error, Brier score, and what a reliability diagram shows.

Murphy 1973 for the score, Naeini, Cooper and Hauskrecht 2015 for the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.judgement.scenes import Orphan, Scene
from benchmarks.judgement.sums import Owner, Sums, figure, total
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel
from hub_lineage.family import Matrix

BINS = 10
"""Bins of equal width."""
FEWEST = 50
"""A regime of fewer cases is shown, but its error, which chance alone makes large, is not called the worst."""


@dataclass(frozen=True, eq=False)
class Odds:
    """Stated odds [n] and how often each came true [n]: 0, 1, or a share where candidates tie."""

    owners: tuple[Owner, ...]
    models: tuple[ZooModel, ...]
    stated: Matrix
    true: Matrix

    def of(self, kept: Callable[[ZooModel], bool]) -> Odds:
        """Those about some models."""
        at = [k for k, model in enumerate(self.models) if kept(model)]
        return Odds(tuple(self.owners[k] for k in at), tuple(self.models[k] for k in at), self.stated[at], self.true[at])

    @property
    def error(self) -> Sums:
        """The expected calibration error."""
        return total(self.owners, self._rows, calibration_error)

    @property
    def brier(self) -> float:
        """The mean squared difference between odds and outcome."""
        return float(np.mean(self.stated**2 - 2 * self.stated * self.true + self.true))

    @property
    def bins(self) -> Matrix:
        """The number of cases, the sum of their odds and that of their outcomes in each bin, shape [3, bins]."""
        summed: Matrix = self._rows.sum(axis=0).reshape(3, BINS)
        return summed

    @property
    def _rows(self) -> Matrix:
        place = np.minimum((self.stated * BINS).astype(int), BINS - 1)
        rows = np.zeros((len(self.stated), 3, BINS))
        for k, values in enumerate((np.ones(len(self.stated)), self.stated, self.true)):
            rows[np.arange(len(place)), k, place] = values
        return rows.reshape(len(place), 3 * BINS)


def calibration_error(sums: Matrix) -> Matrix:
    """From counts, stated odds and outcomes by bin, flat [n, 3 * bins]: the mean distance of odds from outcomes [n]."""
    count, stated, true = sums.reshape(len(sums), 3, BINS).transpose(1, 0, 2)
    cases = count.sum(axis=1)
    off = np.abs(stated - true).sum(axis=1)
    found: Matrix = np.divide(off, cases, out=np.full(len(sums), np.nan), where=cases > 0)
    return found


def leading(found: Sequence[Scene], orphans: Sequence[Orphan]) -> Odds:
    """The odds of the leading candidate: of children with the parent in sight, and of models without."""
    cases = [(*_child(scene, child), *_lead(scene, child)) for scene, child in _present(found)]
    return _odds([*cases, *((orphan.owner, orphan.model, orphan.leading, 0.0) for orphan in orphans)])


def none(found: Sequence[Scene], orphans: Sequence[Orphan]) -> Odds:
    """The odds that none of the candidates is the parent, of the same cases."""
    cases = [(*_child(scene, child), float(scene.judgement.none[child]), 0.0) for scene, child in _present(found)]
    return _odds([*cases, *((orphan.owner, orphan.model, orphan.none, 1.0) for orphan in orphans)])


def figures(found: Sequence[Scene], orphans: Sequence[Orphan], left_out: Mapping[str, Odds]) -> list[Figure]:
    """The error by regime, and the worst of them.

    Every child counts as it stands, and once more with its parent taken away, so that odds are asked to hold where parents
    are missing about as often as not; the error of children as they stand is beside it. ``left_out`` holds by regime the
    leading odds of judges that were fitted without it.
    """
    lead, nobody = leading(found, orphans), none(found, orphans)
    regimes = sorted({model.regime for model in lead.models})
    whole = {regime: lead.of(stands_in(regime)) for regime in regimes}
    rows = [_row(f"judge.ece.{regime}", odds, nobody.of(stands_in(regime))) for regime, odds in whole.items()]
    rows += [_row(f"judge.ece.without_{regime}", odds, note="judge fitted without it") for regime, odds in left_out.items()]
    names = {regime: f"{regime}, under a judge fitted without it" for regime in left_out} or {
        regime: f"{regime}; no regime was left out in fitting" for regime in regimes
    }
    measured = left_out or whole
    enough = {regime: odds for regime, odds in measured.items() if len(odds.stated) >= FEWEST} or measured
    if not enough:
        return rows
    worst = max(enough, key=lambda regime: enough[regime].error.value)
    chosen = _row("judge.ece", enough[worst], note=f"worst of {len(enough)} regimes: {names[worst]}")
    beside = {"all cases": lead.error.value, "all cases, of none": nobody.error.value}
    beside["all as they stand"] = leading(found, [orphan for orphan in orphans if orphan.born]).error.value
    return [replace(chosen, bar="<= .08", baselines={**chosen.baselines, **beside}), *rows]


def _row(name: str, lead: Odds, nobody: Odds | None = None, note: str = "") -> Figure:
    beside = {"Brier": lead.brier}
    if nobody is not None:
        beside |= {"of none": nobody.error.value, "Brier of none": nobody.brier}
    counts = "/".join(f"{count:.0f}" for count in lead.bins[0])
    told = "; ".join(part for part in (note, f"by tenths of stated odds {counts}") if part)
    return replace(figure(name, lead.error, "", beside, note=told), unit="error")


def stands_in(regime: str) -> Callable[[ZooModel], bool]:
    """Whether a model stands in a regime."""
    return lambda model: model.regime == regime


def _present(found: Sequence[Scene]) -> Iterator[tuple[Scene, int]]:
    for scene in found:
        for child in np.flatnonzero(scene.crowd.parents >= 0):
            yield scene, int(child)


def _child(scene: Scene, child: int) -> tuple[Owner, ZooModel]:
    return scene.owner(child), scene.crowd.models[child]


def _lead(scene: Scene, child: int) -> tuple[float, float]:
    """The best odds, and the chance that the one taken among those who tie is the parent."""
    odds, parent = scene.judgement.parent[child], int(scene.crowd.parents[child])
    best = np.flatnonzero(odds >= odds.max())
    return float(odds.max()), float(parent in best) / len(best)


def _odds(cases: Sequence[tuple[Owner, ZooModel, float, float]]) -> Odds:
    owners, models, stated, true = zip(*cases, strict=True) if cases else ((), (), (), ())
    return Odds(owners, models, np.array(stated, dtype=np.float64), np.array(true, dtype=np.float64))
