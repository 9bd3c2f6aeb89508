"""Hybrids: the trunk of one model with the head or neck of another, told tensor by tensor within one architecture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hub_lineage.derivation.nouns import Derivation, Layer
from hub_lineage.derivation.origins import Held, Matrix, Pair, chance, compared, cost, fewest, layer, odds
from hub_lineage.family import gather
from hub_lineage.types import Fingerprint, Floats, Model, Null, Parent, Sample

_COPIED = 0.9  # share of the sampled tensors that must be copies of their origins
_KIN = 0.9  # odds at the most where the parents are kin: a model between two others looks the same from the weights
_NAMED = 3  # tensors that the summary names of each parent


def layers(child: Model, models: Sequence[Model]) -> tuple[Layer, ...]:
    """Which model each sampled tensor of a child came from, in order of depth; models of its architecture alone count.

    The fewest models that explain the tensors are taken, so that a sibling which by chance is a little nearer in some
    tensor isn't named. What is kin to none of them has no origin.
    """
    return _Table.of(child, models).layers


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """The models that a child was put together from; None unless nearly all of it are copies, of two models or more."""
    table = _Table.of(child, models)
    owned = table.owned
    copies = [pair is not None and pair.copied for pair in table.pairs]
    parents = [k for k in table.chosen if any(copies[i] for i in owned.get(k, ()))]
    if len(parents) < 2 or sum(copies) < max(2, _COPIED * len(copies)):
        return None
    probability = min(table.certainty(parents), _KIN if table.are_kin(parents) else 1.0)
    total = sum(held.values.size for held in table.child)
    left = sum(p.left * p.size for p in table.pairs if p is not None) / total
    return Derivation(
        relation="merge",
        method="hybrid",
        parents=tuple(Parent(table.models[k].id, table.models[k].revision, "merge", probability) for k in parents),
        probability=probability,
        unexplained=left,
        summary=_in_words(table, parents),
        null=table.null,
        layers=table.layers,
    )


def resized(child: Model, models: Sequence[Model]) -> str | None:
    """A sentence where a model has the child's very body and another number of weights beside it: head or vocabulary."""
    for model in sorted(models, key=lambda one: one.id):
        more = child.fingerprint.parameters - model.fingerprint.parameters
        if more and all(pair is not None and pair.copied for pair in _Table.of(child, [model]).pairs):
            words = "more" if more > 0 else "fewer"
            return f"The body is that of {model.id}; its vocabulary, head or tables hold {abs(more):,} {words} weights."
    return None


