"""What is stated: the right parent, one that isn't there, a twin, a stranger as kin, and which of two came first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.judgement.scenes import Orphan, Scene, is_hub
from benchmarks.judgement.sums import Owner, Sums, figure, share
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel, load_truth
from hub_lineage.family import Family, Matrix, gather
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import open_source
from hub_lineage.hub.reference import parse_reference
from hub_lineage.judge import Judge, judge, kin_cut, shipped
from hub_lineage.types import Fingerprint
from hub_lineage.verdict import LIKELY

ENOUGH_PAIRS = 10_000


@dataclass(frozen=True, eq=False)
class Rated:
    """One value a case, with the family and the model that it is of."""

    owners: tuple[Owner, ...]
    models: tuple[ZooModel, ...]
    values: Matrix

    def sums(self, kept: Callable[[ZooModel], bool] | None = None) -> Sums:
        """The mean over the cases of all models, or of some."""
        at = [k for k, model in enumerate(self.models) if kept is None or kept(model)]
        return share([self.owners[k] for k in at], self.values[at])

    def at_least(self, cut: float) -> Rated:
        """Whether each value reaches a cut."""
        return Rated(self.owners, self.models, (self.values >= cut).astype(np.float64))

    def row(self, name: str, bar: str = "", note: str = "") -> Figure:
        """The mean, beside that of each regime alone."""
        beside = {"first regime": self.sums(_is_first).value, "second regime": self.sums(is_hub).value}
        return figure(name, self.sums(), bar, beside, note=note)


def rated(cases: Sequence[tuple[Owner, ZooModel, float]]) -> Rated:
    """Cases as columns."""
    owners, models, values = zip(*cases, strict=True) if cases else ((), (), ())
    return Rated(owners, models, np.array(values, dtype=np.float64))


def right(found: Sequence[Scene]) -> Rated:
    """Of each child whose parent is in sight the parent's odds; 0 where another leads."""
    cases = []
    for scene in found:
        for child in np.flatnonzero(scene.crowd.parents >= 0):
            odds, parent = scene.judgement.parent[child], scene.crowd.parents[child]
            value = float(odds[parent]) if odds.argmax() == parent else 0.0
            cases.append((scene.owner(int(child)), scene.crowd.models[int(child)], value))
    return rated(cases)


def wrong(orphans: Sequence[Orphan]) -> Rated:
    """The best odds of any candidate for models whose parent isn't in sight."""
    return rated([(orphan.owner, orphan.model, orphan.leading) for orphan in orphans])


def stated(found: Sequence[Scene], orphans: Sequence[Orphan]) -> list[Figure]:
    """Right and false statements at the judge's cut, and at even odds, where a parent is named with a probably."""
    cut = found[0].judgement.cut
    present, absent = right(found), wrong(orphans)
    return [
        present.at_least(cut).row("judge.parent_said", ">= .50, aim .60", f"parent in sight, stated at the cut of {cut:g}"),
        absent.at_least(cut).row("judge.false_parent", "<= .10, aim .05", "no parent in sight, any stated at that cut"),
        present.at_least(LIKELY).row("judge.parent_said_probably", note="the same at even odds"),
        absent.at_least(LIKELY).row("judge.false_parent_probably", note="the same at even odds"),
    ]


def twins(found: Sequence[Scene]) -> Rated:
    """The odds of the leading candidate where that is a twin of seed or recipe, for all models with a twin in sight; else 0."""
    cases = []
    for scene in found:
        models = scene.crowd.models
        for child in np.flatnonzero(~scene.crowd.merged):
            there = [k for k, other in enumerate(models) if scene.lineage.are_twins(models[child], other)]
            if there:
                odds = scene.judgement.parent[child]
                value = float(odds.max()) if int(odds.argmax()) in there else 0.0
                cases.append((scene.owner(int(child)), models[int(child)], value))
    return rated(cases)


def twin_figures(found: Sequence[Scene]) -> list[Figure]:
    """How often a twin is stated as the parent."""
    cases, cut = twins(found), found[0].judgement.cut
    if not len(cases.values):
        return []
    probably = cases.at_least(LIKELY).sums().value
    note = f"models with a twin in sight, at the cut of {cut:g}; at even odds {probably:.3f}"
    return [cases.at_least(cut).row("judge.twin_parent", "<= .03", note)]


