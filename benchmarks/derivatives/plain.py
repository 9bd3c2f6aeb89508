"""``derivation.false``: plain fine-tunes of the zoos, of which no way of deriving may say that they were made otherwise.

Siblings, twins, ancestors and strangers of one architecture are known; of every other child the parent is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.derivatives.processes import spread
from benchmarks.derivatives.recipes import Split
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel, load_truth
from hub_lineage import derivation
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import open_source
from hub_lineage.hub.reference import parse_reference
from hub_lineage.types import Model

CACHE = Path(__file__).parents[1] / "cache"
ZOOS: Final[dict[Split, tuple[tuple[str, str], ...]]] = {
    "choosing": (("grown", "validation"),),
    "reporting": (("grown", "test"), ("zoo", "test"), ("testing-31", "test")),
}
"""Folders of zoos with the split that is asked about."""
EVERY = 2
"""One child in so many is asked about."""
KNOWN = 24
"""Models that each child is compared with at the most: its family first, then strangers."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a way said of one child: its method and odds; an empty method where none said anything."""

    child: str
    method: str = ""
    odds: float = 0.0
    parent: str = ""


def rows(split: Split = "reporting") -> list[Figure]:
    """The share of plain children that some way claims, with the ways."""
    groups = [group for zoo, part in ZOOS[split] if (CACHE / zoo / "truth.json").exists() for group in _groups(zoo, part)]
    answers = [one for found in spread(_asked, groups) for one in found]
    claims = [one for one in answers if one.method]
    ways = {method: count / len(answers) for method, count in Counter(one.method for one in claims).items()}
    told = ", ".join(f"{one.child} from {one.parent} by {one.method} at {one.odds:.3f}" for one in claims[:12])
    zoos = " and ".join(f"{zoo} ({part})" for zoo, part in ZOOS[split])
    note = f"{len(claims)} of {len(answers)} plain children of {zoos}, half with their parent known; claimed: {told or 'none'}"
    return [Figure("derivation.false", len(claims) / len(answers), "of children", "<= .002", ways, note)]


Group = tuple[str, str, str]
"""A zoo, its split and an architecture."""


def _groups(zoo: str, part: str) -> list[Group]:
    """Architectures, the largest first so that processes end together."""
    counts = Counter(model.architecture for model in _served(zoo, part))
    return [(zoo, part, architecture) for architecture, _ in counts.most_common()]


@cache
def _served(zoo: str, part: str) -> tuple[ZooModel, ...]:
    return tuple(model for model in load_truth(CACHE / zoo, served=True) if model.split == part)


def _asked(group: Group) -> list[Claimed]:
    zoo, part, architecture = group
    there = [model for model in _served(zoo, part) if model.architecture == architecture]
    known = {model.id: _model(model) for model in there}
    children = [model for model in there if model.parent is not None and model.made_by == "train"][::EVERY]
    return [_claim(child, _beside(child, there, orphan=i % 2 == 1), known) for i, child in enumerate(children)]


def _beside(child: ZooModel, there: Sequence[ZooModel], *, orphan: bool) -> list[str]:
    """The models that a child is compared with."""
    others = [model for model in there if model.id != child.id and not (orphan and model.id == child.parent)]
    nearest = sorted(others, key=lambda model: (model.id != child.parent, model.parent != child.parent, model.root != child.root))
    return [model.id for model in nearest[:KNOWN]]


def _claim(child: ZooModel, beside: Sequence[str], known: dict[str, Model]) -> Claimed:
    found = derivation.explain(known[child.id], [known[name] for name in beside])
    return Claimed(child.id, found.method, found.probability, found.parents[0].id) if found is not None else Claimed(child.id)


def _model(model: ZooModel) -> Model:
    return Model(model.id, None, read_fingerprint(open_source(parse_reference(str(model.path)))))


if __name__ == "__main__":
    for figure in rows("choosing"):
        print(figure)
