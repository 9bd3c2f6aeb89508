"""Stacks: networks cut in depth, grown in depth, or stacked from blocks of several models, told block by block.

A block is what stands under one number in the names. A child's blocks are compared with every block of every model, whatever
its place: a copied one leaves nothing, a fine-tuned one little, one of no kin about twice its own square.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from hub_lineage.derivation.blocks import Role, Stacked, Template, blocks, likest, main_stack, templates
from hub_lineage.derivation.nouns import Derivation, Layer
from hub_lineage.derivation.origins import Held, Matrix, Pair, chance, compared, cost, fewest, layer, odds
from hub_lineage.types import Model, Null, Parent, Relation

_SHARE = 0.6  # of a child's blocks, that must come from known models
_TUNED = 0.85  # odds at the most where blocks aren't copies: the true source may be unknown and its own parent known
_LEFT = 0.8  # share of its square that a block may have lost and still come from a model
MOST_PAIRS = 400_000
"""Pairs of blocks that are compared at the most; of more models the first in order."""


def layers(child: Model, models: Sequence[Model]) -> tuple[Layer, ...]:
    """Which model each sampled tensor of a child came from, block by block, whatever their depths."""
    return _Stack.of(child, models).layers


def explain(child: Model, models: Sequence[Model]) -> Derivation | None:
    """How a child was cut, grown or stacked from blocks of known models; None where each block stands where it stood.

    Exact copies and fine-tuned ones are told alike: most blocks must leave far less than turned channels do.
    """
    stack = _Stack.of(child, models)
    came = [(block, origin) for block, origin in zip(stack.blocks, stack.origins, strict=True) if origin is not None]
    if len(came) < 2 or len(came) < _SHARE * len(stack.blocks):
        return None
    method = _method(stack)
    if method is None:
        return None
    relation: Relation = "merge" if len(stack.parents) > 1 else "finetune"
    probability = stack.certainty
    return Derivation(
        relation=relation,
        method=method,
        parents=tuple(Parent(m.id, m.revision, relation, probability) for m in stack.parents),
        probability=probability,
        unexplained=stack.unexplained,
        summary=_in_words(stack, method),
        null=stack.null,
        layers=stack.layers,
    )


@dataclass(frozen=True, slots=True)
class _Origin:
    model: int
    number: int


@dataclass(frozen=True, eq=False)
class _Stack:
    """A child's blocks beside all blocks of all models."""

    child: Model
    blocks: tuple[Stacked, ...]
    models: tuple[Model, ...]
    sources: tuple[tuple[Stacked, ...], ...]  # the blocks of each model

    @classmethod
    def of(cls, child: Model, models: Sequence[Model]) -> _Stack:
        """The child's main stack, the one of most tensors, and what can be compared with it."""
        scheme, shapes = child.fingerprint.scheme, {sample.shape for sample in child.fingerprint.samples}
        able = [m for m in models if m.fingerprint.scheme == scheme and any(s.shape in shapes for s in m.fingerprint.samples)]
        able.sort(key=lambda m: (m.id, m.revision or ""))
        known: Counter[Template] = Counter()
        for model in able:
            known |= templates(model.fingerprint)
        mine = main_stack(blocks(child.fingerprint, known))
        sources: list[tuple[Stacked, ...]] = []
        kept: list[Model] = []
        for model in able:
            theirs = likest(mine, blocks(model.fingerprint, known))
            if theirs and len(mine) * (sum(map(len, sources)) + len(theirs)) <= MOST_PAIRS:
                kept.append(model)
                sources.append(theirs)
        return cls(child, mine, tuple(kept), tuple(sources))

    @cached_property
    def table(self) -> list[list[list[dict[Role, Pair]]]]:
        """For each block of the child, each model and each of its blocks: the tensors that both hold, compared."""
        return [[[_pairs(block, other) for other in source] for source in self.sources] for block in self.blocks]

    @cached_property
    def costs(self) -> list[list[Matrix]]:
        """For each block of the child and each model the logarithms of what the model's blocks leave, shape [blocks]."""
        return [[np.array([_mean(pairs) for pairs in row]) for row in rows] for rows in self.table]

    @cached_property
    def best(self) -> Matrix:
        """The least of each model, shape [blocks, models]."""
        return np.array([[row.min() for row in rows] for rows in self.costs]).reshape(len(self.blocks), len(self.models))

    @cached_property
    def chosen(self) -> list[int]:
        """The models that explain it."""
        return fewest(self.best, np.ones(len(self.blocks))) if self.models else []

    @cached_property
    def origins(self) -> list[_Origin | None]:
        """The block that each block came from: of equal ones that which follows the one before."""
        found: list[_Origin | None] = []
        for i in range(len(self.blocks)):
            before = found[-1] if found else None
            tied = [
                (round(float(value), 6), before is None or (k, number) != (before.model, before.number + 1), k, number)
                for k in self.chosen
                for value, number in zip(self.costs[i][k], (b.number for b in self.sources[k]), strict=True)
            ]
            value, _, model, number = min(tied, default=(np.inf, True, 0, 0))
            origin = _Origin(model, number)
            found.append(origin if np.isfinite(value) and value < np.log(_LEFT) and self._are_kin(i, origin) else None)
        return found

    def _are_kin(self, block: int, origin: _Origin) -> bool:
        pairs = self.pairs(block, origin).values()
        return 2 * sum(pair.size for pair in pairs if pair.kin) > sum(pair.size for pair in pairs)

    def pairs(self, block: int, origin: _Origin) -> dict[Role, Pair]:
        """What a block's origin leaves, tensor by tensor."""
        place = next(j for j, other in enumerate(self.sources[origin.model]) if other.number == origin.number)
        return self.table[block][origin.model][place]

    @cached_property
    def parents(self) -> list[Model]:
        """The models that blocks came from, the one of most blocks first."""
        counts = Counter(origin.model for origin in self.origins if origin is not None)
        return [self.models[k] for k, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """A row for every sampled tensor of the child, in its order; those outside the stack have no origin here."""
        rows: dict[str, Layer] = {}
        for i, (block, origin) in enumerate(zip(self.blocks, self.origins, strict=True)):
            pairs = self.pairs(i, origin) if origin is not None else {}
            name = self.models[origin.model].id if origin is not None else None
            for role, held in block.tensors.items():
                pair = pairs.get(role)
                rows[held.sample.label] = layer(held.sample, name if pair is not None and pair.kin else None, pair)
        outside = self._outside(rows)
        return tuple(rows.get(s.label) or outside[s.label] for s in self.child.fingerprint.samples)

    def _outside(self, inside: Mapping[str, Layer]) -> dict[str, Layer]:
        """The tensors that stand in no block, by their own names."""
        parents = [(m.id, {(s.label, s.shape): s for s in m.fingerprint.samples}) for m in self.parents]
        found = {}
        for sample in self.child.fingerprint.samples:
            if sample.label in inside:
                continue
            held = Held.of(sample)
            there = [
                (name, known[sample.label, sample.shape]) for name, known in parents if (sample.label, sample.shape) in known
            ]
            both = [(name, pair) for name, s in there if (pair := compared(held, Held.of(s))) is not None and pair.kin]
            origin = min(both, key=lambda one: one[1].left, default=None)
            found[sample.label] = layer(sample, *(origin or (None, None)))
        return found

    @cached_property
    def unexplained(self) -> float:
        """What the origins leave of the child, by the number of values; a block without an origin is left whole."""
        left = size = 0.0
        for i, (block, origin) in enumerate(zip(self.blocks, self.origins, strict=True)):
            pairs = self.pairs(i, origin) if origin is not None else {}
            for role, held in block.tensors.items():
                pair = pairs.get(role)
                size += len(held.values)
                left += len(held.values) * (1.0 if pair is None else 0.0 if pair.copied else min(pair.left, 1.0))
        return left / size if size else 1.0

    @cached_property
    def null(self) -> Null:
        """What the origins leave of turned channels."""
        both: list[tuple[Held, Held]] = []
        for block, origin in zip(self.blocks, self.origins, strict=True):
            if origin is not None:
                other = next(b for b in self.sources[origin.model] if b.number == origin.number)
                both += [(held, other.tensors[role]) for role, held in block.tensors.items() if role in other.tensors]
        return chance(both)

    @cached_property
    def certainty(self) -> float:
        """How sure the least sure parent is: that no other model's blocks explain what came from it as well."""
        found = []
        for k in {origin.model for origin in self.origins if origin is not None}:
            mine = [i for i, origin in enumerate(self.origins) if origin is not None and origin.model == k]
            means = np.exp(np.where(np.isfinite(self.best), self.best, np.log(2.0))[mine].mean(axis=0))
            others = [float(value) for o, value in enumerate(means) if o != k]
            found.append(odds(float(means[k]), min(others, default=2.0)))
        placed = [(i, origin) for i, origin in enumerate(self.origins) if origin is not None]
        copied = all(pair.copied for i, origin in placed for pair in self.pairs(i, origin).values())
        return round(min(*found, 1.0 if copied else _TUNED), 4)


def _pairs(block: Stacked, other: Stacked) -> dict[Role, Pair]:
    both = ((role, compared(held, other.tensors[role])) for role, held in block.tensors.items() if role in other.tensors)
    return {role: pair for role, pair in both if pair is not None}


def _mean(pairs: Mapping[Role, Pair]) -> float:
    size = sum(pair.size for pair in pairs.values())
    return sum(cost(pair.left) * pair.size for pair in pairs.values()) / size if size else np.inf


def _depth(model: Model, stack: Sequence[Stacked]) -> int:
    """How many blocks a stack of a network has, not all of which need have been sampled."""
    fingerprint = model.fingerprint
    labels = {held.sample.label for block in stack for held in block.tensors.values()}
    counts = [b.count for b in fingerprint.blocks if any(fingerprint.samples[place].label in labels for place in b.samples)]
    return max(*counts, max((block.number for block in stack), default=-1) + 1, 0)


def _method(stack: _Stack) -> str | None:
    """What was done to the parents' blocks; None where one model's blocks all stand where they stood."""
    own = _depth(stack.child, stack.blocks)
    came = [(block.number, origin) for block, origin in zip(stack.blocks, stack.origins, strict=True) if origin is not None]
    moved = any(number != origin.number for number, origin in came)
    if len(stack.parents) > 1:
        alike = all(model.fingerprint.architecture == stack.child.fingerprint.architecture for model in stack.parents)
        return "passthrough" if moved or not alike else None
    only = next(iter(came))[1].model
    theirs = _depth(stack.models[only], stack.sources[only])
    if own < theirs:
        return "depth_cut" if all(a.number < b.number for (_, a), (_, b) in pairwise(came)) else "passthrough"
    if own > theirs:
        return "depth_grown"
    return "passthrough" if moved else None


def _in_words(stack: _Stack, method: str) -> str:
    names = [model.id for model in stack.parents]
    own = _depth(stack.child, stack.blocks)
    spans = _spans(stack)
    if method == "depth_cut":
        k = stack.models.index(stack.parents[0])
        return (
            f"Cut in depth from {names[0]}: {own} of its {_depth(stack.parents[0], stack.sources[k])} blocks are left ({spans})."
        )
    if method == "depth_grown":
        return f"Grown in depth from {names[0]}, to {own} blocks ({spans})."
    return f"Stacked from blocks of {' and '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)} ({spans})."


def _spans(stack: _Stack) -> str:
    """Which blocks are which, in runs: ``0-3 are 0-3 of a; 4-7 are 2-5 of b``."""
    runs: list[list[tuple[int, _Origin | None]]] = []
    for block, origin in zip(stack.blocks, stack.origins, strict=True):
        last = runs[-1][-1][1] if runs else None
        if runs and _follows(last, origin):
            runs[-1].append((block.number, origin))
        else:
            runs.append([(block.number, origin)])
    return "; ".join(_span(run, stack) for run in runs)


def _follows(last: _Origin | None, origin: _Origin | None) -> bool:
    if last is None or origin is None:
        return last is origin
    return origin.model == last.model and origin.number > last.number


def _span(run: Sequence[tuple[int, _Origin | None]], stack: _Stack) -> str:
    place = _range([number for number, _ in run])
    numbers = [origin.number for _, origin in run if origin is not None]
    first = run[0][1]
    verb = "is" if len(run) == 1 else "are"
    if first is None:
        return f"block {place} {verb} of none of them" if len(run) == 1 else f"blocks {place} {verb} of none of them"
    return f"{place} {verb} {_range(numbers)} of {stack.models[first.model].id}"


def _range(numbers: Sequence[int]) -> str:
    """``4``, ``4-7``, or ``0, 2, 5`` where they don't follow one another."""
    if len(numbers) == 1:
        return str(numbers[0])
    if all(b == a + 1 for a, b in pairwise(numbers)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))
