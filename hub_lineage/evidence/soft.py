"""Soft evidence: what is known of models beside their weights, as ratios that move the odds only where they are asked to.

Dates of upload, declarations and downloads can be forged or wrong, so no ratio is without bounds: what weights make sure is
not overturned. The ratios are assumptions, written down here and fitted to nothing:

- *dates*: one parent in fifty (:data:`UPLOADED_LATER`) was uploaded, or uploaded again, after its child. A model of the
  family that is not the parent is as likely to be older than the child as younger, but for what weights make of it the
  other way round: a child of the child is younger as surely as the child than its parent. Two uploads within an hour are
  of one batch, whose order tells nothing. The Hub gives one and the same date to everything from before March 2022;
  equal dates tell nothing either.
- *declared*: what a child names as its base is ten times likelier to be the parent than if it named nothing, and others
  are a third as likely: most declarations name the direct parent, some a further ancestor, and a few are untrue. A model
  that names the child as its own base is ten times less likely to be the parent.
- *downloads*: the more a model is used, the more is made of it, though slower than in proportion: the cube root of its
  downloads beside the median of the candidates', within a factor of three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, Literal

import numpy as np

from hub_lineage.family import Matrix
from hub_lineage.types import Evidence, Model

Soft = Literal["dates", "declared", "downloads"]

UPLOADED_LATER: Final = 0.02
"""The share of parents that were uploaded after their child."""
OLDER_BY_CHANCE: Final = 0.5
"""The share of a child's other kin that were uploaded before it."""
ONE_BATCH: Final = timedelta(hours=1)
SUREST_BACKWARDS: Final = 0.9
"""No candidate is taken to be the child's own child at more than this, so that no date says more than its source is worth."""
NAMED: Final = 10.0
NOT_NAMED: Final = 1 / 3
NAMES_THE_CHILD: Final = 1 / 10
POPULARITY: Final = 1 / 3
MOST_POPULAR: Final = 3.0
_ORDER: Final = {True: 1, False: -1, None: 0}
_FEW_DOWNLOADS = 10  # so that nought and one count as alike


def log_ratio(source: Soft, models: Sequence[Model], parent: Matrix) -> Matrix:
    """How one source changes the odds of each model to be another's parent against none, shape [K, K], as logarithms.

    Child in the row, candidate in the column, as in ``parent`` [K, K], the probabilities by weights alone. It is 0 where
    the source says nothing, and on the diagonal.
    """
    found = _TABLES[source](models, parent)
    np.fill_diagonal(found, 0.0)
    return found


def moved(parent: Matrix, none: Matrix, log_ratios: Matrix) -> tuple[Matrix, Matrix]:
    """Odds after soft evidence: ``parent`` [K, K] and ``none`` [K], each row summing to 1 as before."""
    odds = parent * np.exp(log_ratios)
    total = none + odds.sum(axis=1)
    return odds / total[:, None], none / total


def lines(sources: Sequence[Soft], models: Sequence[Model], before: Matrix, child: int = 0) -> list[tuple[Evidence, ...]]:
    """For each of K models what moved its odds as the child's parent: a factor a source, and what the odds were before.

    ``before`` [K, K] holds the probabilities by weights alone.
    """
    factors = {source: np.exp(log_ratio(source, models, before)[child]) for source in sources}
    return [
        (
            *(Evidence(source, round(float(factor[k]), 4)) for source, factor in factors.items()),
            *([Evidence("weights_alone", round(float(before[child, k]), 4))] if sources else []),
        )
        for k in range(len(models))
    ]


def older(one: Model, other: Model) -> bool | None:
    """Whether one model was uploaded before another; None where that isn't known, or both came in one batch."""
    first, second = _moment(one), _moment(other)
    if first is None or second is None or abs(first - second) < ONE_BATCH:
        return None
    return first < second


def _dates(models: Sequence[Model], parent: Matrix) -> Matrix:
    backwards = np.clip(parent.T / np.maximum(1.0 - parent, 1e-9), 0.0, SUREST_BACKWARDS)  # the child's child, if no parent
    by_chance = backwards * UPLOADED_LATER + (1.0 - backwards) * OLDER_BY_CHANCE
    order = np.array([[_ORDER[older(candidate, child)] for candidate in models] for child in models])
    ratio = np.where(order > 0, (1.0 - UPLOADED_LATER) / by_chance, UPLOADED_LATER / (1.0 - by_chance))
    found: Matrix = np.where(order == 0, 0.0, np.log(ratio))
    return found


def _declared(models: Sequence[Model], _: Matrix) -> Matrix:
    named = [{d.id.casefold() for d in model.declared} - {model.id.casefold()} for model in models]
    found = np.zeros((len(models), len(models)))
    for row, child in enumerate(models):
        for column, candidate in enumerate(models):
            if named[row]:
                found[row, column] += math.log(NAMED if candidate.id.casefold() in named[row] else NOT_NAMED)
            if child.id.casefold() in named[column]:
                found[row, column] += math.log(NAMES_THE_CHILD)
    return found


def _downloads(models: Sequence[Model], _: Matrix) -> Matrix:
    counts = [model.downloads for model in models]
    found = np.zeros((len(models), len(models)))
    for row in range(len(models)):
        known = {k: math.log(max(n, 0) + _FEW_DOWNLOADS) for k, n in enumerate(counts) if n is not None and k != row}
        middle = float(np.median(list(known.values()))) if known else 0.0
        most = math.log(MOST_POPULAR)
        for k, downloads in known.items():
            found[row, k] = min(max(POPULARITY * (downloads - middle), -most), most)
    return found


def _moment(model: Model) -> datetime | None:
    try:
        moment = datetime.fromisoformat((model.created_at or "").strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_TABLES: Final[dict[Soft, Callable[[Sequence[Model], Matrix], Matrix]]] = {
    "dates": _dates,
    "declared": _declared,
    "downloads": _downloads,
}
SOURCES: Final[tuple[Soft, ...]] = tuple(_TABLES)
"""What may be asked for, in the order in which it is shown."""
