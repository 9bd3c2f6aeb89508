"""Pruned copies: weights that are either zero or a known model's, by magnitude, in a pattern or at random; or tuned since.

A zero where the parent has none is rare in weights that were trained, so a share of them is a trace that later training
with those weights held at zero keeps. Magnitude pruning tells its source besides: what fell away was the smallest of the
model that was pruned, in every other model only nearly so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hub_lineage.derivation.matched import Match, correlation, holds_weights, matched, turned, whole_rows
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.fingerprint import values
from hub_lineage.types import Fingerprint, Floats, Model, Null, Parent

LEAST_SHARE = 0.05
"""Zeros among the child's weights, where the parent has none: fewer are no pruning."""
_SAME = 0.999  # of the values that are left, equal to the parent's
_KIN = 0.5  # the correlation of what is left, from which it was tuned on; no unrelated model reaches it
_AHEAD = 0.9  # of the next one's distance, at the most, that the nearest lies away where none is equal
_ORDERED = 0.98  # how often a value that fell away was smaller than one that stayed, by magnitude
_TURNS = (1, 5, 11, 17)


@dataclass(frozen=True, eq=False)
class _Cut:
    """What the child kept of one model: shares of values, the correlation and squared distance of what is left."""

    model: Model
    zeros: float
    same: float
    alike: float
    left: float
    norm: float
    order: float
    exact: bool  # whether in no tensor a value fell away that was larger than one that stayed


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The model that a child was pruned from; None where its zeros or what is left show no such thing.

    A model that has the child's zeros itself was pruned before, and isn't what the child was pruned from; where there is
    one, the child is its fine-tune or copy.
    """
    if not holds_weights(child.fingerprint) or _zeros(child.fingerprint) < LEAST_SHARE:
        return None
    found = [(model, matched(child.fingerprint, model.fingerprint)) for model in models if model.id != child.id]
    if any(_had_them(matches) for _, matches in found if matches):
        return None
    cuts = [cut for model, matches in found if matches and (cut := _cut(model, matches))]
    if not cuts:
        return None
    if any(cut.same >= _SAME for cut in cuts):
        best, *rivals = sorted(cuts, key=lambda cut: (-cut.same, cut.left))
    else:  # tuned on, where nearness tells more than equal values do, and what fell away more than nearness
        best, *rivals = sorted(cuts, key=lambda cut: (not cut.exact, cut.left))
    if best.zeros < LEAST_SHARE:
        return None
    if best.same >= _SAME:
        probability = 0.999 / sum(cut.same >= best.same and cut.order >= best.order for cut in cuts)
    elif best.alike >= _KIN:
        probability = _ahead(best, rivals)
    else:
        return None
    return _derivation(child, best, probability, next(matches for model, matches in found if model is best.model))


def _zeros(fingerprint: Fingerprint) -> float:
    held = [values(sample) for sample in fingerprint.samples]
    return sum(int((one == 0).sum()) for one in held) / max(1, sum(len(one) for one in held))


def _had_them(matches: Sequence[Match]) -> bool:
    """Whether the model has nearly all of the child's zeros."""
    gone = [match.child == 0 for match in matches]
    total = sum(int(one.sum()) for one in gone)
    shared = sum(int((match.model[one] == 0).sum()) for match, one in zip(matches, gone, strict=True))
    return total > 0 and shared > 0.9 * total


def _cut(model: Model, matches: Sequence[Match]) -> _Cut | None:
    child, theirs = (
        np.concatenate([getattr(match, side) for match in matches]).astype(np.float64) for side in ("child", "model")
    )
    same = np.concatenate([match.same for match in matches])
    gone, stayed = (child == 0) & (theirs != 0), child != 0
    if not stayed.any():
        return None
    alike = correlation([_kept(match) for match in matches if (match.child != 0).sum() > 1])
    left = float(np.square(child - theirs)[stayed].sum())
    thinned = [match for match in matches if (match.child == 0).any() and (match.child != 0).any()]
    order = float(np.mean([_order(match) for match in thinned] or [0.5]))
    shares = float(gone.mean()), float(same[stayed].mean())
    return _Cut(model, *shares, alike, left, float(np.square(child).sum()), order, all(map(_is_exact, thinned)))


