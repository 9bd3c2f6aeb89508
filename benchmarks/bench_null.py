"""Whether p-values hold: those of really unrelated models of a zoo, which should be uniform.

``python -m benchmarks.bench_null --zoo FOLDER`` takes children of every family of a split and, for each other family, a
model unrelated to the child, and asks how often its p-value is small: beside real strangers, and beside turned channels
alone, as where no other model of the architecture is known.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import results_file
from benchmarks.cases import Crowd, crowds
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel
from hub_lineage.evidence import measure, null
from hub_lineage.family import Family
from hub_lineage.judge import components, shipped
from hub_lineage.read.dtypes import round_to

CHILDREN = 3  # of each family
CUES = {"cosine": "correlation", "median_cosine": "correlation.median", "equal_share": "equal_values"}


@dataclass(frozen=True)
class Tried:
    """One unrelated pair: the p-values of its figures by cue, uncorrected, and how many strangers stood beside it."""

    real: dict[str, float]
    turned: float
    strangers: int


def lineages(models: Sequence[ZooModel]) -> NDArray[np.intp]:
    """A number for each model's lineage; those that share a root or an initialisation have one."""
    joined: dict[str, str] = {}

    def top(name: str) -> str:
        while joined.get(name, name) != name:
            name = joined[name]
        return name

    roots = {model.id: model.root for model in models}
    for model in models:
        if model.twin_of_seed:
            joined[top(model.root)] = top(roots.get(model.twin_of_seed, model.twin_of_seed))
    names = sorted({top(model.root) for model in models})
    return np.array([names.index(top(model.root)) for model in models], dtype=np.intp)


def tried(crowd: Crowd, generator: np.random.Generator) -> Iterator[Tried]:
    """Children of every lineage beside one unrelated model of each other lineage."""
    lineage = lineages(crowd.models)
    cut = shipped().kin_cosine
    for own in np.unique(lineage):
        for child in generator.permutation(np.flatnonzero(lineage == own))[:CHILDREN]:
            order = np.array([child, *(k for k in range(len(crowd)) if k != child)])
            family = crowd.family.only(order)
            beside = null.measured(family, 0, components(family, cut), None, cut)
            for other in np.unique(lineage):
                if other != own:
                    place = int(generator.choice(np.flatnonzero(lineage[order] == other)))
                    pair = family.only(np.array([0, place]))
                    alone = null.measured(pair, 0, np.eye(2, dtype=bool), None, cut).null("cosine", 1)
                    cues = measure(pair)
                    found = {cue: (float(cues[cue][0, 1]), beside.null(cue, place)) for cue in CUES}
                    yield Tried(
                        {cue: null.p_value(value, n) for cue, (value, n) in found.items() if n is not None},
                        null.p_value(found["cosine"][0], alone) if alone else 1.0,
                        found["cosine"][1].n if found["cosine"][1] else 0,
                    )


def in_bf16(crowd: Crowd) -> Crowd:
    """The crowd as if all of it were stored in bfloat16, where unrelated models have equal values by chance."""
    raw = tuple(round_to("BF16", tensor) for tensor in crowd.family.raw)
    return replace(crowd, family=Family(raw, ("BF16",) * len(crowd), crowd.family.kernels))


def figures(stored: Sequence[Tried], rounded: Sequence[Tried], split: str) -> list[Figure]:
    """Shares of small p-values: of models as they are stored, and of equal values once all are rounded."""
    rows = []
    for cue, source in CUES.items():
        pairs = rounded if cue == "equal_share" else stored
        rows += _shares(f"null.{source}", [pair.real[cue] for pair in pairs if cue in pair.real], split)
    return rows + _shares("null.turned", [pair.turned for pair in stored], split)


def _shares(name: str, p_values: Sequence[float], split: str) -> list[Figure]:
    found = np.array(p_values)
    note = f"{len(found)} unrelated pairs, {split}; below .5 {np.mean(found < 0.5):.3f}, below .1 {np.mean(found < 0.1):.3f}"
    return [
        Figure(f"{name}_05", float(np.mean(found < 0.05)), "share", ".02 to .08", note=note),
        Figure(f"{name}_01", float(np.mean(found < 0.01)), "share", "<= .025"),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the shares and writes them to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, default=Path("benchmarks/cache/zoo"))
    parser.add_argument("--splits", nargs="+", default=["train", "validation"])
    options = parser.parse_args(arguments)
    generator = np.random.default_rng(0)
    found = [crowd for split in options.splits for crowd in crowds(options.zoo, split)]
    pairs = [pair for crowd in found for pair in tried(crowd, generator)]
    rounded = [pair for crowd in found for pair in tried(in_bf16(crowd), generator)]
    rows = figures(pairs, rounded, " and ".join(options.splits))
    results_file.write("null", "python -m benchmarks.bench_null", rows)
    for row in rows:
        print(f"{row.id:32s} {row.value:.4f} (bar: {row.bar}) {row.note}")
    print(f"strangers beside a figure: {np.mean([pair.strangers for pair in pairs]):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
