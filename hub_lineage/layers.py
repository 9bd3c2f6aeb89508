"""Which tensors of a model came from which other model: the question asked, its models gathered, the table made."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hub_lineage import derivation
from hub_lineage.derivation import hybrid, stack
from hub_lineage.derivation.nouns import Layer
from hub_lineage.gathering import collect, quiet, total
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.types import SCHEMA, Child, Cost, Model, Progress

_BETTER = 0.95  # share of what the table by places leaves that the table by blocks must stay below


@dataclass(frozen=True, slots=True)
class Layers:
    """Where each sampled tensor of a model came from; :meth:`to_dict` is what ``--json`` prints.

    ``method`` and ``summary`` say how the model was made, where the weights show that.
    """

    child: Child
    layers: tuple[Layer, ...]
    origins: tuple[str, ...]  # the models that something came from, those of most tensors first
    method: str | None
    summary: str
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """The object of schema ``hub-lineage/1``, of plain lists, dicts, numbers and words."""
        return {"schema": SCHEMA, **asdict(self)}


def layers_of(
    model: str,
    *,
    among: Sequence[str] | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    hub: Hub | None = None,
    declared: bool = True,
    budget: int = 200,
    progress: Progress | None = None,
) -> Layers:
    """Which tensors of a model came from which of the others.

    The models are found as :func:`hub_lineage.trace.trace` finds candidates, by the same arguments.

    Raises:
        LineageError: the model can't be read, or every model named can't.
    """
    began, tell = time.perf_counter(), progress or quiet
    gathered = collect(model, among, registry, hub, declared=declared, budget=budget, tell=tell)
    tell("Comparing tensors", 0, 0)
    return replace(told(gathered.subject, gathered.found.known), cost=total(began, gathered.costs))


def told(child: Model, models: Sequence[Model]) -> Layers:
    """The answer about a model among others that were read."""
    others = [one for one in models if (one.id, one.revision) != (child.id, child.revision)]
    made = derivation.explain(child, others)
    rows = made.layers if made is not None and made.layers else table(child, others)
    sampled = child.fingerprint
    return Layers(
        child=Child(child.id, child.revision, sampled.architecture, sampled.parameters),
        layers=rows,
        origins=origins(rows),
        method=made.method if made is not None else None,
        summary=made.summary if made is not None else hybrid.resized(child, others) or _in_words(rows),
        cost=Cost(),
    )


def table(child: Model, models: Sequence[Model]) -> tuple[Layer, ...]:
    """A row for every sampled tensor: by places within the child's architecture, or by blocks where those leave clearly less."""
    by_place, by_block = hybrid.layers(child, models), stack.layers(child, models)
    return by_block if _left(by_block) < _BETTER * _left(by_place) else by_place


def origins(rows: Sequence[Layer]) -> tuple[str, ...]:
    """The models that some tensor came from, those of most tensors first, then by ID."""
    counts: dict[str, float] = {}
    for row in rows:
        for name, coefficient in row.origins:
            counts[name] = counts.get(name, 0.0) + abs(coefficient)
    return tuple(sorted(counts, key=lambda name: (-counts[name], name)))


def _left(rows: Sequence[Layer]) -> float:
    return sum(row.unexplained for row in rows)


def _in_words(rows: Sequence[Layer]) -> str:
    named = origins(rows)
    without = sum(not row.origins for row in rows)
    if not named:
        return "None of the models compared holds any of its tensors."
    models = "1 model" if len(named) == 1 else f"{len(named)} models"
    rest = f"; {without} came from none of them" if without else ""
    return f"Of {len(rows)} tensors compared, {len(rows) - without} go back to {models}{rest}."
