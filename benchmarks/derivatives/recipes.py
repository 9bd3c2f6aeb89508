"""What the models of this benchmark are: two splits of eight roots each, their fine-tunes and grandchildren.

``choosing`` is what gates of the ways of deriving were set on, ``reporting`` what figures are reported of. They share no
root, seed, data set or recipe of tuning, and ``reporting`` has an architecture in language and one in vision that
``choosing`` lacks. Nothing here was seen by any judge: other networks, seeds and data than the zoo's. Roots that share an
architecture are strangers to one another, which is what nulls and false claims are measured on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

Kind = Literal["language", "vision"]
Split = Literal["choosing", "reporting"]
Optimiser = Literal["adamw", "sgd"]

SPLITS: Final[tuple[Split, ...]] = ("choosing", "reporting")
_CODE: Final = (Path(__file__).with_name("nets.py"), Path(__file__).parents[1] / "zoo" / "data.py")
"""What training is: a cache of other code is not taken."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one model is trained: from scratch or from its parent, on one share of one kind of data.

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
    optimiser: Optimiser = "adamw"

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
    optimiser: Optimiser = "adamw"


@dataclass(frozen=True, slots=True)
class _Plan:
    """A split: its roots, the other data of each, the fine-tunes under each root and those under fine-tunes.

    ``quantised`` are the endings of those members of each family that copies are made of.
    """

    roots: tuple[Recipe, ...]
    other: Mapping[str, str]
    tunes: tuple[_Tuned, ...]
    again: tuple[tuple[str, _Tuned], ...]
    quantised: tuple[str, ...]


_CHOOSING: Final = _Plan(
    roots=(
        Recipe("handbook", "llama", "docs", "language", 101, steps=300),
        Recipe("notary", "llama", "licences", "language", 102, steps=300),
        Recipe("scribe", "llama-tied", "stubs", "language", 103),
        Recipe("courier", "gpt2", "markdown", "language", 104),
        Recipe("numbers", "vit", "digits", "vision", 105),
        Recipe("post", "vit", "mnist-a", "vision", 106),
        Recipe("window", "vit-deep", "mnist-b", "vision", 107),
        Recipe("lens", "resnet", "mnist-c", "vision", 108),
    ),
    other={
        "docs": "markdown", "licences": "docs", "stubs": "python", "markdown": "docs",
        "digits": "mnist-a", "mnist-a": "digits", "mnist-b": "mnist-c", "mnist-c": "mnist-b",
    },
    tunes=(
        _Tuned("far", other=True, share=0, steps=100, rate=1e-3),
        _Tuned("near", other=True, share=1, steps=40, rate=1e-4),
        _Tuned("half", other=True, share=2, steps=60, rate=4e-4, dtype="BF16"),
        _Tuned("same", other=False, share=1, steps=40, rate=2e-4, dtype="F16"),
        _Tuned("gentle", other=False, share=2, steps=40, rate=3e-5),
    ),
    again=(
        ("far", _Tuned("far-on", other=False, share=1, steps=40, rate=3e-4)),
        ("near", _Tuned("near-on", other=True, share=2, steps=50, rate=5e-4, dtype="BF16")),
        ("half", _Tuned("half-on", other=True, share=1, steps=40, rate=2e-4)),
    ),
    quantised=("", "-near", "-half", "-gentle"),
)  # fmt: skip
_REPORTING: Final = _Plan(
    roots=(
        Recipe("ledger", "llama", "javascript", "language", 301, steps=340, rate=1.5e-3),
        Recipe("ballad", "llama", "css", "language", 302, steps=220, rate=2.5e-3),
        Recipe("almanac", "neox", "typescript", "language", 303),
        Recipe("telegram", "neox", "cython", "language", 304, steps=300, rate=1.5e-3),
        Recipe("gallery", "vit", "fashion", "vision", 305, steps=300, rate=1.5e-3),
        Recipe("abacus", "vit", "fashion-turned", "vision", 306),
        Recipe("atelier", "convnext", "fashion", "vision", 307),
        Recipe("prism", "convnext", "fashion-turned", "vision", 308, steps=220, rate=1.5e-3),
    ),
    other={
        "javascript": "cpp", "css": "fonts", "typescript": "cmake", "cython": "tables",
        "fashion": "fashion-turned", "fashion-turned": "fashion",
    },
    tunes=(
        _Tuned("distant", other=True, share=0, steps=120, rate=8e-4),
        _Tuned("close", other=True, share=2, steps=30, rate=1.5e-4),
        _Tuned("middle", other=True, share=1, steps=50, rate=5e-4, dtype="F16"),
        _Tuned("again", other=False, share=2, steps=50, rate=1.5e-4, dtype="BF16"),
        _Tuned("soft", other=False, share=1, steps=40, rate=2e-2, optimiser="sgd"),
    ),
    again=(
        ("distant", _Tuned("distant-next", other=False, share=2, steps=30, rate=2e-4)),
        ("close", _Tuned("close-next", other=True, share=1, steps=60, rate=4e-4)),
        ("again", _Tuned("again-next", other=True, share=2, steps=40, rate=3e-4, dtype="BF16")),
    ),
    quantised=("", "-close", "-again", "-soft"),
)  # fmt: skip
_PLANS: Final[Mapping[Split, _Plan]] = {"choosing": _CHOOSING, "reporting": _REPORTING}


def recipes(split: Split = "choosing") -> list[Recipe]:
    """Every model's recipe, parents before their children."""
    plan = _PLANS[split]
    return [recipe for root in plan.roots for recipe in (root, *_family(plan, root))]


def recipe(name: str) -> Recipe:
    """The recipe of that ID, of whichever split."""
    return next(one for split in SPLITS for one in recipes(split) if one.id == name)


def quantised(split: Split) -> tuple[str, ...]:
    """The IDs of the models that quantised copies are made of: roots, and fine-tunes far and very near, in several dtypes."""
    plan = _PLANS[split]
    return tuple(f"{root.id}{ending}" for root in plan.roots for ending in plan.quantised)


def digest(split: Split = "choosing") -> str:
    """A hash of a split's recipes and of the code that trains them, which names the cache."""
    hashed = hashlib.sha256(repr(recipes(split)).encode())
    for path in _CODE:
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:12]


def _family(plan: _Plan, root: Recipe) -> list[Recipe]:
    first = [_tuned(plan, root, root, tune, i) for i, tune in enumerate(plan.tunes, 1)]
    named = {recipe.id: recipe for recipe in first}
    again = [
        _tuned(plan, root, named[f"{root.id}-{parent}"], tune, i) for i, (parent, tune) in enumerate(plan.again, 1 + len(first))
    ]
    return first + again


def _tuned(plan: _Plan, root: Recipe, parent: Recipe, tune: _Tuned, number: int) -> Recipe:
    return replace(
        root,
        id=f"{root.id}-{tune.name}",
        parent=parent.id,
        data=plan.other[root.data] if tune.other else root.data,
        share=tune.share,
        steps=tune.steps,
        rate=tune.rate,
        dtype=tune.dtype,
        optimiser=tune.optimiser,
        seed=root.seed * 100 + number,
    )
