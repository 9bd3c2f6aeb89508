"""How often the parent comes first or among the first three, by regime and by bins, beside the baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Crowd
from benchmarks.judgement.baselines import scores
from benchmarks.judgement.scenes import HUB_COSINE, Scene, is_hub
from benchmarks.judgement.sums import Owner, Sums, figure, share
from benchmarks.ranking import Rule, ranked
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel
from hub_lineage.family import Matrix
from hub_lineage.judge import Judgement

Chosen = NDArray[np.bool_]
FullDepth = Callable[[Crowd], Judgement]
"""What makes of a crowd what depth ``full`` does: it finds the weights by the paths of the models."""
JUDGE = "judge"
PLACES = ("first", "three")
HUB_BARS = {"first": ">= .70, aim .80", "three": ">= .90, aim .95"}
FIRST_BARS = {"first": ">= .80, aim .87", "three": ">= .96, aim .98"}
COSINES = (-1.0, 0.3, 0.7, 0.95, 0.99, 0.999, 0.9999, 0.99999, 1.0)
DECAYS = (-1.0, 0.0, 0.001, 0.01, 0.1, np.inf)
LIKENESS = ((0.5, "much nearer"), (1.0, "nearer"), (2.0, "hardly farther"), (np.inf, "far"))
"""How far the nearest sibling is from the child against the parent, both as one less the cosine."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Cases whose parent is in sight, and the chance of each that a rule puts it first, or among the first three.

    ``places`` holds by rule and place an array [n]; ``sibling`` is what :data:`LIKENESS` calls the nearest one.
    """

    owners: tuple[Owner, ...]
    models: tuple[ZooModel, ...]
    sibling: tuple[str, ...]
    places: Mapping[str, Mapping[str, Matrix]]

    def sums(self, chosen: Chosen, rule: str = JUDGE, place: str = "first") -> Sums:
        """The share of some cases whose parent a rule puts there."""
        at = np.flatnonzero(chosen)
        return share([self.owners[k] for k in at], self.places[rule][place][at])

    def chosen(self, kept: Callable[[ZooModel], bool]) -> Chosen:
        """The cases of some models."""
        return np.array([kept(model) for model in self.models], dtype=bool)

    @property
    def first_regime(self) -> Chosen:
        """All cases but those of the regime nearer to the Hub."""
        return ~self.chosen(is_hub)

    @property
    def hub(self) -> Chosen:
        """Cases of the regime nearer to the Hub that lie as near to their parents as it has them."""
        return self.chosen(is_near)

    def row(self, name: str, chosen: Chosen, bar: str = "", place: str = "first", note: str = "") -> Figure:
        """One figure beside what the baselines reach on the same cases."""
        beside = {rule: self.sums(chosen, rule, place).value for rule in self.places if rule != JUDGE}
        return figure(name, self.sums(chosen, place=place), bar, beside, note=note)


def is_near(model: ZooModel) -> bool:
    """Whether a child of the regime nearer to the Hub really lies above its cosine."""
    return is_hub(model) and (model.cosine_to_parent or 0.0) > HUB_COSINE


def seen(found: Sequence[Scene], rules: Mapping[str, Rule]) -> Seen:
    """Every case of some scenes with the parent in sight, under the judge and the rules."""
    return ranked_by(found, [scores(scene, rules) for scene in found])


def ranked_by(found: Sequence[Scene], told: Sequence[Mapping[str, Matrix]]) -> Seen:
    """The cases under scores given for each scene by rule, shapes [K, K]."""
    owners: list[Owner] = []
    models: list[ZooModel] = []
    sibling: list[str] = []
    places: dict[str, dict[str, list[float]]] = {rule: {place: [] for place in PLACES} for rule in (told[0] if told else ())}
    for scene, scored in zip(found, told, strict=True):
        children = [int(child) for child in np.flatnonzero(scene.crowd.parents >= 0)]
        owners += [scene.owner(child) for child in children]
        models += [scene.crowd.models[child] for child in children]
        sibling += [nearest_sibling(scene, child) for child in children]
        for rule, score in scored.items():
            for place in PLACES:
                places[rule][place] += [getattr(case, place) for case in ranked(scene.crowd, score)]
    arrays = {rule: {place: np.array(values) for place, values in both.items()} for rule, both in places.items()}
    return Seen(tuple(owners), tuple(models), tuple(sibling), arrays)


def nearest_sibling(scene: Scene, child: int) -> str:
    """How near the nearest sibling in sight is beside the parent, in a word."""
    parents, cosine = scene.crowd.parents, scene.crowd.family.cosine[child]
    others = np.flatnonzero((parents == parents[child]) & (np.arange(len(parents)) != child))
    if not len(others):
        return "none"
    to_sibling, to_parent = 1.0 - float(cosine[others].max()), 1.0 - float(cosine[parents[child]])
    return next(word for most, word in LIKENESS if to_sibling <= most * to_parent or most == np.inf)


def figures(cases: Seen) -> list[Figure]:
    """The rows about places: both regimes, then bins of each."""
    first, hub = cases.first_regime, cases.hub
    of_hub = cases.chosen(is_hub)
    kinds = sorted({model.kind for model, near in zip(cases.models, hub, strict=True) if near})
    above = f"{hub.sum()} of {of_hub.sum()} cases above a cosine of {HUB_COSINE:g} and counted; {', '.join(kinds)}"
    nearest = figure(
        "judge.nearest_cosine",
        cases.sums(first, "nearest cosine"),
        "<= .50",
        {"second regime": cases.sums(hub, "nearest cosine").value},
        note="first regime: how hard the split is",
    )
    rows = [nearest]
    for place, word in zip(PLACES, ("parent_first", "first_three"), strict=True):
        rows.append(cases.row(f"judge.{word}", first, FIRST_BARS[place], place, "first regime, weights alone"))
        rows.append(cases.row(f"judge.{word}_hub", hub, HUB_BARS[place], place, f"second regime: {above}"))
    return [*rows, *binned(cases, "judge.parent_first", first), *binned(cases, "judge.parent_first_hub", hub)]


def full_figures(found: Sequence[Scene], full: FullDepth) -> list[Figure]:
    """The parent first where all weights are read, beside the same cases by their fingerprints."""
    told = [{JUDGE: full(scene.crowd).parent, "quick": scene.judgement.parent} for scene in found]
    cases = ranked_by(found, told)
    return [
        cases.row("judge.parent_first_full", cases.first_regime, ">= .82, aim .90", note="first regime, all weights read"),
        cases.row("judge.parent_first_full_hub", cases.hub, note="second regime, all weights read"),
    ]


def binned(cases: Seen, name: str, among: Chosen) -> list[Figure]:
    """The parent first by cosine, dtype, decay, sibling likeness, kind and regime; a bin that is all there is is left out."""
    rows = []
    for title, bins in _bins(cases).items():
        names = [word for word in dict.fromkeys(sorted(bins, key=_in_order)) if (among & _where(bins, word)).any()]
        if len(names) > 1:
            rows += [cases.row(f"{name}.{title}_{word}", among & _where(bins, word)) for word in names]
    return rows


def _bins(cases: Seen) -> dict[str, list[str]]:
    """For each way of telling cases apart the bin of every case."""
    return {
        "cosine": [_bin(model.cosine_to_parent or 0.0, COSINES) for model in cases.models],
        "dtype": [model.dtype for model in cases.models],
        "decay": [_bin(float(model.recipe["weight_decay"]), DECAYS) for model in cases.models],
        "sibling": [word.replace(" ", "_") for word in cases.sibling],
        "kind": [model.kind for model in cases.models],
        "regime": [model.regime for model in cases.models],
        "made_by": [model.made_by for model in cases.models],
    }


def _where(bins: Sequence[str], word: str) -> Chosen:
    return np.array([each == word for each in bins], dtype=bool)


def _bin(value: float, edges: Sequence[float]) -> str:
    """The bin above one edge and up to the next, in words."""
    low, high = next(pair for pair in pairwise(edges) if value <= pair[1])
    if low < 0:
        return f"{high:g}"
    return f"{low:g}-{high:g}" if np.isfinite(high) else f"above_{low:g}"


def _in_order(word: str) -> tuple[float, str]:
    """Bins of numbers by number, others by name."""
    number = word.removeprefix("above_").split("-")[0]
    try:
        return float(number) + (1e-9 if "-" in word else 1e9 if word.startswith("above_") else 0.0), word
    except ValueError:
        return 0.0, word
