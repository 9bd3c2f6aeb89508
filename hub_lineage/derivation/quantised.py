"""Quantised copies: which known model was rounded to the few levels that the child's values lie on.

Rounding to the nearest level leaves the source within half a step of what was stored, so that of all candidates the source's
errors, counted in half steps of their block, are the most regular: their distribution has the least entropy. That tells
models apart that differ by a hundredth of a step, where the sum of squared errors does not: a sibling's values lie here and
there beyond the edge of a cell, and the source's never do. Formats that make up for errors, such as GPTQ (Frantar et al.
2023), have no sharp edge, and there the entropy tells as much as the squares do; that the source itself isn't known shows
there by what is left, which leans towards the source's other relatives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation import levels
from hub_lineage.derivation.grid import Matrix, blocked, cells
from hub_lineage.derivation.matched import Match, matched, turned
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.types import Fingerprint, Model, Null, Parent

LEAST_PROBABILITY = 0.5
"""Below this no single source is named."""
_UNEVEN = ("NF4", "FP4", "FP8", "IQ", "MXFP4", "NVFP4", "F8")
_COMPENSATED = ("GPTQ",)
_COARSE = ("Q2", "Q3", "IQ2", "IQ3", "2-bit", "3-bit")
_NESTED = ("NF4", "FP4")  # whose scales may themselves be rounded to eight bits, which no word tells
_OFFSET = ("Q4_1", "Q5_1")
_EDGE = 1.002  # half steps that a rounded value may lie off, arithmetic in single precision included
_EDGE_NESTED = 1.02  # likewise, where scales are rounded to eight bits
_SCALES = 2.0**-11  # of a value, by which it is off where its block's scale was stored in half precision after rounding
_OWN = 1.5  # times the rounding of a stored value, which blurs it and the edges of its cell
_INSIDE = 0.999  # of the values lie within their cells where they were rounded to the nearest level
_INSIDE_NESTED = 0.995  # likewise, where scales are rounded to eight bits
_INSIDE_UNPACKED = 0.998  # likewise, of copies that were unpacked and stored again, whose steps are worked out less surely
_INSIDE_BLURRED = 0.996  # likewise, stored with few digits
_FINE = 11  # significand bits from which a storage shows steps well
_CLEAN = 1e-4  # share of values beyond their cells, from which on a relative that isn't known may be the source
_STRAYED = 0.85  # times the odds in that case
_UNSHARP = 0.95  # likewise, where no edge is sharp
_NEAREST = 3  # candidates that are tried for leaning
_LEANING = 6.0  # standard deviations by which what is left leans towards a relative, where the source isn't known
_MEAN_SQUARE = 3.0  # times that of plain rounding, which making up for errors may leave
_KIN = 0.5  # a correlation that no unrelated model reaches
_SURE = 0.999
_RIVAL = 1e-4  # the probability of lying ahead, from which another is a rival
_TOLD = 0.05  # likewise, from which on it isn't told which of two precisions it was
_SAME = 0.999  # of the values are equal in the coarser precision
_TURNS = (1, 5, 11, 17)
_ROLLS = tuple(range(1, 16))
_EDGES = np.array([*np.linspace(0, 1, 33), _EDGE, *np.geomspace(1.1, 64, 40), 1e30])
_NEXT = 1.0  # prior count in every bin, spread evenly over it


@dataclass(frozen=True, eq=False)
class _Rounding:
    """One candidate's errors: ``off`` in half steps at ``sites``, an index over all values of the child, shapes [n]."""

    model: Model
    sites: NDArray[np.int64]
    off: Matrix
    error: float  # squared norm of what is left
    norm: float  # squared norm of the child
    correlation: float

    def inside(self, edge: float) -> float:
        """The share of values at the nearest level of their block, so many half steps away at the most."""
        return float((self.off <= edge).mean())

    @property
    def mean_square(self) -> float:
        """Of the errors, where rounding to the nearest level leaves 1."""
        return float(np.square(np.minimum(self.off, _EDGES[-2])).mean()) * 3


