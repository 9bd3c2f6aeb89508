"""Merges that combine whole tensors: which of them a fit is, and whether it is one at all.

A combination of kin says little by itself, for many an average of siblings is near. It counts where nothing is left but what
rounding leaves, where one parent alone leaves far more, and where the child, of all the models in the sum, is the one that
was rounded last: who holds a merge and one of its two parents can work out the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.merge.fitting import Fit, by_tensor, casts, over_all
from hub_lineage.derivation.merge.pool import Pool, held_in, steps
from hub_lineage.derivation.merge.selection import EXPLAINED
from hub_lineage.family import Matrix

_ROUNDED = 1.15  # times what rounding once leaves, that chance and a last cast explain
_BEYOND = 0.005  # of what one parent leaves, that arithmetic in low precision may leave beyond rounding
_SHARE = 0.2  # of what one parent leaves, at the most
_AS_WELL = 1.1  # a simpler fit that leaves no more than this times as much is as good
ONE = 5e-3  # how near 1 a sum counts as 1 where its error is small
_LEAST = 0.95  # times what rounding leaves: what was rounded last can't leave less
_TOO_MUCH = 20.0  # times what rounding leaves: a model that is held more exactly was not made last
_ARITHMETIC = 2.5  # times that, which a last rounding and some arithmetic leave
_Z = 1.96
_ANGLES = 3.0  # standard errors that ratios may be off those that sampled angles give
_FLAT = 1e-3  # radians, below which a SLERP is a line


Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Whole:
    """A merge of whole tensors: its ``method`` and, by member, one coefficient with its interval.

    ``base`` is the member that the others are fine-tunes of, where the method tells. For SLERP the coefficients are 1 - t
    and t; ``fit`` has the weights of every tensor in any case.
    """

    method: str
    fit: Fit
    coefficients: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    base: int | None = None


def describe(pool: Pool, found: Fit) -> Whole:
    """The simplest method that explains as much as weights of their own for each tensor do."""
    members = found.members
    tensor, plain, held = found, over_all(pool, members), over_all(pool, members, exact=True)
    if casts(pool, members):
        again = by_tensor(pool, members, rounded=True)
        if again.left < tensor.left / _AS_WELL:
            tensor = again
            plain, held = (over_all(pool, members, exact=exact, rounded=True) for exact in (False, True))
    if held.left <= _AS_WELL * tensor.left + 0.05:
        return _global(held)
    if plain.left <= _AS_WELL * tensor.left + 0.05:
        return _global(plain)
    return _copied(tensor) or _slerp(pool, tensor) or _stock(pool, tensor) or Whole("linear", tensor, *_means(tensor))


def holds(pool: Pool, found: Fit) -> bool:
    """Whether a combination of several members leaves nothing but rounding, be it of the child or of one of the members."""
    if len(found.members) < 2:
        return False
    alone = float(pool.distances[list(found.members)].min())
    own = float(np.square(pool.step).mean())
    shares = zip(_weights(found), found.members, strict=True)
    grown = max(1.0, *(weight**2 * float(np.square(_steps(pool, row)).mean()) / own for weight, row in shares))
    left = found.left
    return bool(left <= min(EXPLAINED * grown, _SHARE * alone) and left - _ROUNDED * grown <= _BEYOND * alone)


def made_last(pool: Pool, found: Fit) -> bool:
    """Whether the child, of all the models of a sum, is the one that was made of the others.

    Whoever holds a merge and all of its models but one can work that one out: it then weighs more than 1 and all others less
    than nothing, and what is left is the rounding of the merge, so much enlarged. Where the weights allow both, the child was
    made last if what is left is its own rounding, and too little or far too much for that of the others.
    """
    weights = _weights(found)
    above, below = int((weights > ONE).sum()), int((weights < -ONE).sum())
    if below == 0:
        return found.left <= EXPLAINED
    heavy = [j for j in range(len(weights)) if abs(weights[j]) > 1 + ONE]
    shares = [_as_rounding_of(pool, found, found.members[j], float(weights[j])) for j in heavy]
    not_theirs = all(share < _LEAST or share > _TOO_MUCH for share in shares)
    if above == 1 and below > 1:
        return found.left <= _ROUNDED and all(share > _TOO_MUCH for share in shares)
    return found.left <= (_ARITHMETIC if above > 1 else _ROUNDED) and (not_theirs or above > 1)


def heaviest(found: Fit) -> float:
    """The largest weight of a member."""
    return float(_weights(found).max())


def is_mixture(found: Fit) -> bool:
    """Whether the weights are those of a merge, and not of an extrapolation from one that the child is a part of."""
    weights = _weights(found)
    return int((weights < -ONE).sum()) == 0 and float(weights.max()) <= 1 + ONE


def _weights(found: Fit) -> Matrix:
    """One weight for each member, shape [M]."""
    weights: Matrix = np.median(found.weights, axis=0)
    return weights


def _steps(pool: Pool, row: int) -> Matrix:
    stored = held_in(pool.others[row], pool.models[row][0].fingerprint.dtype)
    return steps(pool.others[row], stored)


def _as_rounding_of(pool: Pool, found: Fit, row: int, weight: float) -> float:
    """What is left in units of the rounding of a member of that weight, as a mean square."""
    squares = np.add.reduceat(np.square(weight * _steps(pool, row)) / 12, pool.starts) / pool.lengths
    return float(np.mean(np.square(found.rest * pool.noise) / np.repeat(squares, pool.lengths)))


def _global(fit: Fit) -> Whole:
    weights, errors = fit.weights[0], fit.errors[0]
    negative = [j for j, weight in enumerate(weights) if weight < 0]
    arithmetic = len(negative) == 1 and fit.exact
    base = fit.members[negative[0]] if arithmetic else None
    return Whole(
        "task_arithmetic" if arithmetic else "linear", fit, tuple(map(float, weights)), _intervals(weights, errors), base
    )


def _intervals(values: Matrix, errors: Matrix) -> tuple[tuple[float, float], ...]:
    return tuple((float(v - _Z * e), float(v + _Z * e)) for v, e in zip(values, errors, strict=True))


def _slerp(pool: Pool, fit: Fit) -> Whole | None:
    """SLERP (Shoemake 1985): of both weights of a tensor follow the angle of its parents and the place t between them."""
    if len(fit.members) != 2 or (fit.weights < -ONE).any():
        return None
    first, second = fit.weights.clip(0).T
    angle = np.arccos(np.clip(_cosines(pool, fit), -1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        curved = np.arctan2(second * np.sin(angle), first + second * np.cos(angle)) / angle
    places = np.where(angle > _FLAT, curved, second / (first + second))
    ends = np.stack([_arc(1 - places, angle), _arc(places, angle)], axis=1)
    off = np.abs(ends - fit.weights).max(axis=1)
    allowed = 4 * fit.errors.max(axis=1) + 2e-3
    if (off > np.where(_are_whole(pool), allowed, 5 * allowed + 0.02)).any() or not np.isfinite(places).all():
        return None
    precision = 1 / np.maximum(fit.errors[:, 1], 1e-7) ** 2
    place = float((places * precision).sum() / precision.sum())
    reach = _Z * float(np.sqrt(1 / precision.sum() + (precision * (places - place) ** 2).sum() / precision.sum() / len(places)))
    ranges = ((1 - place - reach, 1 - place + reach), (place - reach, place + reach))
    return Whole("slerp", fit, (1 - place, place), ranges)


def _arc(place: Matrix, angle: Matrix) -> Matrix:
    sine = np.sin(angle)
    arc: Matrix = np.where(angle > _FLAT, np.sin(place * angle) / np.where(sine > 0, sine, 1), place)
    return arc


def _cosines(pool: Pool, fit: Fit) -> Matrix:
    """Of both members in every tensor, shape [T]."""
    rows = pool.others[list(fit.members)].astype(np.float64)
    products = [np.add.reduceat(rows[i] * rows[j], pool.starts) for i, j in ((0, 1), (0, 0), (1, 1))]
    cosines: Matrix = products[0] / np.maximum(np.sqrt(products[1] * products[2]), 1e-300)
    return cosines


def _stock(pool: Pool, fit: Fit) -> Whole | None:
    """Model stock (Jang 2024): all fine-tunes weigh alike, and how much follows from the angles between them."""
    count = len(fit.members) - 1
    if count < 2:
        return None
    allowed = 6 * fit.errors + 2e-3
    for base in range(count + 1):
        tuned = [j for j in range(count + 1) if j != base]
        shares = fit.weights[:, tuned]
        if (np.abs(shares - shares.mean(axis=1, keepdims=True)) > allowed[:, tuned]).any():
            continue
        cosine, doubt = _mean_cosine(pool, fit.members[base], [fit.members[j] for j in tuned])
        wanted = count * cosine / (1 + (count - 1) * cosine)
        off = (shares.sum(axis=1) - wanted) / (count * doubt + 2e-3)
        if np.sqrt(np.mean(np.square(off))) <= _ANGLES:
            return Whole("model_stock", fit, *_means(fit), fit.members[base])
    return None


def _mean_cosine(pool: Pool, base: int, tuned: list[int]) -> tuple[Matrix, Matrix]:
    """Of all pairs of fine-tunes in every tensor, and how unsure a sample leaves it, shapes [T]."""
    deltas = pool.others[tuned].astype(np.float64) - pool.others[base]
    pairs = np.triu_indices(len(tuned), 1)
    found = []
    for span in pool.spans:
        part = deltas[:, span]
        norms = np.maximum(np.linalg.norm(part, axis=1), 1e-300)
        found.append((part @ part.T / norms[:, None] / norms)[pairs].mean())
    doubt = np.where(_are_whole(pool), 0.0, 1 / np.sqrt(pool.lengths * len(pairs[0])))
    return np.array(found), doubt


def _are_whole(pool: Pool) -> Mask:
    """Which tensors are held whole, so that their angles are known, shape [T]."""
    whole: Mask = np.array([math.prod(shape) for shape in pool.shapes]) == pool.lengths
    return whole


def _copied(fit: Fit) -> Whole | None:
    """Every tensor from one of the members, as where layers are swapped."""
    nearest = np.rint(fit.weights)
    if (np.abs(fit.weights - nearest) > ONE).any() or (nearest < 0).any() or (nearest.sum(axis=1) != 1).any():
        return None
    return Whole("passthrough", fit, *_means(fit))


def _means(fit: Fit) -> tuple[tuple[float, ...], tuple[tuple[float, float], ...]]:
    """Means over tensors whose weights differ, with the intervals of those means."""
    means = fit.weights.mean(axis=0)
    return tuple(map(float, means)), _intervals(means, np.sqrt(np.square(fit.errors).sum(axis=0)) / len(fit.errors))


def ordered(whole: Whole) -> Whole:
    """The same with the heaviest member first."""
    order = sorted(range(len(whole.coefficients)), key=lambda j: -whole.coefficients[j])
    fit = whole.fit
    turned = replace(
        fit, members=tuple(fit.members[j] for j in order), weights=fit.weights[:, order], errors=fit.errors[:, order]
    )
    return replace(
        whole,
        fit=turned,
        coefficients=tuple(whole.coefficients[j] for j in order),
        intervals=tuple(whole.intervals[j] for j in order),
    )