def _kept(match: Match) -> Match:
    there = match.child != 0
    return replace(match, child=match.child[there], model=match.model[there], places=match.places[there])


def _order(match: Match) -> float:
    """How often, of two of the model's values of which one fell away, that was the smaller (Mann and Whitney's U).

    Where two of every four fell away, of two in the same four.
    """
    size = np.abs(match.model)
    if _two_of_four(match):
        return _order_in_fours(match, size)
    ranks = np.searchsorted(np.sort(size), size) + 1.0
    gone = match.child == 0
    fallen, stayed = int(gone.sum()), int((~gone).sum())
    return float((ranks[~gone].sum() - stayed * (stayed + 1) / 2) / (fallen * stayed))


def _order_in_fours(match: Match, size: Floats) -> float:
    """In how many whole fours none that fell away was larger than one that stayed."""
    fours = whole_rows(match.places, 4)
    if not len(fours):
        return 0.5
    gone, size = match.child[fours] == 0, size[fours]
    return float((np.where(gone, size, 0).max(axis=1) <= np.where(gone, np.inf, size).min(axis=1)).mean())


def _is_exact(match: Match) -> bool:
    """Whether none that fell away was larger than one that stayed, as is so of the very model that was pruned by magnitude."""
    size, gone = np.abs(match.model), match.child == 0
    if _two_of_four(match):
        return _order_in_fours(match, size) == 1.0
    return bool(size[gone].max() <= size[~gone].min())


def _ahead(best: _Cut, rivals: Sequence[_Cut]) -> float:
    """The probability of the nearest where all were tuned on: by how far it lies ahead, and by whose smallest fell away.

    Nearness alone doesn't tell a source from a relative of one that isn't known; that none but its smallest fell away does.
    """
    if best.exact:
        return 0.95 if not any(cut.exact for cut in rivals) else 0.7
    by_order = best.order >= max((cut.order for cut in rivals), default=0.0)
    if best.left <= _AHEAD**2 * min((cut.left for cut in rivals), default=np.inf):
        return 0.8 if by_order else 0.7
    return 0.6 if by_order else 0.4


def _derivation(child: Model, best: _Cut, probability: float, matches: Sequence[Match]) -> Derivation:
    made = [_cut(best.model, [turned(match, step) for match in matches]) for step in _TURNS]
    shares = [cut.same for cut in made if cut is not None]
    null = Null(float(np.mean(shares)), float(np.std(shares)), len(shares), "the same model with turned channels")
    rest = (
        f"{best.same:.2%} of the others are equal to the parent's, where turned channels give {null.mean:.1%}"
        if best.same >= _SAME
        else f"the others were tuned since, and still correlate with the parent's by {best.alike:.3f}"
    )
    summary = (
        f"{child.id} is {best.model.id} with {_share(matches):.1%} of the weights set to zero{_way(matches, best)}, in "
        f"{len(_thinned(matches))} of {len(matches)} matrices; {rest}."
    )
    parent = Parent(best.model.id, best.model.revision, "finetune", probability)
    return Derivation("finetune", "pruned", (parent,), probability, best.left / best.norm, summary, null)


def _thinned(matches: Sequence[Match]) -> list[Match]:
    """The tensors that lost values."""
    return [match for match in matches if ((match.child == 0) & (match.model != 0)).mean() >= LEAST_SHARE]


def _share(matches: Sequence[Match]) -> float:
    """Zeros among the weights of the tensors that lost any."""
    return float(np.concatenate([match.child == 0 for match in _thinned(matches) or matches]).mean())


def _way(matches: Sequence[Match], best: _Cut) -> str:
    """How they were chosen, where that shows."""
    if all(_two_of_four(match) for match in _thinned(matches)):
        return ", two in every four"
    return ", the smallest" if best.order >= _ORDERED else ""


def _two_of_four(match: Match) -> bool:
    group, counts = np.unique(match.places // 4, return_counts=True)
    gone: NDArray[np.int64] = np.bincount(np.searchsorted(group, match.places // 4), match.child == 0).astype(np.int64)
    return bool(((gone == 2) | (counts < 4)).mean() > 0.99)
