"""The figures of the zoo: how often the parent is found, how often one is claimed that isn't there, and what it costs.

``python -m benchmarks.bench_zoo --zoo benchmarks/cache/zoo`` measures what ships on the test split, which nothing was
fitted or chosen on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import read_cost, results_file
from benchmarks.cases import Crowd, crowds
from benchmarks.ranking import BASELINES, Case, absent, judged, ranked
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel, load_truth
from hub_lineage.judge import Judgement, shipped

PAIRS = 10_000
BINS = ((0.0, 0.7), (0.7, 0.95), (0.95, 0.999), (0.999, 1.0))


def present(found: Sequence[Crowd], judgements: Sequence[Judgement]) -> dict[str, list[Case]]:
    """The cases with the parent in sight, by rule; the judge that ships first."""
    cases: dict[str, list[Case]] = {"judge": []}
    for crowd, judgement in zip(found, judgements, strict=True):
        cases["judge"] += ranked(crowd, judgement.parent)
        for name, rule in BASELINES.items():
            cases.setdefault(name, []).extend(ranked(crowd, rule(crowd.family)))
    return cases


def share(cases: Iterable[Case], place: str = "first") -> float:
    """The mean chance of a place."""
    return float(np.mean([getattr(case, place) for case in cases]))


def said(found: Sequence[Crowd], judgements: Sequence[Judgement]) -> tuple[float, float]:
    """At the cut that ships: the right parent stated where it is present, any parent stated where none is."""
    right = [
        float(judgement.parent[child].argmax() == crowd.parents[child] and judgement.parent[child].max() >= shipped().cut)
        for crowd, judgement in zip(found, judgements, strict=True)
        for child in np.flatnonzero(crowd.parents >= 0)
    ]
    wrong = []
    for crowd, judgement in zip(found, judgements, strict=True):
        for child, without in absent(crowd, judgement):
            again = judgement if without is crowd else judged(without)
            wrong.append(float(again.parent[child].max() >= shipped().cut))
    return float(np.mean(right)), float(np.mean(wrong))


def unrelated_claimed(found: Sequence[Crowd], truth: Sequence[ZooModel]) -> tuple[float, int]:
    """The share of pairs from unrelated roots, of one architecture, that are called kin; and how many pairs there were."""
    by_id = {model.id: model for model in truth}
    claims: list[bool] = []
    cut = shipped().kin_cosine
    for crowd in found:
        origin = [by_id[model.root].twin_of_seed or model.root for model in crowd.models]
        claims += [
            bool(crowd.only(np.array([i, j])).family.cosine[0, 1] >= cut)
            for i in range(len(crowd))
            for j in range(i)
            if origin[i] != origin[j]
        ]
    drawn = np.random.default_rng(0).permutation(len(claims))[:PAIRS]
    return float(np.mean(np.array(claims)[drawn])), len(drawn)


def by_group(cases: dict[str, list[Case]]) -> list[Figure]:
    """The parent first by bins of cosine, by regime, dtype and kind of network, beside the baselines."""
    figures = []
    for low, high in BINS:
        chosen = [i for i, case in enumerate(cases["judge"]) if low < (case.model.cosine_to_parent or 0) <= high]
        figures.append(_group(cases, f"zoo.parent_first.cosine_{low:g}-{high:g}", chosen))
    for attribute in ("regime", "dtype", "kind"):
        for value in sorted({getattr(case.model, attribute) for case in cases["judge"]}):
            chosen = [i for i, case in enumerate(cases["judge"]) if getattr(case.model, attribute) == value]
            figures.append(_group(cases, f"zoo.parent_first.{attribute}_{value}", chosen))
    return [figure for figure in figures if figure is not None]


def _group(cases: dict[str, list[Case]], name: str, chosen: Sequence[int]) -> Figure:
    values = {rule: share([found[i] for i in chosen]) if chosen else float("nan") for rule, found in cases.items()}
    return Figure(name, values.pop("judge"), "share", baselines=values, note=f"{len(chosen)} cases")


def figures(zoo: Path, split: str) -> list[Figure]:
    """All rows about one split of a zoo."""
    truth = load_truth(zoo)
    found = crowds(zoo, split)
    judgements = [judged(crowd) for crowd in found]
    cases = present(found, judgements)
    first = {rule: share(rows) for rule, rows in cases.items()}
    three = {rule: share(rows, "three") for rule, rows in cases.items()}
    stated, false = said(found, judgements)
    claimed, pairs = unrelated_claimed(found, truth)
    count = f"{len(cases['judge'])} cases"
    return [
        Figure("zoo.parent_first", first.pop("judge"), "share", ">= .50", first, count),
        Figure("zoo.first_three", three.pop("judge"), "share", ">= .85", three, count),
        Figure("zoo.nearest_cosine", first["nearest cosine"], "share", "<= .50", note=count),
        Figure(
            "zoo.false_parent",
            false,
            "share",
            "<= .12",
            note=f"right parent stated in {stated:.3f} at the cut of {shipped().cut:g}",
        ),
        Figure("zoo.parent_said", stated, "share", ">= .25"),
        Figure("zoo.unrelated_claimed", claimed, "share", "<= .001", note=f"{pairs} pairs"),
        *by_group(cases),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; on the test split it writes the results too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, default=Path("benchmarks/cache/zoo"))
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    options = parser.parse_args(arguments)
    found = figures(options.zoo, options.split)
    if options.split == "test":
        found += read_cost.figures()
        results_file.write("zoo", "make bench-zoo", found)
    for figure in found:
        print(f"{figure.id:40s} {figure.value:10.4g} {figure.unit:8s} {figure.bar:10s} {dict(figure.baselines)} {figure.note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
