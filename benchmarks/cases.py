"""The zoo as cases for a judge: families of fingerprints with the truth beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.zoo import ZooModel, load_truth
from hub_lineage.family import Family, gather
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import open_source
from hub_lineage.hub.reference import parse_reference
from hub_lineage.types import Fingerprint, Floats

_SEEN = (0.25, 0.9)  # share of tensors in a glimpse
_FEWEST = 2  # tensors in a glimpse, if there are so many
_SMALL = 256  # values of a tensor that is never halved


@dataclass(frozen=True, eq=False)
class Crowd:
    """All served models of one architecture and split: everything that is in sight of one another.

    ``parents`` [K] holds the place of each model's parent, or -1 where it is a root or its parent isn't served.
    """

    models: tuple[ZooModel, ...]
    family: Family
    parents: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.models)

    @property
    def merged(self) -> NDArray[np.bool_]:
        """The merges, shape [K]: they have several parents, so they are candidates for others and no cases themselves."""
        return np.array([model.merged_from is not None for model in self.models], dtype=bool)

    def only(self, members: NDArray[np.intp]) -> Crowd:
        """The crowd with some of its models alone; the parents of children whose parent left are absent."""
        places = {int(old): new for new, old in enumerate(members)}
        parents = np.array([places.get(int(self.parents[old]), -1) for old in members], dtype=np.intp)
        return Crowd(tuple(self.models[int(k)] for k in members), self.family.only(members), parents)


def crowds(folder: Path, split: str) -> list[Crowd]:
    """The crowds of one split, by architecture key."""
    served = [model for model in load_truth(folder, served=True) if model.split == split]
    prints: dict[str, list[tuple[ZooModel, Fingerprint]]] = {}
    for model in served:
        fingerprint = read_fingerprint(open_source(parse_reference(str(model.path))))
        prints.setdefault(fingerprint.architecture, []).append((model, fingerprint))
    return [_crowd(group) for _, group in sorted(prints.items())]


def _crowd(group: Sequence[tuple[ZooModel, Fingerprint]]) -> Crowd:
    models = tuple(model for model, _ in group)
    places = {model.id: place for place, model in enumerate(models)}
    parents = np.array([places.get(model.parent or "", -1) for model in models], dtype=np.intp)
    return Crowd(models, gather([fingerprint for _, fingerprint in group]), parents)


def variations(crowd: Crowd, kin: NDArray[np.bool_], generator: np.random.Generator, times: int) -> Iterator[Crowd]:
    """Each family of a crowd whole and then with some of its members gone, so that hidden parents are as common as known ones.

    In turn random members are gone, as from a registry that holds a part, and one or two parents alone.
    """
    for root in np.unique(kin.argmax(axis=1)):
        members = np.flatnonzero(kin[root])
        if len(members) < 2:
            continue
        yield crowd.only(members)
        for time in range(times):
            kept = _without_parents(crowd, members, generator) if time % 2 else _some(members, generator)
            if 2 <= len(kept) < len(members):
                yield crowd.only(kept)


def glimpse(family: Family, generator: np.random.Generator) -> Family:
    """A family seen by some of its tensors alone and, half of the time, by half of the values in each.

    It is as if its networks were of another architecture that went through the same.
    """
    share = generator.uniform(*_SEEN)
    kept = np.flatnonzero(generator.random(len(family.raw)) < share)
    if len(kept) < _FEWEST:
        kept = np.sort(generator.choice(len(family.raw), min(_FEWEST, len(family.raw)), replace=False))
    halved = generator.random() < 1 / 2
    raw = [_half(family.raw[t], generator) if halved else family.raw[t] for t in kept]
    vectors = [vector for vector in family.vectors if generator.random() < share]
    return Family(
        tuple(raw),
        family.storage,
        tuple(family.kernels[t] for t in kept),
        tuple(vectors),
        tuple(family.labels[t] for t in kept),
        tuple(family.shapes[t] for t in kept),
    )


def _half(tensor: Floats, generator: np.random.Generator) -> Floats:
    """Half of a tensor's values, neighbours; all of a small one's."""
    count = tensor.shape[1]
    first = int(generator.integers(0, count // 2)) if count > _SMALL else 0
    return tensor[:, first : first + count // 2] if count > _SMALL else tensor


def _some(members: NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
    """Random members, three in ten of them or more."""
    return members[generator.random(len(members)) < generator.uniform(0.3, 1.0)]


def _without_parents(crowd: Crowd, members: NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
    """All members but one or two that others come from."""
    inner = members[np.isin(members, crowd.parents[members])]
    gone = generator.permutation(inner)[: generator.integers(1, 3)]
    return members[~np.isin(members, gone)]