class _Cells:
    """The child's cells, worked out once for all candidates."""

    def __init__(self, child: Fingerprint) -> None:
        told = {sample.label: levels.word(sample) for sample in child.samples}
        self.words = {label: word for label, (word, _) in told.items() if word}
        self._sizes = {label: size for label, (_, size) in told.items()}
        lengths = np.cumsum([0, *(math.prod(sample.shape) for sample in child.samples)])
        self._starts = {sample.label: int(start) for sample, start in zip(child.samples, lengths, strict=False)}
        self._known: dict[tuple[str, int], tuple[Matrix, Matrix, Matrix]] = {}

    def of(self, match: Match) -> tuple[Matrix, Matrix, Matrix]:
        """How far cells reach below and above each of the child's values, and how far storage blurs it, shapes [n]."""
        key = match.label, len(match.places)
        if key not in self._known:
            word = self.words[match.label]
            table, row, column = blocked(match.child, match.places, self._sizes[match.label])
            sides = cells(table, match.child_dtype, even=not word.startswith(_UNEVEN))
            below, above = (side[row, column] for side in sides)
            self._known[key] = below, above, _blur(match, word, np.nanmax(np.abs(table), axis=1)[row])
        return self._known[key]

    def sites(self, match: Match) -> NDArray[np.int64]:
        """A number for each value, the same for every candidate."""
        return self._starts[match.label] + match.places


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The model that a child was rounded from, with the word of the format as method; None where rounding explains none.

    A child whose samples are not packed counts as quantised where its values lie on few levels a block, as in a quantised
    copy that was unpacked again. A model whose values are the child's own is a copy and no source.
    """
    found = _Cells(child.fingerprint)
    if not found.words:
        return None
    measured = [rounding for model in models if model.id != child.id and (rounding := _measured(found, child, model))]
    related = [one for one in measured if one.correlation >= _KIN]
    word = _commonest(found.words)
    if word.startswith(_COMPENSATED):
        related = _upright(child, related)
    if not related:
        return None
    best, probability, casts = _best(related)
    probability *= _surety(child, best, word)
    if probability < LEAST_PROBABILITY:
        return None
    null = _null(found, child, best, [one for one in measured if one.correlation < _KIN])
    parent = Parent(best.model.id, best.model.revision, "quantized", probability)
    summary = _summary(child, best, word, null) + _in_doubt(casts)
    return Derivation("quantized", word, (parent,), probability, best.error / best.norm, summary, null)


def _measured(found: _Cells, child: Model, model: Model) -> _Rounding | None:
    """How far a model's values lie off the child's, where they can be compared and aren't the child's own."""
    matches = [match for match in matched(child.fingerprint, model.fingerprint) if match.label in found.words]
    if not matches or _share_equal(matches) > 0.5:
        return None
    return _rounding(found, model, matches)


def _rounding(found: _Cells, model: Model, matches: Sequence[Match]) -> _Rounding | None:
    offs, sites, error, norm, products = [], [], 0.0, 0.0, np.zeros(3)
    for match in matches:
        off = _off(match, *found.of(match))
        known = np.isfinite(off)
        offs.append(off[known])
        sites.append(found.sites(match)[known])
        own, other = match.child.astype(np.float64), match.model.astype(np.float64)
        error, norm = error + float(np.square(other - own).sum()), norm + float(np.square(own).sum())
        own, other = own - own.mean(), other - other.mean()
        products += own @ other, own @ own, other @ other
    scale = math.sqrt(products[1] * products[2])
    off = np.concatenate(offs)
    if not len(off) or scale == 0:
        return None
    return _Rounding(model, np.concatenate(sites), off, error, norm, float(products[0]) / scale)


def _blur(match: Match, word: str, largest: Matrix) -> Matrix:
    """What storing rounded off of unpacked values, or of their blocks' scales, after rounding to levels; shape [n]."""
    held = np.abs(match.child.astype(np.float64))
    stored = 0.0 if match.child_dtype.startswith("F8") else _OWN * 2.0 ** -FORMATS[match.child_dtype].significand
    return np.maximum(stored * held, _SCALES * (held + 2 * largest if word in _OFFSET else held))


