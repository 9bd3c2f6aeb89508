"""Casts: a known model's very weights, stored with fewer digits than it has, so that it is told which of the two came first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hub_lineage.derivation.matched import Match, holds_weights, matched, turned
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.read import dtypes
from hub_lineage.types import Model, Null, Parent

_SAME = 0.9999  # of the values are equal once the model's are rounded as the child's were
_FINER = 0.05  # of the model's values, at the least, hold digits that the child's dtype lacks
_SURE = 0.999
_TURNS = (1, 2, 3)


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The model of which a child is a cast; None where no model has its weights with more digits.

    A copy in the child's own dtype, or in a finer one that holds no more digits than the child, has a claim as good, and none
    is told from the other.
    """
    if not holds_weights(child.fingerprint):
        return None
    found = [model for model in models if model.id != child.id and _is_cast(child, model)]
    if not found:
        return None
    finest = max(found, key=lambda model: (_digits(model), model.id))
    probability = _SURE / sum(_digits(model) == _digits(finest) for model in found)
    word, before = child.fingerprint.dtype, finest.fingerprint.dtype
    summary = (
        f"{child.id} holds the weights of {finest.id} rounded from {before} to {word}: all of them are equal at that precision."
    )
    parent = Parent(finest.id, finest.revision, "quantized", probability)
    matches = matched(child.fingerprint, finest.fingerprint)
    return Derivation("quantized", word, (parent,), probability, _left(matches), summary, _null(matches))


def _digits(model: Model) -> int:
    return dtypes.FORMATS[model.fingerprint.dtype].significand


def _is_cast(child: Model, model: Model) -> bool:
    if _digits(model) <= _digits(child) or model.fingerprint.architecture != child.fingerprint.architecture:
        return False
    matches = matched(child.fingerprint, model.fingerprint)
    if not matches or not holds_weights(model.fingerprint):
        return False
    count = sum(len(match.places) for match in matches)
    same = sum(int(match.same.sum()) for match in matches)
    finer = sum(int((match.child != match.model).sum()) for match in matches)
    return same >= _SAME * count and finer >= _FINER * count


def _null(matches: Sequence[Match]) -> Null:
    """What the model leaves once its channels are turned round: models of that shape that the child wasn't rounded from."""
    left = [_left([turned(match, step) for match in matches]) for step in _TURNS]
    return Null(float(np.mean(left)), float(np.std(left)), len(left), "turned channels")


def _left(matches: Sequence[Match]) -> float:
    """The squared norm of what rounding left over that of the child."""
    left = sum(float(np.square(match.model.astype(np.float64) - match.child).sum()) for match in matches)
    return left / sum(float(np.square(match.child.astype(np.float64)).sum()) for match in matches)
