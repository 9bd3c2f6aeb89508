"""Adapters that lie apart: whose base is it, told by a model that it was merged into.

An adapter's weights say what is added to a base, not what the base holds. So its base shows where another known model is
that base with the adapter merged in, or tuned on from there: then the difference of the two lies along what the adapter
adds. Shapes alone leave all models of one architecture, and are no evidence of this kind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation import column_space
from hub_lineage.derivation.matched import places_of, whole_rows
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.fingerprint import values
from hub_lineage.tensors import CHANGE, is_change
from hub_lineage.types import Agreement, Fingerprint, Model, Null, Parent, Sample

Matrix = NDArray[np.float64]
_EXPLAINED = 0.5  # cosine of a difference and what the adapter adds, from which one was made of the other
_CHANCE = 6.0  # standard errors above what other pairs give
_LEAST = 0.4  # below this no single base is named
_MERGED = 0.98  # the cosine from which nothing else was done
_PREFIX = re.compile(r"^(base_model\.model\.|model\.|transformer\.)+")
_SUFFIX = re.compile(r"(\.(weight|default|base_layer))+$")


@dataclass(frozen=True, eq=False)
class _Pair:
    """A base and what may have been made of it: the cosine of their difference and the adapter's, and its coefficient."""

    base: Model
    made: Model
    cosine: float
    coefficient: float
    norm: float


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The base of an adapter, by a pair of known models whose difference is what it adds; None where there is no such pair."""
    pairs = _pairs(child, _whole(models))
    if not pairs:
        return None
    best = max(pairs, key=lambda pair: pair.cosine)
    others = [
        pair.cosine
        for pair in pairs
        if pair.base.id not in {best.base.id, best.made.id} and pair.made.id not in {best.base.id, best.made.id}
    ]
    null = _null(child, others)
    # By Fisher's transformation, as what the adapter and fine-tunes learn in common bounds no cosine near 1.
    if best.cosine < _EXPLAINED or math.atanh(min(best.cosine, 1 - 1e-9)) < math.atanh(null.mean) + _CHANCE * null.sd:
        return None
    probability = _probability(best, pairs)
    if probability < _LEAST:
        return None
    parent = Parent(best.base.id, best.base.revision, "adapter", probability)
    unexplained = 1 - best.cosine**2
    return Derivation("adapter", "lora", (parent,), probability, unexplained, _summary(child, best, null), null)


def declared(child: Model, models: Sequence[Model]) -> tuple[Agreement, str]:
    """Whether the weights bear out the base that an adapter declares, with a sentence.

    A declared model that the adapter doesn't fit contradicts it, as does a pair that shows another base, or another family
    on whose strongest outputs the adapter leans. Fitting alone confirms nothing.
    """
    stated = [one.id for one in child.declared if one.relation in {None, "adapter"}]
    if not stated:
        return "undeclared", f"{child.id} names no base."
    models = _whole(models)
    named = {name.casefold() for name in stated}  # IDs that differ in case alone are one, as on the Hub
    known = next((model for model in models if model.id.casefold() in named), None)
    said = known.id if known is not None else stated[0]
    found = explain(child, models)
    if found is not None:
        if found.parents[0].id.casefold() in named:
            return "confirmed", found.summary
        if known is not None:
            return "contradicted", f"It declares {said}. {found.summary}"
    if known is None:
        return "unverifiable", f"{said} is not among the known models."
    if not fits(child.fingerprint, known.fingerprint):
        return "contradicted", f"{child.id} changes matrices of shapes that {said} does not have."
    return _by_family(child, known, models)


def _by_family(child: Model, said: Model, models: Sequence[Model]) -> tuple[Agreement, str]:
    """What is left to say without a merge: in whose family an adapter was trained, which confirms no member of it."""
    leans = {model.id: lean for model in models if (lean := leaning(child.fingerprint, model.fingerprint)) is not None}
    if said.id not in leans:
        return "unverifiable", f"{child.id} fits {said.id} by its shapes, and no more shows: an adapter does not hold its base."
    stated, strongest = leans[said.id], max(leans, key=lambda name: (leans[name], name))
    if stated < column_space.UNRELATED and leans[strongest] >= column_space.RELATED:
        return "contradicted", (
            f"{child.id} declares {said.id}, but what it adds lies along the strongest outputs of {strongest} and its family "
            f"({leans[strongest]:.0f} standard deviations above chance), not of {said.id} ({stated:.0f})."
        )
    shown = "by the outputs that it changes" if stated >= column_space.RELATED else "by its shapes"
    return (
        "unverifiable",
        f"{child.id} fits {said.id} or a relative {shown}, and no known merge shows which: an adapter does not hold its base.",
    )


def leaning(adapter: Fingerprint, model: Fingerprint) -> float | None:
    """How far an adapter leans on a model's strongest outputs, in standard deviations above chance; None if none can tell."""
    changes = _changes(adapter)
    pairs = []
    for sample, partner in zip(changes, _partners(changes, model), strict=True):
        adds, own = values(sample).astype(np.float64), _values_at(sample, partner)
        rows = whole_rows(places_of(sample, len(adds)), math.prod(sample.shape[1:]))
        rows = rows[np.isfinite(own[rows]).all(axis=1)]
        pairs.append((adds[rows], own[rows]))
    return column_space.shared(pairs, rank(adapter))


