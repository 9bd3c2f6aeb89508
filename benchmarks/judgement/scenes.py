"""Every crowd of some zoos, judged once: all rows are read off these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cases import Crowd, crowds
from benchmarks.judgement.lineage import Lineage
from benchmarks.judgement.sums import Owner
from benchmarks.kinds.boosting import read_boosted
from benchmarks.zoo import ZooModel, load_truth
from hub_lineage.family import Family
from hub_lineage.judge import Judge, Judgement, components, judge, read_judge, shipped

HUB_COSINE = 0.999
"""What is counted under the regime nearer to the Hub lies above this cosine to its parent."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A crowd of a zoo, what is true of its models, and what was made of them."""

    zoo: str
    lineage: Lineage
    crowd: Crowd
    judgement: Judgement

    def owner(self, model: int) -> Owner:
        """The root family that a model's figures are counted under."""
        return self.zoo, self.crowd.models[model].family

    def under(self, fitted: Judge) -> Scene:
        """The same crowd under another judge."""
        return Scene(self.zoo, self.lineage, self.crowd, judge(self.crowd.family, fitted))


@dataclass(frozen=True, eq=False)
class Orphan:
    """A model whose parent isn't in sight, and what was made of it: the leading candidate's odds, and those of none.

    ``born`` so are those whose parent was never in sight; from the others it was taken away.
    """

    owner: Owner
    model: ZooModel
    leading: float
    none: float
    born: bool


def judge_at(path: Path) -> Judge:
    """A judge from a file as ``fit_judge`` writes it, its networks beside it; a gzipped one is of trees."""
    if path.suffix == ".gz":
        return read_boosted(path)
    return read_judge(path.read_text(encoding="utf-8"), path.with_suffix(".safetensors").read_bytes())


def scenes(zoos: Sequence[Path], split: str, fitted: Judge | None = None) -> list[Scene]:
    """The crowds of one split of some zoos under the judge that ships, or another."""
    found = []
    for zoo, name in zip(zoos, _names(zoos), strict=True):
        lineage = Lineage(load_truth(zoo))
        found += [Scene(name, lineage, crowd, judge(crowd.family, fitted)) for crowd in crowds(zoo, split)]
    return found


def is_hub(model: ZooModel) -> bool:
    """Whether a model stands in the regime nearer to the Hub; the two are never mixed in one figure of places."""
    return model.regime == "hub"


def orphans(scene: Scene, fitted: Judge | None = None, regime: str | None = None) -> Iterator[Orphan]:
    """Every model of a scene, or of one regime in it, once with no parent in sight; merges are no such cases.

    Those born so count where they have kin in sight; of the others the parent is taken away, and they are judged again.
    """
    crowd = scene.crowd
    for child in np.flatnonzero(~crowd.merged):
        model, parent = crowd.models[child], int(crowd.parents[child])
        if regime is not None and model.regime != regime:
            continue
        if parent >= 0:
            judgement, place = judged_without(crowd, int(child), parent, fitted)
        elif scene.judgement.kin[child].sum() > 1:
            judgement, place = scene.judgement, int(child)
        else:
            continue
        leading, none = float(judgement.parent[place].max()), float(judgement.none[place])
        yield Orphan(scene.owner(int(child)), model, leading, none, born=parent < 0)


def judged_without(crowd: Crowd, child: int, gone: int, fitted: Judge | None = None) -> tuple[Judgement, int]:
    """A crowd that one model left, as far as it matters to a child; and the child's place there."""
    kept = np.flatnonzero(np.arange(len(crowd)) != gone)
    return judged_alone(crowd.family.only(kept), child - (gone < child), fitted)


def judged_alone(family: Family, child: int, fitted: Judge | None = None) -> tuple[Judgement, int]:
    """One model judged among its kin alone, and its place there: what the whole family gives for it, in a part of the time.

    A judge measures kin apart from others, so nothing is lost; unless the kin on their own no longer hang together, for the
    scale of tensors is that of all models compared. Then the whole family is judged.
    """
    fitted = fitted or shipped()
    members = np.flatnonzero(components(family, fitted.kin_cosine)[child])
    kin = family.only(members)
    if len(members) < len(family) and components(kin, fitted.kin_cosine).all():
        return judge(kin, fitted), int(np.flatnonzero(members == child)[0])
    return judge(family, fitted), child


def _names(zoos: Sequence[Path]) -> list[str]:
    """Zoos by the name of their folder, where that tells them apart."""
    names = [zoo.name for zoo in zoos]
    return names if len(set(names)) == len(names) else [str(zoo) for zoo in zoos]