@dataclass(frozen=True, eq=False)
class _Table:
    """A child's tensors beside those of each model of its architecture, tensor by tensor."""

    child: tuple[Held, ...]
    models: tuple[Model, ...]
    rows: tuple[tuple[Held | None, ...], ...]  # of each model, what stands where the child's tensors stand

    @classmethod
    def of(cls, child: Model, models: Sequence[Model]) -> _Table:
        mine = child.fingerprint
        alike = sorted(
            (m for m in models if (m.fingerprint.scheme, m.fingerprint.architecture) == (mine.scheme, mine.architecture)),
            key=lambda m: (m.id, m.revision or ""),
        )
        held = tuple(map(Held.of, mine.samples))
        return cls(held, tuple(alike), tuple(_placed(held, model) for model in alike))

    @cached_property
    def table(self) -> list[list[Pair | None]]:
        """For each tensor of the child and each model what it leaves."""
        return [
            [compared(held, other) if (other := row[i]) is not None else None for row in self.rows]
            for i, held in enumerate(self.child)
        ]

    @cached_property
    def costs(self) -> Matrix:
        """The same in logarithms, shape [tensors, models]."""
        return np.array([[cost(pair.left) if pair else np.inf for pair in row] for row in self.table]).reshape(
            len(self.child), len(self.models)
        )

    @cached_property
    def weights(self) -> Matrix:
        """How much each tensor counts, shape [tensors]."""
        return np.sqrt([float(held.values.size) for held in self.child])

    @cached_property
    def chosen(self) -> list[int]:
        """The models that explain it."""
        return fewest(self.costs, self.weights) if self.models else []

    @cached_property
    def origins(self) -> list[int | None]:
        """The model of each tensor."""
        if not self.chosen:
            return [None] * len(self.child)
        nearest = [self.chosen[int(k)] for k in np.argmin(self.costs[:, self.chosen], axis=1)]
        return [k if (pair := self.table[i][k]) is not None and pair.kin else None for i, k in enumerate(nearest)]

    @cached_property
    def pairs(self) -> list[Pair | None]:
        """What each tensor's origin leaves of it."""
        return [None if k is None else self.table[i][k] for i, k in enumerate(self.origins)]

    @cached_property
    def owned(self) -> dict[int, list[int]]:
        """The tensors that came from each model."""
        found: dict[int, list[int]] = {}
        for i, k in enumerate(self.origins):
            if k is not None:
                found.setdefault(k, []).append(i)
        return found

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The table as it is told."""
        return tuple(
            layer(held.sample, None if k is None else self.models[k].id, pair)
            for held, k, pair in zip(self.child, self.origins, self.pairs, strict=True)
        )

    @cached_property
    def null(self) -> Null:
        """What the origins leave of turned channels."""
        both = [
            (held, other)
            for i, (held, k) in enumerate(zip(self.child, self.origins, strict=True))
            if k is not None and (other := self.rows[k][i]) is not None
        ]
        return chance(both)

    def certainty(self, parents: Sequence[int]) -> float:
        """How sure the least sure parent is: that no other model explains all its tensors as well."""
        found = []
        for k in parents:
            places = self.owned[k]
            mine = float(np.exp(np.mean(self.costs[places, k])))
            others = [float(np.exp(np.mean(self.costs[places, o]))) for o in range(len(self.models)) if o != k]
            found.append(odds(mine, min(others, default=2.0)))
        return round(min(found), 4)

    def are_kin(self, parents: Sequence[int]) -> bool:
        """Whether some parent is kin to what another gave."""
        return any(
            (pair := self.table[i][k]) is not None and pair.kin
            for k in parents
            for other in parents
            if other != k
            for i in self.owned[other]
        )


def _placed(child: Sequence[Held], model: Model) -> tuple[Held | None, ...]:
    """The model's tensors where the child's stand: by name where all names agree, else as the family's order tells."""
    named: dict[tuple[str, tuple[int, ...]], Sample] = {(s.label, s.shape): s for s in model.fingerprint.samples}
    found = [named.get((held.sample.label, held.sample.shape)) for held in child]
    if all(sample is not None for sample in found):
        return tuple(Held.of(sample) if sample is not None else None for sample in found)
    return _by_family(child, model)


def _by_family(child: Sequence[Held], model: Model) -> tuple[Held | None, ...]:
    """Likewise where names differ; a tensor that has no clear partner stands for nothing."""
    mine = Fingerprint(model.fingerprint.scheme, model.fingerprint.architecture, 0, tuple(held.sample for held in child))
    family = gather([mine, model.fingerprint])
    rows: dict[str, Floats] = {label: raw[1] for label, raw in zip(family.labels, family.raw, strict=True)}
    dtype = model.fingerprint.dtype
    return tuple(
        Held(Sample(held.sample.shape, dtype, b"", held.sample.label), rows[held.sample.label])
        if held.sample.label in rows
        else None
        for held in child
    )


def _in_words(table: _Table, parents: Sequence[int]) -> str:
    told = []
    for k in parents:
        labels = [table.child[i].sample.label for i in table.owned[k]]
        more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        told.append(f"{len(labels)} tensors of {table.models[k].id} ({', '.join(labels[:_NAMED])}{more})")
    return f"Put together from {len(parents)} models: {'; '.join(told)}."
