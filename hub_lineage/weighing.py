"""A family judged by weights alone and, where that is asked for, with what is counted beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub_lineage.errors import UsageError
from hub_lineage.evidence import soft
from hub_lineage.evidence.soft import SOURCES, Soft
from hub_lineage.family import Family, gather
from hub_lineage.fingerprint import is_broken
from hub_lineage.judge import Judgement, judge
from hub_lineage.read.declared import on_hub
from hub_lineage.types import Evidence, Model


@dataclass(frozen=True, eq=False)
class Weighed:
    """K models of one architecture judged; ``judgement`` is ``alone`` but for the odds that soft evidence moved."""

    models: tuple[Model, ...]
    family: Family
    alone: Judgement  # by weights alone
    judgement: Judgement
    counted: tuple[Soft, ...] = ()

    def lines(self) -> list[tuple[Evidence, ...]]:
        """For each model what moved its odds as the parent of model 0; nothing where weights alone were asked."""
        return soft.lines(self.counted, self.models, self.alone.parent)


def weigh(models: Sequence[Model], counted: Sequence[Soft] = ()) -> Weighed:
    """Judges models of one architecture together.

    Raises:
        ValueError: the models can't be compared.
    """
    family = gather([model.fingerprint for model in models])
    alone = _without_broken(judge(family), models)
    ids = {model.id.casefold() for model in models}
    claiming = tuple(_checkable(model, ids) for model in models)
    if not counted:
        return Weighed(claiming, family, alone, alone)
    ratio = np.sum([soft.log_ratio(source, claiming, alone.parent) for source in counted], axis=0)
    parent, none = soft.moved(alone.parent, alone.none, ratio)
    return Weighed(claiming, family, alone, replace(alone, parent=parent, none=none), tuple(counted))


def _without_broken(judgement: Judgement, models: Sequence[Model]) -> Judgement:
    """The judgement in which no intact model comes from one whose weights are infinite or no numbers.

    What is trained from such weights has them too. A copy may have had them replaced.
    """
    broken = np.array([is_broken(model.fingerprint) for model in models])
    impossible = broken[None, :] & ~broken[:, None] & ~judgement.clone
    if not impossible.any():
        return judgement
    parent, none = soft.moved(judgement.parent, judgement.none, np.where(impossible, -np.inf, 0.0))
    return replace(judgement, parent=parent, none=none)


def asked_for(counted: Sequence[str], *, declared: bool) -> tuple[Soft, ...]:
    """The soft evidence that is to be counted, each piece once and in the order in which it is shown.

    Raises:
        UsageError: a word is no such evidence, or declarations are both to be counted and left out.
    """
    words = [counted] if isinstance(counted, str) else counted
    strange = [word for word in words if word not in SOURCES]
    if strange:
        raise UsageError(f"{strange[0]!r} can't be counted beside weights.", f"Choose among {', '.join(SOURCES)}.")
    if "declared" in words and not declared:
        raise UsageError("Declarations can't be both left out and counted.", "Leave out --no-declared, or count the rest alone.")
    return tuple(source for source in SOURCES if source in words)


def _checkable(model: Model, ids: set[str]) -> Model:
    """The model without claims that nobody can check: a path or a dead link must not speak against those at hand."""
    kept = {*on_hub(model.declared), *(one for one in model.declared if one.id.casefold() in ids)}
    return replace(model, declared=tuple(one for one in model.declared if one in kept))
