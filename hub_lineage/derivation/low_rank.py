"""Merged adapters: the child differs from a known model by matrices of low rank, and elsewhere not at all.

A low-rank adapter (LoRA, Hu et al. 2021) adds the product of two thin matrices to some of a network's matrices. What the
difference holds beyond that rank is rounding, of a size that the values' dtype tells. The rank shows where several rows of
a matrix lie within the sample. An adapter is made apart from the weights that it is added to, and so stands nearly at a
right angle to its base, while the difference from its merge (the child being the base) or from another merge of that base
leans against the model that it is measured from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.matched import Match, holds_weights, is_rounded, matched, whole_rows
from hub_lineage.derivation.nouns import Derivation, Layer
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.types import Model, Null, Parent

Matrix = NDArray[np.float64]
_FEWEST = 6  # rows and columns that must be known of a matrix
_NOISE = 3.0  # times the largest singular value that rounding alone is expected to give
_REST = 4.0  # times rounding's own squares that may be left beyond the rank
_OUTWEIGHS = 4.0  # times what is left, the least that the low rank explains
_THIN = 0.5  # of the lesser side, the largest rank that counts as low
_TOLD = 0.8  # of the changed values in matrices of which enough rows are known
_LEANS = -0.3  # of the difference's squared norm: a projection on the parent below it is no adapter's on its base


@dataclass(frozen=True, eq=False)
class _Changed:
    """One matrix that differs: its rank, its singular values, and squared norms of all of it and of what rounding explains."""

    match: Match
    rank: int
    sides: tuple[int, int]
    singular: Matrix  # largest first, shape [lesser side]
    total: float
    rounding: float

    @property
    def beyond(self) -> float:
        """The squared norm of what lies beyond its rank."""
        return self.beyond_rank(self.rank)

    def beyond_rank(self, rank: int) -> float:
        """The squared norm that no matrix of so low a rank holds."""
        return float(np.square(self.singular[rank:]).sum())

    @property
    def is_thin(self) -> bool:
        """Whether the difference is of low rank up to rounding."""
        return (
            0 < self.rank <= _THIN * min(self.sides)
            and self.beyond <= _REST * self.rounding
            and self.total - self.beyond >= _OUTWEIGHS * self.beyond
        )


@dataclass(frozen=True, eq=False)
class _Added:
    """What was added to one model."""

    model: Model
    changed: tuple[_Changed, ...]
    compared: int
    lean: float  # projection of the difference on the model over its squared norm; 0 for an adapter on its base
    blur: float  # standard deviation of that for a difference that has nothing to do with the model

    @property
    def rank(self) -> int:
        """The most that any matrix was changed by."""
        return max(one.rank for one in self.changed if one.is_thin)

    @property
    def unexplained(self) -> float:
        """Squared norm of what lies beyond low rank over that of the difference."""
        return sum(one.beyond if one.is_thin else one.total for one in self.changed) / sum(one.total for one in self.changed)


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The model that an adapter was merged into to make the child; None where no difference is of low rank.

    Of several, the one from which the ranks are least: from another merge of the same base they add up.
    """
    if not holds_weights(child.fingerprint):
        return None
    others = [(model, _compared(child, model)) for model in models if model.id != child.id]
    perhaps = [(model, matches) for model, matches in others if not any(map(_is_thick, _moved(matches)))]
    thin = [added for model, matches in perhaps if (added := _added(model, matches)) is not None and _is_low_rank(added)]
    if not thin:
        return None
    found = [added for model, matches in others if (added := _added(model, matches)) is not None]
    best = min(thin, key=lambda one: (sum(changed.rank for changed in one.changed), one.unexplained, abs(one.lean)))
    probability = _probability(best, thin)
    if probability < 0.5:
        return None
    return _derivation(child, best, probability, [one for one in found if one.model is not best.model])


def _compared(child: Model, model: Model) -> list[Match]:
    return [match for match in matched(child.fingerprint, model.fingerprint) if not is_rounded(match.packed)]


def _moved(matches: Sequence[Match]) -> list[Match]:
    """The tensors that differ."""
    return [match for match in matches if not match.same.all()]


def _added(model: Model, matches: Sequence[Match]) -> _Added | None:
    moved = _moved(matches)
    if not moved:
        return None
    changed = [one for match in moved if (one := _changed(match)) is not None]
    known = sum(len(one.match.places) for one in changed)
    if not changed or known < _TOLD * sum(len(match.places) for match in moved):
        return None
    away = [_pair(match) for match in moved]
    square = sum(float(np.square(step).sum()) for step, _ in away)
    lean = sum(float(step @ base) for step, base in away) / square
    blur = math.sqrt(sum(float(np.square(step).sum() * base.var()) for step, base in away)) / square
    return _Added(model, tuple(changed), len(matches), lean, blur)