def _off(match: Match, below: Matrix, above: Matrix, blur: Matrix) -> Matrix:
    """How far the model's values lie off the child's levels in half steps, shape [n]; NaN where the step isn't known.

    Beyond the outermost level of a block values may have been cut off, and tell nothing there but that they are beyond.
    """
    away = match.model.astype(np.float64) - match.child
    reach = np.where(away > 0, above, below)
    inner = np.minimum(below, above)
    open_ended = np.isinf(reach) & np.isfinite(inner)
    reach = np.where(open_ended, inner, reach)
    missed = np.maximum(np.abs(away) - blur, 0.0)
    off = np.divide(missed, reach, out=np.full_like(away, np.nan), where=np.isfinite(reach) & (reach > 0))
    return np.where(open_ended, np.minimum(off, 1.0), off)


def _share_equal(matches: Sequence[Match]) -> float:
    return sum(int(match.same.sum()) for match in matches) / sum(len(match.same) for match in matches)


def _best(measured: Sequence[_Rounding]) -> tuple[_Rounding, float, list[Model]]:
    """The candidate whose errors are the most regular, with the probability that it is the source, and its like casts.

    Those are the same weights in another precision, where rounding doesn't tell from which of the two it was. That it is
    rather than another has the odds of a normal score: the mean difference of log-likelihoods over its error.
    """
    spread = [_log_density(one) for one in measured]
    means = [float(one.mean()) for one in spread]
    first = int(np.argmax(means))
    odds, casts = 0.0, []
    for k, one in enumerate(measured):
        if k == first:
            continue
        score = _score(measured[first], spread[first], one, spread[k])
        behind = 0.5 * math.erfc(score / math.sqrt(2))
        if behind > _RIVAL and not _is_cast(measured[first].model, one.model):
            odds += behind / max(1 - behind, 0.5)
        elif behind > _TOLD:
            casts.append(one.model)
    return measured[first], _SURE / (1 + odds), casts


def _is_cast(one: Model, other: Model) -> bool:
    """Whether two models are the same weights in two precisions, which are no rivals: either is the source."""
    matches = matched(one.fingerprint, other.fingerprint)
    return bool(matches) and _share_equal(matches) > _SAME


def _log_density(one: _Rounding) -> Matrix:
    """The log of the density of each error under the candidate's own histogram of errors, shape [n]."""
    bins = np.searchsorted(_EDGES, one.off, side="right") - 1
    bins = np.clip(bins, 0, len(_EDGES) - 2)
    counts = np.bincount(bins, minlength=len(_EDGES) - 1) + _NEXT
    widths = np.diff(np.minimum(_EDGES, 2 * _EDGES[-2]))
    density: Matrix = np.log(counts / counts.sum() / widths)
    return density[bins]


def _score(first: _Rounding, own: Matrix, other: _Rounding, theirs: Matrix) -> float:
    _, mine, yours = np.intersect1d(first.sites, other.sites, assume_unique=True, return_indices=True)
    if len(mine) < 2:
        return 0.0
    ahead = own[mine] - theirs[yours]
    spread = float(ahead.std())
    return float(ahead.mean()) / spread * math.sqrt(len(ahead)) if spread > 0 else 0.0


def _surety(child: Model, best: _Rounding, word: str) -> float:
    """How surely rounding alone explains what is left, so that no relative nobody knows is the source; 0 where it doesn't."""
    if word.startswith(_COMPENSATED):
        return _UNSHARP if best.mean_square <= _MEAN_SQUARE else 0.0
    edge, share = _limits(word, child.fingerprint.dtype)
    inside = best.inside(edge)
    if inside < share:
        return 0.0
    return 1.0 if inside >= 1 - _CLEAN else _STRAYED


