"""What depth ``full`` adds where a child wears a disguise: it is taken off, and the child is judged like any other.

Whole weights of the child are laid upon those of every model in question (:mod:`hub_lineage.disguise`). Those that hold the same
weights are kin. In the layout of the nearest of them, the child and all kin are a family that the ordinary judge can compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hub_lineage import disguise
from hub_lineage.candidates import NOISE, is_adapter
from hub_lineage.disguise import Alignment, Weights
from hub_lineage.errors import NoWeights
from hub_lineage.fingerprint import is_blank, is_whole, read_fingerprint, short_vector, values
from hub_lineage.read import dtypes
from hub_lineage.read.in_memory import InMemory
from hub_lineage.types import Candidate, Evidence, Fingerprint, Floats, Kinship, Model, Verdict
from hub_lineage.weighing import Weighed

MOST_PROBED = 24
"""Models that are read whole at the most to find out which families are the child's, one of each family first."""
MOST_KIN = 24
"""Further ones of those families that are read, and kin that are judged together, at the most."""
SOURCE = "alignment"
"""How the evidence begins that a child was laid upon a candidate; what was undone follows."""
_PLAIN = 0.995  # a child whose every tensor correlates so with a model's has nothing to undo
_BESIDE = frozenset({"renamed", "untied"})  # what the ordinary comparison doesn't mind

Key = tuple[str, str | None]


def key(model: Model) -> Key:
    """What tells one model from another: its ID and revision."""
    return model.id, model.revision


def is_plain(weighed: Weighed) -> bool:
    """Whether the child, model 0, lies upon its nearest kin as it stands, so that nothing hides it."""
    child, kin = weighed.models[0], nearest(weighed)
    if is_blank(child.fingerprint):
        return True
    if kin is None:
        return False
    if all(is_whole(model.fingerprint) for model in (child, kin)):
        laid = disguise.find(_held(child.fingerprint), _held(kin.fingerprint))
        return laid is not None and not set(laid.disguises) - _BESIDE
    return _lies_near(weighed)


def _lies_near(weighed: Weighed) -> bool:
    """Whether every tensor of the child is nearly that of one model, and what lies between them isn't noise."""
    cosines = weighed.family.cosines[:, 0, 1:]
    told = cosines[np.any(cosines != 0, axis=1)]
    if not told.size or told.min(axis=0).max() < _PLAIN:
        return False
    near, tensors = 1 + int(told.min(axis=0).argmax()), weighed.family.raw
    return not disguise.is_noise((tensor[0] - tensor[near], float(np.std(tensor[0]))) for tensor in tensors)


def nearest(weighed: Weighed) -> Model | None:
    """The kin that the child, model 0, lies nearest to as it stands; None where it has none."""
    kin = [k for k in np.flatnonzero(weighed.alone.kin[0]).tolist() if k]
    return weighed.models[max(kin, key=lambda k: weighed.family.cosine[0, k])] if kin else None


def _held(fingerprint: Fingerprint) -> Weights:
    sampled = (*fingerprint.samples, *fingerprint.vectors)
    return [(each.label, values(each).reshape(each.shape)) for each in sampled if len(values(each)) == math.prod(each.shape)]


def can_be_read(child: Model) -> bool:
    """Whether a model's weights are its own, and not changes of another's."""
    return not is_adapter(child.fingerprint)


class Agenda:
    """Which of many models are read whole: one after another of each family, then the families in which kin were found."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.families = _families([model for model in models if can_be_read(model)])

    def probes(self) -> list[Model]:
        """The first of every family, then the second, as far as may be read; all where they are few."""
        if sum(map(len, self.families)) <= MOST_PROBED + MOST_KIN:
            return [model for family in self.families for model in family]
        rounds = range(max(map(len, self.families), default=0))
        return [family[i] for i in rounds for family in self.families if i < len(family)][:MOST_PROBED]

    def relatives(self, kin: Sequence[Model]) -> list[Model]:
        """Who is in the families of those that were found to be kin."""
        found = {key(model) for model in kin}
        near = [family for family in self.families if any(key(model) in found for model in family)]
        return [model for family in near for model in family]


def unread(wanted: Sequence[Model], read: Sequence[Model], most: int) -> list[Model]:
    """Of some models those that weren't read before, so many at the most."""
    seen = {key(model) for model in read}
    return [model for model in wanted if key(model) not in seen][:most]


def _families(models: Sequence[Model]) -> list[list[Model]]:
    """Models that resemble one another by short fingerprint, the largest families first; each is told by its first member."""
    found: list[tuple[tuple[str, str], Any, list[Model]]] = []
    for model in models:
        kind = (model.fingerprint.scheme, model.fingerprint.architecture)
        vector = short_vector(model.fingerprint).astype(np.float32)
        near = (family for like, first, family in found if like == kind and float(vector @ first) > NOISE)
        family = next(near, None)
        if family is None:
            found.append((kind, vector, [model]))
        else:
            family.append(model)
    return [family for _, _, family in sorted(found, key=lambda entry: -len(entry[2]))]


@dataclass(frozen=True, eq=False)
class Whole:
    """A model with its weights in memory."""

    model: Model
    weights: Weights


@dataclass(frozen=True, eq=False)
class Laid:
    """A model that the child's weights lie upon, and how."""

    whole: Whole
    alignment: Alignment