def _pair(match: Match) -> tuple[Matrix, Matrix]:
    return match.child.astype(np.float64) - match.model, match.model.astype(np.float64)


def _changed(match: Match) -> _Changed | None:
    """The rank of one difference by the rows that are known whole; None where they are too few."""
    known = _known(match)
    if known is None:
        return None
    child, away = known
    singular: Matrix = np.linalg.svd(away, compute_uv=False).astype(np.float64)
    noise, edge = _noise(child, away, match)
    rank = int((singular > edge).sum())
    return _Changed(match, rank, (away.shape[0], away.shape[1]), singular, float(np.square(away).sum()), noise * away.size)


def _known(match: Match) -> tuple[Matrix, Matrix] | None:
    """The child's rows that are known whole, and what was added to them, shapes [rows, columns]; None where they are too few."""
    rows = whole_rows(match.places, match.columns)
    if min(rows.shape) < _FEWEST:
        return None
    child, model = (side.astype(np.float64)[rows] for side in (match.child, match.model))
    return child, child - model


def _noise(child: Matrix, away: Matrix, match: Match) -> tuple[float, float]:
    """The mean square that rounding gives a value of the difference, and the largest singular value that it can give."""
    # That of storing the sum, and of working out what was added in single precision.
    noise = float((np.square(_ulp(child, match.child_dtype)) + np.square(_ulp(away, "F32"))).mean() / 12)
    # The largest singular value of a matrix of noise (Davidson and Szarek 2001).
    return noise, _NOISE * math.sqrt(noise) * (math.sqrt(away.shape[0]) + math.sqrt(away.shape[1]))


def _is_thick(match: Match) -> bool:
    """Whether a corner of a difference shows that the whole is of no low rank, which costs an eighth of working that out.

    No singular value of a part is above that of the whole in its place.
    """
    known = _known(match)
    if known is None:
        return False
    child, away = known
    most = int(_THIN * min(away.shape)) + 1
    return bool(np.linalg.svd(away[:most, :most], compute_uv=False)[-1] > _noise(child, away, match)[1])


def _ulp(values: Matrix, dtype: str) -> Matrix:
    """The distance of neighbouring values in that dtype, shape kept."""
    _, exponent = np.frexp(np.where(values == 0, 1e-30, values))
    step: Matrix = np.ldexp(1.0, exponent - FORMATS[dtype].significand)
    return step


def _is_low_rank(one: _Added) -> bool:
    """Whether every difference that is more than rounding is thin, and some are."""
    real = [changed for changed in one.changed if changed.total > _REST * changed.rounding]
    return bool(real) and all(changed.is_thin for changed in real) and one.lean > _LEANS - 2 * one.blur


def _probability(best: _Added, thin: Sequence[_Added]) -> float:
    """How surely the best is the base: by the angle of what was added, and whether another does as well."""
    alike = sum(_total_rank(one) <= _total_rank(best) for one in thin)
    blur = max(best.blur, 0.05)
    upright, leaning = (math.exp(-0.5 * ((min(best.lean, 0.0) - mean) / blur) ** 2) for mean in (0.0, -0.5))
    return (upright + 1e-9) / (upright + leaning + 2e-9) / alike * 0.999


def _total_rank(one: _Added) -> int:
    return sum(changed.rank for changed in one.changed)


def _derivation(child: Model, best: _Added, probability: float, others: Sequence[_Added]) -> Derivation:
    parent = Parent(best.model.id, best.model.revision, "adapter", probability)
    rests = [_beyond_rank(one, best.rank) for one in others]
    null = Null(float(np.mean(rests)), float(np.std(rests)), len(rests), "other known models") if rests else None
    thin = [one for one in best.changed if one.is_thin]
    layers = tuple(
        Layer(one.match.label, one.match.shape, ((best.model.id, 1.0),), one.beyond / one.total) for one in best.changed
    )
    beside = f" From other models, {null.mean:.0%} of the difference lies beyond that rank." if null else ""
    summary = (
        f"{child.id} is {best.model.id} with an adapter merged in: {len(thin)} of {best.compared} matrices differ, by rank "
        f"{best.rank} up to rounding, and the others not at all.{beside}"
    )
    return Derivation("adapter", "lora", (parent,), probability, best.unexplained, summary, null, layers)


def _beyond_rank(one: _Added, rank: int) -> float:
    """The share of the squared difference from a model that no matrices of so low a rank hold."""
    total = sum(changed.total for changed in one.changed)
    return sum(changed.beyond_rank(rank) for changed in one.changed) / total if total else 0.0