def fits(adapter: Fingerprint, base: Fingerprint) -> bool:
    """Whether a model has matrices of every shape that an adapter changes."""
    there = {sample.shape for sample in base.samples}
    return all(sample.shape in there for sample in _changes(adapter))


def rank(adapter: Fingerprint) -> int:
    """The largest rank of the matrices that an adapter adds; 0 for a fingerprint of no adapter."""
    words = [re.match(r"\d+", sample.packed.removeprefix(f"{CHANGE}-")) for sample in _changes(adapter)]
    return max((int(word[0]) for word in words if word), default=0)


def _whole(models: Sequence[Model]) -> list[Model]:
    """The models that are no adapters themselves."""
    return [model for model in models if not rank(model.fingerprint)]


def _changes(adapter: Fingerprint) -> list[Sample]:
    return [sample for sample in adapter.samples if is_change(sample.packed)]


def _pairs(child: Model, models: Sequence[Model]) -> list[_Pair]:
    """Every ordered pair of models that the adapter fits, with how far what it adds explains their difference."""
    changes = _changes(child.fingerprint)
    fitting = [model for model in models if model.id != child.id and changes and fits(child.fingerprint, model.fingerprint)]
    held = [(model, found) for model in fitting if (found := _held(changes, model.fingerprint)) is not None]
    if len(held) < 2:
        return []
    common = np.logical_and.reduce([np.isfinite(row) for _, row in held])
    rows = np.stack([row[common] for _, row in held])
    adds = np.concatenate([values(sample) for sample in changes]).astype(np.float64)[common]
    norm = float(np.linalg.norm(adds))
    if norm == 0:
        return []
    rows = rows - rows.mean(axis=0)
    along = rows @ adds
    gram = rows @ rows.T
    square = np.maximum(np.diagonal(gram)[:, None] + np.diagonal(gram)[None, :] - 2 * gram, 0.0)
    pairs = []
    for b, (base, _) in enumerate(held):
        for m, (made, _) in enumerate(held):
            if square[m, b] > 0:
                ahead = float(along[m] - along[b])
                pairs.append(_Pair(base, made, ahead / norm / math.sqrt(float(square[m, b])), ahead / norm**2, norm))
    return pairs


def _held(changes: Sequence[Sample], model: Fingerprint) -> Matrix | None:
    """A model's values where the adapter's samples lie, one after another, NaN where it holds none; None where it has none."""
    partners = _partners(changes, model)
    parts = [_values_at(sample, partner) for sample, partner in zip(changes, partners, strict=True)]
    row = np.concatenate(parts)
    return row if np.isfinite(row).any() else None


def _values_at(sample: Sample, partner: Sample | None) -> Matrix:
    wanted = places_of(sample, len(values(sample)))
    row = np.full(len(wanted), np.nan)
    if partner is not None:
        held = values(partner)
        there = places_of(partner, len(held))
        _, mine, theirs = np.intersect1d(wanted, there, return_indices=True)
        row[mine] = held[theirs]
    return row


def _partners(changes: Sequence[Sample], model: Fingerprint) -> list[Sample | None]:
    """The tensors that the adapter's samples belong to: by name, else by order where all of a shape are changed."""
    named = {(sample.shape, _stem(sample.label)): sample for sample in model.samples}
    found = [named.get((sample.shape, _stem(sample.label))) for sample in changes]
    for place, sample in enumerate(changes):
        if found[place] is None:
            mine = [other for other in changes if other.shape == sample.shape]
            theirs = [other for other in model.samples if other.shape == sample.shape]
            if len(mine) == len(theirs):
                found[place] = theirs[next(i for i, other in enumerate(mine) if other is sample)]
    return found


def _stem(label: str) -> str:
    """A tensor's name without what wrappers put before and behind it."""
    return _SUFFIX.sub("", _PREFIX.sub("", label))


def _null(child: Model, others: Sequence[float]) -> Null:
    """What pairs give that have no part in the best one; where there are few, what independent numbers would give."""
    if len(others) >= 6:
        return Null(float(np.mean(others)), float(np.std(others)), len(others), "other pairs of known models")
    rows = sum(min(sample.shape[0], math.prod(sample.shape[1:])) for sample in _changes(child.fingerprint))
    return Null(0.0, 1 / math.sqrt(max(rows, 1)), 0, "independent differences of that rank")


def _probability(best: _Pair, pairs: Sequence[_Pair]) -> float:
    """How surely the best pair's base is the base: another base whose difference is explained as well takes its share."""
    rivals: dict[str, float] = {}
    for pair in pairs:
        if pair.cosine > 0:
            rivals[pair.base.id] = max(rivals.get(pair.base.id, 0.0), pair.cosine)
    left = 1 - best.cosine**2 + 1e-6
    weights = [(left / (1 - cosine**2 + 1e-6)) ** 4 for cosine in rivals.values()]
    return min(0.999, 1 / sum(weights)) * min(1.0, 0.5 + best.cosine / 2)


def _summary(child: Model, best: _Pair, null: Null) -> str:
    how = "merged in" if best.cosine >= _MERGED else "merged in and tuned on"
    return (
        f"{child.id} is an adapter of rank {rank(child.fingerprint)} on {best.base.id}: {best.made.id} is that model with it "
        f"{how}, at {best.coefficient:.2f} of its strength; the cosine of the difference and what the adapter adds is "
        f"{best.cosine:.3f}, where other pairs give {null.mean:.3f} +- {null.sd:.3f}."
    )
