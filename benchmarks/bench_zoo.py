"""The figures of the zoo: how often the parent is found, how often one is claimed that isn't there, and what it costs.

``python -m benchmarks.bench_zoo --zoo ZOO --strangers ZOO`` measures what ships on the test split, which nothing was fitted
or chosen on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import read_cost, results_file
from benchmarks.judgement import statements
from benchmarks.judgement.scenes import Scene, orphans, scenes
from benchmarks.ranking import BASELINES, Case, ranked
from benchmarks.results_file import Figure
from hub_lineage.family import Matrix
from hub_lineage.judge import shipped
from hub_lineage.verdict import LIKELY

SPLITS = ("test", "validation", "train")
BINS = ((0.0, 0.7), (0.7, 0.95), (0.95, 0.999), (0.999, 1.0))


def present(found: Sequence[Scene]) -> dict[str, list[Case]]:
    """The cases with the parent in sight, by rule; the judge that ships first."""
    cases: dict[str, list[Case]] = {"judge": []}
    for scene in found:
        cases["judge"] += ranked(scene.crowd, scene.judgement.parent)
        for name, rule in BASELINES.items():
            cases.setdefault(name, []).extend(ranked(scene.crowd, rule(scene.crowd.family)))
    return cases


def share(cases: Iterable[Case], place: str = "first") -> float:
    """The mean chance of a place."""
    return float(np.mean([getattr(case, place) for case in cases]))


def share_above(odds: Matrix, cut: float) -> float:
    """The share of cases stated at a cut."""
    return float((odds >= cut).mean())


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


def figures(zoo: Path, split: str, strangers: Sequence[Path] = ()) -> list[Figure]:
    """All rows about one split of a zoo; ``strangers`` are zoos whose models are pairs of strangers too."""
    found = scenes([zoo], split)
    cases = present(found)
    first = {rule: share(rows) for rule, rows in cases.items()}
    three = {rule: share(rows, "three") for rule, rows in cases.items()}
    right, wrong = statements.right(found).values, statements.wrong([gone for scene in found for gone in orphans(scene)]).values
    cut = shipped().cut
    claimed = statements.claimed_strangers([zoo, *strangers], split)
    count = f"{len(cases['judge'])} cases"
    return [
        Figure("zoo.parent_first", first.pop("judge"), "share", ">= .50", first, count),
        Figure("zoo.first_three", three.pop("judge"), "share", ">= .85", three, count),
        Figure("zoo.nearest_cosine", first["nearest cosine"], "share", "<= .50", note=count),
        Figure("zoo.false_parent", share_above(wrong, cut), "share", "<= .12", note=f"{len(wrong)} cases, at the cut of {cut:g}"),
        Figure(
            "zoo.parent_said",
            share_above(right, cut),
            "share",
            note="right parent stated at that cut, the lowest that claims a tenth of validation's absent parents",
        ),
        Figure("zoo.false_parent_probably", share_above(wrong, LIKELY), "share", note="named with a probably, at even odds"),
        Figure("zoo.parent_said_probably", share_above(right, LIKELY), "share", note="right parent named at even odds"),
        Figure("zoo.unrelated_claimed", float(np.mean(claimed)), "share", "<= .001", note=f"{len(claimed)} pairs"),
        *by_group(cases),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints; on the test split it writes the results too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, default=Path("benchmarks/cache/zoo"))
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--strangers", type=Path, nargs="*", default=[])
    options = parser.parse_args(arguments)
    found = figures(options.zoo, options.split, options.strangers)
    if options.split == "test":
        found += read_cost.figures()
        results_file.write("zoo", "make bench-zoo", found)
    for figure in found:
        print(f"{figure.id:40s} {figure.value:10.4g} {figure.unit:8s} {figure.bar:10s} {dict(figure.baselines)} {figure.note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
