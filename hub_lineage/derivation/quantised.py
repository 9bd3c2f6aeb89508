"""Quantised copies: which known model was rounded to the few levels that the child's values lie on.

Rounding to the nearest level leaves the source within half a step of what was stored, so that of all candidates the source's
errors, counted in half steps of their block, are the most regular: their distribution has the least entropy. That tells
models apart that differ by a hundredth of a step, where the sum of squared errors does not: a sibling's values lie here and
there beyond the edge of a cell, and the source's never do. Formats that make up for errors, such as GPTQ (Frantar et al.
2023), have no sharp edge, and there the entropy tells as much as the squares do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.grid import Matrix, blocked, cells, distinct, steps
from hub_lineage.derivation.matched import Match, is_rounded, matched, places_of, turned
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.fingerprint import values
from hub_lineage.read.dtypes import FORMATS
from hub_lineage.types import Fingerprint, Model, Null, Parent, Sample

LEAST_PROBABILITY = 0.5
"""Below this no single source is named."""
_SIXTEEN = frozenset({"Q2_K", "Q3_K", "Q6_K", "Q3_K_S", "NVFP4", "IQ2_XS", "IQ2_S"})
_UNEVEN = ("NF4", "FP4", "FP8", "IQ", "MXFP4", "NVFP4", "F8")
_COMPENSATED = ("GPTQ",)
_COARSE = ("Q2", "Q3", "IQ2", "IQ3", "2-bit", "3-bit")
_LOOSE = ("Q8", "INT8", "NF4", "FP4")
_BLOCK = 32
_SHORT, _LONG = 8, 128
_FEW = 0.8  # different values a value in a block, below which they lie on few levels; plain ones give .9 and more
_FITTED = 0.5  # of a sample's blocks that lie on even levels
_EDGE = 1.02  # half steps that a rounded value may lie off, arithmetic in low precision included
_INSIDE = 0.999  # of the values lie within their cells where they were rounded to the nearest level
_INSIDE_FINE = 0.995  # likewise, where scales are rounded too: of eight bits, and of blocks nested by bitsandbytes
_INSIDE_BLURRED = 0.98  # likewise, of copies that were unpacked and stored with few digits
_MEAN_SQUARE = 3.0  # times that of plain rounding, which making up for errors may leave
_KIN = 0.5  # a correlation that no unrelated model reaches
_SURE = 0.999
_TURNS = (1, 5, 11, 17)
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

    @property
    def inside(self) -> float:
        """The share of values at the nearest level of their block."""
        return float((self.off <= _EDGE).mean())

    @property
    def mean_square(self) -> float:
        """Of the errors, where rounding to the nearest level leaves 1."""
        return float(np.square(np.minimum(self.off, _EDGES[-2])).mean()) * 3


class _Cells:
    """The child's cells, worked out once for all candidates."""

    def __init__(self, child: Fingerprint) -> None:
        told = {sample.label: _word(sample) for sample in child.samples}
        self.words = {label: word for label, (word, _) in told.items() if word}
        self._sizes = {label: size for label, (_, size) in told.items()}
        lengths = np.cumsum([0, *(math.prod(sample.shape) for sample in child.samples)])
        self._starts = {sample.label: int(start) for sample, start in zip(child.samples, lengths, strict=False)}
        self._known: dict[tuple[str, int], tuple[Matrix, Matrix]] = {}

    def of(self, match: Match) -> tuple[Matrix, Matrix]:
        """Below and above each of the child's values, shapes [n]."""
        key = match.label, len(match.places)
        if key not in self._known:
            word = self.words[match.label]
            table, row, column = blocked(match.child, match.places, self._sizes[match.label])
            sides = cells(table, match.child_dtype, even=not word.startswith(_UNEVEN))
            below, above = (side[row, column] for side in sides)
            self._known[key] = below, above
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
    if not related:
        return None
    word = _commonest(found.words)
    best, probability = _best(related)
    if probability < LEAST_PROBABILITY or not _explained(best, word):
        return None
    null = _null(found, child, best, [one for one in measured if one.correlation < _KIN])
    parent = Parent(best.model.id, best.model.revision, "quantized", probability)
    summary = _summary(child, best, word, null)
    return Derivation("quantized", word, (parent,), probability, best.error / best.norm, summary, null)


def _word(sample: Sample) -> tuple[str, int]:
    """What a sample was rounded to, and over how many neighbours its levels are shared; an empty word for plain values."""
    columns = math.prod(sample.shape[1:])
    if is_rounded(sample.packed):
        return sample.packed, _block(sample.packed, columns)
    if sample.dtype.startswith("F8"):
        return "FP8", _block("FP8", columns)
    return _unpacked(sample)


def _block(word: str, columns: int) -> int:
    """Neighbouring values that surely share their levels: no block spans two rows unless rows are odd."""
    if word.startswith("FP8") and columns <= _LONG:
        return columns
    size = _LONG if word.startswith("FP8") else 64 if word.startswith(("NF4", "FP4")) else 16 if word in _SIXTEEN else _BLOCK
    shared = math.gcd(size, columns)
    return shared if shared >= _SHORT else size


