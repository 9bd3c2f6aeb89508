"""A child beside its candidates, value by value: what every kind of merge is looked for in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Matrix, gather
from hub_lineage.fingerprint import is_blank, values
from hub_lineage.read.dtypes import FORMATS, round_to
from hub_lineage.types import Fingerprint, Floats, Model

BLOCK = 32  # candidates that are compared at a time; their differences stay in the cache of a processor
_FINEST = 2.0**-126  # below this, values lie evenly in any format
_LEAST = 1e-20  # of rounding, and of weights at all: no network of use has less, and no difference runs over


@dataclass(frozen=True, eq=False)
class Pool:
    """A child's N sampled weights, ``own`` [N], beside those of K candidates, ``others`` [K, N], all of one architecture.

    Candidates of one body are one row, which ``models`` names with its copies. ``starts`` [T] is where each tensor begins;
    ``dtype`` is the coarsest that holds the child's values exactly, which is what it was made in.
    """

    child: Model
    models: tuple[tuple[Model, ...], ...]
    labels: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    starts: NDArray[np.intp]
    own: Floats
    others: Floats
    dtype: str

    def __len__(self) -> int:
        return len(self.models)

    @property
    def spans(self) -> list[slice]:
        """Where each tensor's values lie."""
        ends = [*self.starts[1:].tolist(), len(self.own)]
        return [slice(start, end) for start, end in zip(self.starts.tolist(), ends, strict=True)]

    @cached_property
    def step(self) -> Matrix:
        """How far apart neighbouring values of the child's dtype lie at each of its values, shape [N]."""
        return steps(self.own, self.dtype)

    @cached_property
    def noise(self) -> Matrix:
        """The standard deviation that rounding leaves, the same for all values of a tensor, shape [N]."""
        squares = np.add.reduceat(np.square(self.step), self.starts) / self.lengths
        return np.repeat(np.maximum(np.sqrt(squares / 12), _LEAST), self.lengths)

    @cached_property
    def lengths(self) -> NDArray[np.intp]:
        """Values of each tensor, shape [T]."""
        return np.diff(np.append(self.starts, len(self.own)))

    @cached_property
    def distances(self) -> Matrix:
        """The mean squared difference of every candidate from the child in units of rounding, shape [K]."""
        found, scale = [], (1 / self.noise).astype(np.float32)
        for start in range(0, len(self), BLOCK):
            apart = (self.others[start : start + BLOCK] - self.own) * scale
            found.append(np.einsum("kn,kn->k", apart, apart, dtype=np.float64) / len(self.own))
        return np.concatenate(found)

    def without(self, rows: Sequence[int]) -> Pool:
        """The pool without some candidates."""
        kept = [k for k in range(len(self)) if k not in set(rows)]
        return replace(self, models=tuple(self.models[k] for k in kept), others=self.others[kept])

    def thinned(self, most: int) -> Pool:
        """The pool with every so-manieth value of each tensor, so that about ``most`` are left."""
        stride = -(-len(self.own) // most)
        kept = [np.arange(span.start, span.stop, stride) for span in self.spans]
        places, starts = np.concatenate(kept), np.cumsum([0, *map(len, kept[:-1])]).astype(np.intp)
        return replace(self, starts=starts, own=self.own[places], others=self.others[:, places])

    def cast(self) -> Pool:
        """The pool with all candidates rounded to the child's dtype, as a merge does that casts them before it adds them."""
        return replace(self, others=round_to(self.dtype, self.others))


def pool(child: Model, models: Sequence[Model]) -> Pool | None:
    """The pool of a child and those models that can be compared with it; None where there are none, or the child is blank."""
    mine = child.fingerprint
    held = {(s.label, s.shape): values(s) for s in mine.samples}
    rows: dict[bytes, tuple[Floats, list[Model]]] = {}
    for model in models:
        row = _row(mine, model.fingerprint)
        if row is not None and np.ptp(row) > 0:
            rows.setdefault(row.tobytes(), (row, []))[1].append(model)
    own = np.concatenate(list(held.values())) if held else np.zeros(0, np.float32)
    if not rows or len(held) != len(mine.samples) or is_blank(mine) or np.abs(own).max() < _LEAST:
        return None
    lengths = [len(tensor) for tensor in held.values()]
    starts = np.cumsum([0, *lengths[:-1]]).astype(np.intp)
    copies = tuple(tuple(sorted(same, key=_first)) for _, same in rows.values())
    labels, shapes = zip(*held, strict=True)
    return Pool(child, copies, labels, shapes, starts, own, np.stack([row for row, _ in rows.values()]), held_in(own, mine.dtype))


def _first(model: Model) -> tuple[str, int, str]:
    """Of equal bodies the one uploaded first counts, then the one that most people took."""
    return model.created_at or "9", -(model.downloads or 0), model.id


def _row(child: Fingerprint, model: Fingerprint) -> Floats | None:
    """A model's values at the child's places, shape [N]; None where not all are there."""
    if (child.scheme, child.architecture) != (model.scheme, model.architecture):
        return None
    wanted = [(s.label, s.shape) for s in child.samples]
    if [(s.label, s.shape) for s in model.samples] == wanted:
        parts = [values(sample) for sample in model.samples]
    else:  # other names, or another order
        both = gather([child, model])
        if list(zip(both.labels, both.shapes, strict=True)) != wanted:
            return None
        parts = [tensor[1] for tensor in both.raw]
    if [len(part) for part in parts] != [len(values(s)) for s in child.samples]:
        return None
    return np.concatenate(parts)


def held_in(found: Floats, dtype: str) -> str:
    """The coarsest dtype that holds values exactly: what was computed in half precision may be stored in more."""
    for coarse in ("BF16", "F16"):
        if FORMATS[coarse].significand <= FORMATS[dtype].significand and np.array_equal(round_to(coarse, found), found):
            return coarse
    return dtype


def steps(found: Floats | Matrix, dtype: str) -> Matrix:
    """The distance of neighbouring values of a dtype at each of some values, shape kept."""
    _, exponents = np.frexp(np.maximum(np.abs(found.astype(np.float64)), _FINEST))
    spacing: Matrix = np.ldexp(1.0, exponents - FORMATS[dtype].significand)
    return np.maximum(spacing, 2.0**-24) if dtype == "F16" else spacing