def lay(child: Whole, others: Iterable[Whole]) -> Iterator[Laid]:
    """The child laid upon each model from which its weights may come; what holds none of them is let go at once."""
    for other in others:
        if (found := disguise.find(child.weights, other.weights)) is not None:
            yield Laid(other, found)


@dataclass(frozen=True, eq=False)
class Unmasked:
    """The child, model 0, and its kin in one layout; ``laid`` are the kin by ID and revision, the nearest first."""

    models: tuple[Model, ...]
    laid: Mapping[Key, Alignment]
    compared: int

    @cached_property
    def said(self) -> str:
        """What was undone, as a sentence."""
        nearest = next(iter(self.laid.values()))
        return f"Its weights were in disguise, which was undone first: {disguise.sentence(nearest.disguises)}."

    def verdict(self, found: Verdict) -> Verdict:
        """The verdict on the family with what was undone; where too little is left to judge by, the likeness alone speaks."""
        if found.kind not in {"independent", "unknown"}:
            return replace(found, summary=f"{found.summary} {self.said}")
        name = next(iter(self.laid))
        said = f"Related to {name[0]}, though too far from it for a parent to be told. {self.said}"
        return Verdict("family", self._family(name), 1.0, said, found.settle)

    def candidates(self, rows: Sequence[Candidate], read: Sequence[Model], top: int) -> tuple[Candidate, ...]:
        """The candidates, those of the family with how the child was laid upon them, then what else was read whole."""
        told = [self._told(row) for row in rows]
        there = {(row.id, row.revision) for row in rows}
        others = [self._told(Candidate(0, *key(model), 0.0, 0.0, None, "unrelated")) for model in read if key(model) not in there]
        others.sort(key=lambda row: (row.kinship == "unrelated", -row.family_probability, row.id))
        return tuple(replace(row, rank=rank) for rank, row in enumerate([*told, *others][:top], 1))

    def _told(self, row: Candidate) -> Candidate:
        name = (row.id, row.revision)
        if name not in self.laid:
            return row
        kinship: Kinship = "unknown" if row.kinship == "unrelated" else row.kinship
        family = max(row.family_probability, self._family(name))
        return replace(row, kinship=kinship, family_probability=family, evidence=(self.evidence(name), *row.evidence))

    def evidence(self, name: Key) -> Evidence:
        """How the child was laid upon a model: the correlation once disguises are off, beside what other units reach."""
        laid = self.laid[name]
        undone = f", undone: {', '.join(laid.disguises)}" if laid.disguises else ""
        p_value = float(f"{min(1.0, laid.p_value * self.compared):.3g}")
        null = replace(laid.null, mean=round(laid.null.mean, 4))
        return Evidence(f"{SOURCE}{undone}", round(laid.correlation, 4), null, p_value, len(laid.parts))

    def _family(self, name: Key) -> float:
        return round(1.0 - min(1.0, self.laid[name].p_value * self.compared), 4)


def unmask(child: Whole, laid: Sequence[Laid], compared: int) -> Unmasked | None:
    """The child without its disguise among its kin; None where it has none, or where too little of it was found whole.

    Args:
        child: The child as it is stored.
        laid: The models that it lies upon.
        compared: How many models it was compared with.
    """
    near = sorted(laid, key=lambda one: (-one.alignment.correlation, one.whole.model.id))
    if not near or not set(near[0].alignment.disguises) - _BESIDE:
        return None
    frame = near[0]
    held: Tensors = disguise.restored(child.weights, frame.whole.weights, frame.alignment)
    framed = [(one.whole.model, _framed(one.whole, frame.whole, held)) for one in near[:MOST_KIN]]
    kin = [(model, weights) for model, weights in framed if weights is not None]
    moved = any(one.alignment.moved for one in near)
    if moved:
        held, kin = _normal(held), [(model, _normal(weights)) for model, weights in kin]
    if "noisy" in frame.alignment.disguises:
        held = kin[0][1]  # which the child was before noise was added
    held = {name: disguise.snapped(value, kin[0][1][name]) for name, value in held.items()}
    try:
        models = [_printed(model, weights, moved=moved) for model, weights in [(child.model, held), *kin]]
    except NoWeights:  # no matrix of the body was found whole
        return None
    return Unmasked(tuple(models), {key(one.whole.model): one.alignment for one in near}, compared)


Tensors = Mapping[str, Floats]


def _framed(kin: Whole, frame: Whole, names: Tensors) -> Tensors | None:
    """The tensors of those names with a relative's values in the frame's layout; None where it lacks some."""
    held = dict(kin.weights)
    found = disguise.find(kin.weights, frame.weights) if kin is not frame else None
    if found is not None and set(found.disguises) - {"untied"}:
        held = disguise.restored(kin.weights, frame.weights, found)
    if not all(name in held and held[name].shape == value.shape for name, value in names.items()):
        return None
    return {name: held[name] for name in names}


def _normal(held: Tensors) -> Tensors:
    return {name: disguise.normal(value) for name, value in held.items()}


def _printed(model: Model, held: Tensors, *, moved: bool) -> Model:
    """The model with a fingerprint of these tensors alone, in the dtype in which it stores its own unless they were changed."""
    dtype = model.fingerprint.dtype
    stored = dtype if not moved and dtype in dtypes.FLOATS and dtypes.FORMATS[dtype].bits >= 16 else "F32"
    return replace(model, fingerprint=read_fingerprint(InMemory(held, stored), full=True))