def direction(found: Sequence[Scene], told: Callable[[Scene, int, int], tuple[float, float]]) -> Rated:
    """Of every edge whose ends are both in sight: whether the odds speak for it rather than for its reverse; a tie is half."""
    cases = []
    for scene in found:
        for child in np.flatnonzero(scene.crowd.parents >= 0):
            forward, backward = told(scene, int(child), int(scene.crowd.parents[child]))
            value = 0.5 if forward == backward else float(forward > backward)
            cases.append((scene.owner(int(child)), scene.crowd.models[int(child)], value))
    return rated(cases)


def direction_figures(found: Sequence[Scene], fitted: Judge | None = None) -> list[Figure]:
    """Direction as the whole crowd shows it, and with nothing but the two in sight."""

    def together(scene: Scene, child: int, parent: int) -> tuple[float, float]:
        odds = scene.judgement.parent
        return float(odds[child, parent]), float(odds[parent, child])

    def alone(scene: Scene, child: int, parent: int) -> tuple[float, float]:
        odds = judge(scene.crowd.family.only(np.array([child, parent])), fitted).parent
        return float(odds[0, 1]), float(odds[1, 0])

    return [
        direction(found, together).row("judge.direction", ">= .95, aim .97", "known edges, the whole crowd in sight"),
        direction(found, alone).row("judge.direction_alone", note="known edges, the two alone in sight"),
    ]


def unrelated_figures(zoos: Sequence[Path], split: str, found: Sequence[Scene], fitted: Judge | None = None) -> list[Figure]:
    """Pairs of strangers, each judged on its own, that are called kin; and in a crowd, where others may join them."""
    claimed = claimed_strangers(zoos, split, fitted)
    if not claimed:
        return []
    crowded = [bool(kin) for scene in found for kin in _crowded(scene)]
    few = "" if len(claimed) >= ENOUGH_PAIRS else f", fewer than the {ENOUGH_PAIRS} wanted"
    note = f"{len(claimed)} pairs{few}, any kinship; in their crowds {float(np.mean(crowded)):.2g} of {len(crowded)}"
    return [Figure("judge.unrelated_claimed", float(np.mean(claimed)), "share", "<= .001", note=note)]


def claimed_strangers(zoos: Sequence[Path], split: str, fitted: Judge | None = None) -> list[bool]:
    """Of each pair of strangers of one architecture, of whatever zoo, whether the two alone are called kin."""
    cut = (fitted or shipped()).kin_cosine
    return [claim for group in _by_architecture(zoos, split) for claim in claims(*group, cut)]


def claims(origins: Sequence[str], family: Family, kin_cosine: float) -> list[bool]:
    """Of each pair of two origins whether the two, alone together, have the cosine of kin."""
    name = np.array(origins)
    pairs = np.triu(name[:, None] != name[None, :], 1)
    cut = kin_cut(family, kin_cosine)
    return [bool(cosine >= cut) for cosine in paired_cosine(family)[pairs]]


def paired_cosine(family: Family) -> Matrix:
    """The pooled cosine of every pair as a family of the two has it, shape [K, K]: tensors scaled over the two alone."""
    squares = np.diagonal(family.grams, axis1=1, axis2=2)  # [T, K]
    rms = (squares[:, :, None] + squares[:, None, :]) / (2 * family.sizes[:, None, None])
    weights = np.divide(1.0, rms, out=np.zeros_like(rms), where=rms > 0)
    inner = (weights * family.grams).sum(axis=0)
    norm = np.einsum("tij,ti->ij", weights, squares)  # of i, in the scale of the pair
    return np.asarray(np.clip(inner / np.sqrt(np.maximum(norm * norm.T, 1e-300)), -1.0, 1.0))


def _crowded(scene: Scene) -> Matrix:
    """Of each pair of strangers in a crowd whether it was taken for kin."""
    origin = np.array([scene.lineage.origin(model) for model in scene.crowd.models])
    return np.asarray(scene.judgement.kin[np.triu(origin[:, None] != origin[None, :], 1)])


def _by_architecture(zoos: Sequence[Path], split: str) -> list[tuple[list[str], Family]]:
    """The served models of a split, by architecture: the origin of each, told apart by zoo, and all of them side by side."""
    groups: dict[str, list[tuple[str, Fingerprint]]] = {}
    for zoo in zoos:
        truth = load_truth(zoo)
        origins = {model.id: f"{zoo}/{model.twin_of_seed or model.id}" for model in truth}
        for model in truth:
            if model.split == split and not model.hidden:
                found = read_fingerprint(open_source(parse_reference(str(model.path))))
                groups.setdefault(found.architecture, []).append((origins[model.root], found))
    return [([origin for origin, _ in group], gather([found for _, found in group])) for group in groups.values()]


def _is_first(model: ZooModel) -> bool:
    return not is_hub(model)
