"""What the models of this benchmark are: eight roots of five architectures, their fine-tunes and grandchildren.

Nothing here was seen by any judge: other networks, seeds and data than the zoo's. Roots that share an architecture are
strangers to one another, which is what nulls and false claims are measured on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final, Literal

Kind = Literal["language", "vision"]

VERSION: Final = 1
"""Moved where training itself changes, so that no cache of another training is taken."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is trained: from scratch or from its parent, by AdamW, on one share of one kind of data.

    ``net`` is a word of :data:`benchmarks.derivatives.nets.NETS`; ``data`` a kind of text or a source of images, of which
    ``share`` halves are kept: 0 all, 1 or 2 one half. ``dtype`` is what the model is stored in.
    """

    id: str
    net: str
    data: str
    kind: Kind
    seed: int
    parent: str | None = None
    share: int = 0
    steps: int = 260
    rate: float = 2e-3
    dtype: str = "F32"

    @property
    def root(self) -> str:
        """The root that it comes from; a root's own name."""
        return self.id.partition("-")[0]


@dataclass(frozen=True, slots=True)
class _Tuned:
    """One fine-tune under each root: what it is called, of whom it comes and how far it goes."""

    name: str
    other: bool  # whether it is tuned on another kind of data than its parent
    share: int
    steps: int
    rate: float
    dtype: str = "F32"


_ROOTS: Final = (
    Recipe("handbook", "llama", "docs", "language", 101, steps=300),
    Recipe("notary", "llama", "licences", "language", 102, steps=300),
    Recipe("scribe", "llama-tied", "stubs", "language", 103),
    Recipe("courier", "gpt2", "markdown", "language", 104),
    Recipe("numbers", "vit", "digits", "vision", 105),
    Recipe("post", "vit", "mnist-a", "vision", 106),
    Recipe("window", "vit-deep", "mnist-b", "vision", 107),
    Recipe("lens", "resnet", "mnist-c", "vision", 108),
)
_OTHER: Final = {
    "docs": "markdown", "licences": "docs", "stubs": "python", "markdown": "docs",
    "digits": "mnist-a", "mnist-a": "digits", "mnist-b": "mnist-c", "mnist-c": "mnist-b",
}  # fmt: skip
_TUNES: Final = (
    _Tuned("far", other=True, share=0, steps=100, rate=1e-3),
    _Tuned("near", other=True, share=1, steps=40, rate=1e-4),
    _Tuned("half", other=True, share=2, steps=60, rate=4e-4, dtype="BF16"),
    _Tuned("same", other=False, share=1, steps=40, rate=2e-4, dtype="F16"),
    _Tuned("gentle", other=False, share=2, steps=40, rate=3e-5),
)
_AGAIN: Final = (
    ("far", _Tuned("far-on", other=False, share=1, steps=40, rate=3e-4)),
    ("near", _Tuned("near-on", other=True, share=2, steps=50, rate=5e-4, dtype="BF16")),
    ("half", _Tuned("half-on", other=True, share=1, steps=40, rate=2e-4)),
)


def recipes() -> list[Recipe]:
    """Every model's recipe, parents before their children."""
    return [recipe for root in _ROOTS for recipe in (root, *_family(root))]


def digest() -> str:
    """A hash of all recipes, which names the cache."""
    return hashlib.sha256(repr((VERSION, recipes())).encode()).hexdigest()[:12]


def _family(root: Recipe) -> list[Recipe]:
    first = [_tuned(root, root, tune, i) for i, tune in enumerate(_TUNES, 1)]
    named = {recipe.id: recipe for recipe in first}
    again = [_tuned(root, named[f"{root.id}-{parent}"], tune, i) for i, (parent, tune) in enumerate(_AGAIN, 1 + len(first))]
    return first + again


def _tuned(root: Recipe, parent: Recipe, tune: _Tuned, number: int) -> Recipe:
    return replace(
        root,
        id=f"{root.id}-{tune.name}",
        parent=parent.id,
        data=_OTHER[root.data] if tune.other else root.data,
        share=tune.share,
        steps=tune.steps,
        rate=tune.rate,
        dtype=tune.dtype,
        seed=root.seed * 100 + number,
    )
