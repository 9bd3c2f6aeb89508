"""A merge in the words of the answer: its parents with coefficients and intervals, tensor by tensor, beside a null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hub_lineage.derivation.merge.coordinates import Sparse
from hub_lineage.derivation.merge.pool import Pool
from hub_lineage.derivation.merge.selection import select, thinned
from hub_lineage.derivation.merge.whole import Whole
from hub_lineage.derivation.nouns import Derivation, Layer
from hub_lineage.family import Matrix
from hub_lineage.types import Model, Null, Parent

PROBABILITY = 0.995
"""Of a merge that is explained to within rounding: what is left for candidates that are no models but copies of a mistake."""
PASSTHROUGH = "passthrough"
"""The method by which every tensor comes from one model or another."""
_BETWEEN = 0.9  # odds where a model that lies between two others, each trained in some tensors, would look the same
_ROUNDS = 3  # sets of other candidates that the null is made of
_WORDS = {
    "linear": "a weighted sum",
    "task_arithmetic": "task arithmetic",
    "slerp": "a SLERP merge",
    "model_stock": "a Model Stock merge",
    "passthrough": "put together tensor by tensor",
    "ties": "a TIES merge",
    "dare_linear": "a DARE merge",
    "dare_ties": "a DARE-TIES merge",
}


@dataclass(frozen=True, eq=False)
class Told:
    """One combination of candidates: ``rows`` in the pool with a coefficient each, None for a base that has none.

    ``origins`` [T, M] are the weights tensor by tensor, ``rest`` [N] what is left over of the child's values.
    """

    method: str
    rows: tuple[int, ...]
    coefficients: tuple[float | None, ...]
    intervals: tuple[tuple[float, float] | None, ...]
    origins: Matrix
    rest: Matrix
    base: int | None
    extra: str = ""


def of_whole(pool: Pool, found: Whole) -> Told:
    """What a merge of whole tensors says."""
    rest = found.fit.rest * pool.noise
    varying = found.method == "linear" and float(np.ptp(found.fit.weights, axis=0).max()) > 0
    extra = ", with weights that differ from tensor to tensor" if varying else ""
    return Told(found.method, found.fit.members, found.coefficients, found.intervals, found.fit.weights, rest, found.base, extra)


def of_sparse(pool: Pool, found: Sparse) -> Told:
    """What a merge by coordinates says; the base comes last and has no coefficient, for it stands below all of them."""
    terms = found.terms
    order = sorted(range(len(found.members)), key=lambda j: -terms.weights[j])
    rows = (*(found.members[j] for j in order), found.base)
    weights: tuple[float | None, ...] = (*(terms.weights[j] for j in order), None)
    origins = np.tile([*(terms.weights[j] for j in order), 1.0], (len(pool.labels), 1))
    densities = ", ".join(f"{terms.densities[j]:.2f}" for j in order)
    extra = f", keeping {densities} of the changes; {found.covered:.2%} of what changed is explained value by value"
    intervals: tuple[tuple[float, float] | None, ...] = (*(terms.intervals[j] for j in order), None)
    return Told(terms.method, rows, weights, intervals, origins, found.rest, found.base, extra)


def parents(pool: Pool, told: Told, probability: float) -> tuple[Parent, ...]:
    """The parents in the order of the combination."""
    found = []
    for row, coefficient, interval in zip(told.rows, told.coefficients, told.intervals, strict=True):
        model = pool.models[row][0]
        found.append(Parent(model.id, model.revision, "merge", probability, coefficient, interval))
    return tuple(found)


def derivation(pool: Pool, told: Told) -> Derivation:
    """The answer for a merge that is explained."""
    share, null = unexplained(pool, told), other_sets(pool, told)
    layers = []
    for label, shape, span, weights in zip(pool.labels, pool.shapes, pool.spans, told.origins, strict=True):
        names = (pool.models[row][0].id for row in told.rows)
        origins = tuple((name, float(weight)) for name, weight in zip(names, weights, strict=True))
        own = pool.own[span].astype(np.float64)
        norm = float(np.square(own - own.mean()).sum())
        layers.append(Layer(label, shape, origins, float(np.square(told.rest[span]).sum()) / norm if norm > 0 else 0.0))
    said = summary(pool, told, share, null)
    probability = _BETWEEN if told.method == PASSTHROUGH else PROBABILITY
    named = parents(pool, told, probability)
    return Derivation("merge", told.method, named, probability, share, said, null, tuple(layers))


def unexplained(pool: Pool, told: Told) -> float:
    """The squared norm of what is left over that of the child's difference from its nearest parent."""
    return float(np.square(told.rest).sum()) / _nearest(pool, told)


def other_sets(pool: Pool, told: Told) -> Null:
    """The share that the best sets of as many other candidates leave, each set without those before it.

    Where there are no others, the parents themselves with their values moved along serve as strangers.
    """
    part, gone, shares = thinned(pool), list(told.rows), list[float]()
    scale = _nearest(part, told)
    while len(shares) < _ROUNDS and len(pool) - len(gone) >= len(told.rows):
        kept = [k for k in range(len(pool)) if k not in gone]
        other = select(part.without(gone), most=len(told.rows))
        shares.append(float(np.square(other.rest * part.noise).sum()) / scale)
        gone += [kept[k] for k in other.members]
    if shares:
        return Null(float(np.mean(shares)), float(np.std(shares)), len(shares), "as many other candidates at a time")
    turned = np.roll(pool.others[list(told.rows)], 1, axis=1).astype(np.float64)
    left = min(float(np.square(row - pool.own).sum()) for row in turned)
    return Null(left / _nearest(pool, told), 0.0, 1, "the parents with their values moved along")


def _nearest(pool: Pool, told: Told) -> float:
    rows = pool.others[list(told.rows)].astype(np.float64)
    return max(1e-300, float(np.square(rows - pool.own).sum(axis=1).min()))


def summary(pool: Pool, told: Told, share: float, null: Null) -> str:
    """One sentence that names the parents and what is left."""
    names = [pool.models[row][0].id for row in told.rows]
    parts = [
        f"{coefficient:.3g} of {name}" if told.method != PASSTHROUGH else name
        for name, coefficient in zip(names, told.coefficients, strict=True)
        if coefficient is not None
    ]
    base = f" on {pool.models[told.base][0].id}" if told.base is not None and told.base == told.rows[-1] else ""
    said = f"{pool.child.id} is {_WORDS[told.method]}: {_listed(parts)}{base}{told.extra}."
    said += f" {share:.2g} of its difference from the nearest is left unexplained"
    copies = [f"{same[0].id} has the weights of {_listed([m.id for m in same[1:]])}" for same in _copies(pool, told)]
    return f"{said}, where others leave {null.mean:.2g}." + "".join(f" {line}." for line in copies)


def _copies(pool: Pool, told: Told) -> list[Sequence[Model]]:
    return [pool.models[row] for row in told.rows if len(pool.models[row]) > 1]


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
