"""The depth blocks of a network as its fingerprint holds them: what stands under one number in the names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub_lineage.derivation.origins import Held
from hub_lineage.types import Fingerprint, Sample

_NUMBER = re.compile(r"\d+")
_LEVELS = 6  # numbers in a name that are looked at

Role = tuple[str, tuple[int, ...]]
Template = tuple[str, str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Stacked:
    """One depth block: its number, and its sampled tensors by role: name without the number, and shape."""

    number: int
    tensors: Mapping[Role, Held]


def blocks(fingerprint: Fingerprint, known: Counter[Template] | None = None) -> dict[str, list[Stacked]]:
    """The depth blocks of a network by what stands before their number, in order of depth.

    Of the numbers in a tensor's name the outermost that tells it from another of the same name and shape counts; ``known``
    are the names of other networks, where this one is too shallow to tell.
    """
    times = templates(fingerprint) + (known or Counter())
    found: dict[str, dict[int, dict[Role, Held]]] = {}
    for sample in fingerprint.samples:
        place = next((p for p in _places(sample) if times[p[1]] > 1), None)
        if place is not None:
            number, (before, after, shape) = place
            found.setdefault(before, {}).setdefault(number, {})[after, shape] = Held.of(sample)
    return {before: [Stacked(n, by[n]) for n in sorted(by)] for before, by in found.items()}


def templates(fingerprint: Fingerprint) -> Counter[Template]:
    """How often each name stands with one of its numbers left out."""
    return Counter(template for sample in fingerprint.samples for _, template in _places(sample))


def _places(sample: Sample) -> list[tuple[int, Template]]:
    """The numbers in a sample's name, outermost first, each with what stands before and after it."""
    numbers = list(_NUMBER.finditer(sample.label))[:_LEVELS]
    label = sample.label
    return [(int(n.group()[:9]), (label[: n.start()], label[n.end() :], sample.shape)) for n in numbers]


def main_stack(found: Mapping[str, list[Stacked]]) -> tuple[Stacked, ...]:
    """The stack that holds most sampled values."""
    return tuple(max(found.values(), key=_size, default=list[Stacked]()))


def _size(stack: Iterable[Stacked]) -> int:
    return sum(len(held.values) for block in stack for held in block.tensors.values())


def likest(mine: Sequence[Stacked], found: Mapping[str, list[Stacked]]) -> tuple[Stacked, ...]:
    """Of a model's stacks the one that shares most roles with the child's; roles told by shape and order where names differ."""
    roles = _roles(mine)
    named = max(found.values(), key=lambda stack: len(roles & _roles(stack)), default=list[Stacked]())
    if roles & _roles(named):
        return tuple(named)
    return tuple(max((_renamed(roles, stack) for stack in found.values()), key=_size, default=list[Stacked]()))


def _roles(stack: Iterable[Stacked]) -> set[Role]:
    return {role for block in stack for role in block.tensors}


def _renamed(roles: Iterable[Role], stack: Sequence[Stacked]) -> list[Stacked]:
    """A stack under the child's names: the nth tensor of a shape in a block is the nth of that shape in the child's."""
    mine: dict[tuple[int, ...], list[str]] = {}
    for after, shape in sorted(roles):
        mine.setdefault(shape, []).append(after)
    found = []
    for block in stack:
        seen: Counter[tuple[int, ...]] = Counter()
        tensors: dict[Role, Held] = {}
        for (_, shape), held in block.tensors.items():
            if seen[shape] < len(mine.get(shape, ())):
                tensors[mine[shape][seen[shape]], shape] = held
            seen[shape] += 1
        found.append(Stacked(block.number, tensors))
    return found