def _upright(child: Model, related: Sequence[_Rounding]) -> list[_Rounding]:
    """The candidates but for those nearest ones from which what is left leans to others; none where all nearest ones do."""
    nearest = sorted(related, key=lambda one: -float(_log_density(one).mean()))[:_NEAREST]
    leaning = [one for one in nearest if _leans(child, one, related)]
    return [one for one in related if one not in leaning] if len(leaning) < len(nearest) else []


def _leans(child: Model, one: _Rounding, related: Sequence[_Rounding]) -> bool:
    found = (_leaning(child, one.model, other.model) for other in related if other is not one)
    return any(abs(lean) >= _LEANING for lean in found if lean is not None)


def _leaning(child: Model, best: Model, other: Model) -> float | None:
    """How far what a model leaves of the child leans towards a relative, in standard deviations of turned channels.

    Rounding the model itself leans nowhere. Where a relative of it was rounded, what is left holds the difference of the two,
    which leans towards whatever else comes from there.
    """
    there = {match.label: match for match in matched(child.fingerprint, other.fingerprint)}
    found = np.zeros(1 + len(_ROLLS))
    for match in matched(child.fingerprint, best.fingerprint):
        beside = there.get(match.label)
        if beside is None or not match.packed or len(beside.places) != len(match.places):
            continue
        left = match.child.astype(np.float64) - match.model
        away = beside.model.astype(np.float64) - match.model
        found += [float(left @ np.roll(away, step * match.columns)) for step in (0, *_ROLLS)]
    spread = float(found[1:].std())
    return float(found[0]) / spread if spread > 0 else None


def _limits(word: str, dtype: str) -> tuple[float, float]:
    """The half steps that a value rounded to that word may lie off, and the share of values that must lie within.

    A source has hardly a value beyond; a fine-tune of it, however near, has where the source lay next to an edge.
    """
    if FORMATS[dtype].significand < _FINE and not dtype.startswith("F8"):
        return _EDGE_NESTED if word.startswith(_NESTED) else _EDGE, _INSIDE_BLURRED
    if word.endswith(levels.UNPACKED):
        return _EDGE, _INSIDE_UNPACKED
    return (_EDGE_NESTED, _INSIDE_NESTED) if word.startswith(_NESTED) else (_EDGE, _INSIDE)


def _null(found: _Cells, child: Model, best: _Rounding, unrelated: Sequence[_Rounding]) -> Null:
    """The share at the nearest level that unrelated models give, and the source itself with its channels turned round."""
    matches = [m for m in matched(child.fingerprint, best.model.fingerprint) if m.label in found.words]
    made = [_rounding(found, best.model, [turned(match, step) for match in matches]) for step in _TURNS]
    edge, _ = _limits(_commonest(found.words), child.fingerprint.dtype)
    shares = [one.inside(edge) for one in (*unrelated, *made) if one is not None]
    said = f"{len(unrelated)} unrelated models, {len(_TURNS)} with turned channels" if unrelated else "turned channels"
    return Null(float(np.mean(shares)), float(np.std(shares)), len(shares), said)


def _commonest(words: dict[str, str]) -> str:
    held = list(words.values())
    return max(sorted(set(held)), key=held.count)


def _summary(child: Model, best: _Rounding, word: str, null: Null) -> str:
    dtype, inside = best.model.fingerprint.dtype, best.inside(_limits(word, child.fingerprint.dtype)[0])
    return (
        f"{child.id} holds the weights of {best.model.id} rounded from {dtype} to {word}: {inside:.2%} of the values are at the "
        f"nearest level of their block, where unrelated weights give {null.mean:.0%}.{_caution(word)}"
    )


def _in_doubt(casts: Sequence[Model]) -> str:
    """Which other precisions it may as well have been rounded from."""
    names = " or ".join(sorted(f"{one.id} ({one.fingerprint.dtype})" for one in casts))
    return f" The same weights in {names} would look no different." if names else ""


def _caution(word: str) -> str:
    """What such rounding hides."""
    if word.startswith((*_COMPENSATED, *_COARSE)):
        return " A fine-tune of it that nobody here knows would look the same where it differs by less than this rounding does."
    return ""