def _unpacked(sample: Sample) -> tuple[str, int]:
    """How many bits the levels of plain values take, and how many neighbours share them."""
    held = values(sample)
    where = places_of(sample, len(held))
    tables = {size: blocked(held, where, size)[0] for size in (16, 32)}
    seen = {size: _levels(table) for size, table in tables.items()}
    size = 32 if seen[32] * 2 < 1.7 * seen[16] else 16
    if seen[16] > _FEW and float(np.isfinite(steps(tables[16], sample.dtype)).mean()) < _FITTED:
        return "", 0
    codes = min(255.0, _codes(tables[size], sample.dtype))
    return f"{max(2, math.ceil(math.log2(max(codes, 2))))}-bit", size


def _levels(table: Matrix) -> float:
    """Different values a value in each block, zeros left out; 1 where all are zero."""
    full = int(np.isfinite(np.where(table == 0, np.nan, table)).sum())
    return float(distinct(table).sum()) / full if full else 1.0


def _codes(table: Matrix, dtype: str) -> float:
    """About how many levels a block has: those between its ends where they are evenly spaced, else those seen."""
    step = steps(table, dtype)
    known = np.isfinite(step)
    if float(known.mean()) < _FITTED:
        return float(np.quantile(distinct(table), 0.9))
    return float(np.quantile((np.nanmax(table[known], axis=1) - np.nanmin(table[known], axis=1)) / step[known], 0.9)) + 0.5


def _measured(found: _Cells, child: Model, model: Model) -> _Rounding | None:
    """How far a model's values lie off the child's, where they can be compared and aren't the child's own."""
    matches = [match for match in matched(child.fingerprint, model.fingerprint) if match.label in found.words]
    if not matches or _share_equal(matches) > 0.5:
        return None
    return _rounding(found, model, matches)


def _rounding(found: _Cells, model: Model, matches: Sequence[Match]) -> _Rounding | None:
    offs, sites, error, norm, products = [], [], 0.0, 0.0, np.zeros(3)
    for match in matches:
        below, above = found.of(match)
        off = _off(match, below, above)
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


def _off(match: Match, below: Matrix, above: Matrix) -> Matrix:
    """How far the model's values lie off the child's levels in half steps, shape [n]; NaN where the step isn't known.

    Beyond the outermost level of a block values may have been cut off, and tell nothing there but that they are beyond.
    """
    away = match.model.astype(np.float64) - match.child
    reach = np.where(away > 0, above, below)
    inner = np.minimum(below, above)
    open_ended = np.isinf(reach) & np.isfinite(inner)
    reach = np.where(open_ended, inner, reach)
    # What storing the unpacked value rounded off is no error of the source's.
    missed = np.maximum(np.abs(away) - np.abs(match.child) * 2.0 ** -FORMATS[match.child_dtype].significand, 0.0)
    off = np.divide(missed, reach, out=np.full_like(away, np.nan), where=np.isfinite(reach) & (reach > 0))
    return np.where(open_ended, np.minimum(off, 1.0), off)


def _share_equal(matches: Sequence[Match]) -> float:
    return sum(int(match.same.sum()) for match in matches) / sum(len(match.same) for match in matches)


def _best(measured: Sequence[_Rounding]) -> tuple[_Rounding, float]:
    """The candidate whose errors are the most regular, with the probability that it is the source.

    That it is rather than another has the odds of a normal score: the mean difference of log-likelihoods over its error.
    """
    spread = [_log_density(one) for one in measured]
    means = [float(one.mean()) for one in spread]
    first = int(np.argmax(means))
    odds = 0.0
    for k, one in enumerate(measured):
        if k != first:
            score = _score(measured[first], spread[first], one, spread[k])
            behind = 0.5 * math.erfc(score / math.sqrt(2))
            odds += behind / max(1 - behind, 0.5)
    return measured[first], _SURE / (1 + odds)


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


def _explained(one: _Rounding, word: str) -> bool:
    """Whether rounding alone explains what is left: hardly a value beyond its cell, or not much more than rounding leaves."""
    if word.startswith(_COMPENSATED):
        return one.mean_square <= _MEAN_SQUARE
    if word.endswith("-bit"):
        return one.inside >= _INSIDE_BLURRED
    return one.inside >= (_INSIDE_FINE if word.startswith(_LOOSE) else _INSIDE)


def _null(found: _Cells, child: Model, best: _Rounding, unrelated: Sequence[_Rounding]) -> Null:
    """The share at the nearest level that unrelated models give, and the source itself with its channels turned round."""
    matches = [m for m in matched(child.fingerprint, best.model.fingerprint) if m.label in found.words]
    made = [_rounding(found, best.model, [turned(match, step) for match in matches]) for step in _TURNS]
    shares = [one.inside for one in (*unrelated, *made) if one is not None]
    said = f"{len(unrelated)} unrelated models, {len(_TURNS)} with turned channels" if unrelated else "turned channels"
    return Null(float(np.mean(shares)), float(np.std(shares)), len(shares), said)


def _commonest(words: dict[str, str]) -> str:
    held = list(words.values())
    return max(sorted(set(held)), key=held.count)


def _summary(child: Model, best: _Rounding, word: str, null: Null) -> str:
    dtype = best.model.fingerprint.dtype
    return (
        f"{child.id} holds the weights of {best.model.id} rounded from {dtype} to {word}: {best.inside:.2%} of the values are at "
        f"the nearest level of their block, where unrelated weights give {null.mean:.0%}.{_caution(word)}"
    )


def _caution(word: str) -> str:
    """What such rounding hides."""
    if word.startswith((*_COMPENSATED, *_COARSE)):
        return " A fine-tune of it that nobody here knows would look the same where it differs by less than this rounding does."
    return ""
