"""How a child was made out of known models, one file a way; each reads fingerprints and knows no other way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hub_lineage.derivation import adapter, cast, hybrid, low_rank, merge, pruned, quantised, stack
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.fingerprint import is_broken
from hub_lineage.types import Model

Way = Callable[[Model, Sequence[Model]], Derivation | None]

WAYS: tuple[Way, ...] = (
    quantised.explain,
    cast.explain,
    pruned.explain,
    low_rank.explain,
    adapter.explain,
    merge.explain,
    hybrid.explain,
    stack.explain,
)
"""The ways, the one that leaves least to chance first."""
LEAST = 0.9
"""Odds from which a way is taken for the answer; less sure ones leave it to the judge."""


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The first way in which the weights show the child to be made out of some of the models; None where they show none."""
    if is_broken(child.fingerprint):
        return None  # what is no number counts as zero, which is no trace of pruning
    others = [model for model in models if (model.id, model.revision) != (child.id, child.revision)]
    found = (way(child, others) for way in WAYS)
    return next((made for made in found if made is not None and made.probability >= LEAST), None)
