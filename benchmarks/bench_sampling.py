"""How many values a fingerprint needs, and whether they may stand in runs: the curve behind ``RUNS`` and ``RUN_LENGTH``.

``python -m benchmarks.bench_sampling`` fits a judge on thinned training families for each size and measures it on thinned
validation families. The test split is not looked at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import results_file
from benchmarks.bench_zoo import share
from benchmarks.cases import Crowd, crowds
from benchmarks.judgement.lineage import Lineage
from benchmarks.ranking import nearest_cosine, ranked
from benchmarks.results_file import Figure
from benchmarks.training import Setting, fit, measured
from benchmarks.zoo import load_truth
from hub_lineage.family import Family, Matrix
from hub_lineage.judge import shipped

SIZES = (64, 256, 1024, 4096, 16_384, 65_536)
RUN = 64
"""Neighbouring values in a run, where the sample stands in runs: as small against these tensors as 1,024 against large ones."""
SETTING = Setting(6, 150, 0.05)


def thinned(family: Family, size: int, run: int) -> Family:
    """The family with about ``size`` sampled values a model in runs of ``run``, shared over tensors by their lengths."""
    total = sum(tensor.shape[1] for tensor in family.raw)
    kept = tuple(tensor[:, _places(tensor.shape[1], max(8, size * tensor.shape[1] // total), run)] for tensor in family.raw)
    return replace(family, raw=kept)


def _places(length: int, wanted: int, run: int) -> NDArray[np.intp]:
    if wanted >= length:
        return np.arange(length)
    count = max(1, wanted // run)
    width = min(run, wanted)
    starts = np.arange(count) * length // count
    return np.unique(np.minimum(starts[:, None] + np.arange(width)[None, :], length - 1).reshape(-1))


def measure(
    training: Sequence[Crowd], validation: Sequence[Crowd], lineage: Lineage, size: int, run: int
) -> tuple[float, float, float]:
    """Parent first and among three by a judge fitted at that size, and parent first by nearest cosine."""
    learned = [Crowd(crowd.models, thinned(crowd.family, size, run), crowd.parents) for crowd in training]
    held = [Crowd(crowd.models, thinned(crowd.family, size, run), crowd.parents) for crowd in validation]
    cosine = shipped().kin_cosine
    boosted = fit(measured(learned, lineage, cosine, 3, 0), SETTING, 0)
    cases, nearest = [], []
    for crowd in held:
        parts = measured([crowd], lineage, cosine, 0, 1)
        for part in parts:
            odds = boosted(part.cues)
            np.fill_diagonal(odds, -np.inf)
            cases += [_place(odds, part.label, int(child)) for child in np.flatnonzero(part.label.any(axis=1))]
        nearest += ranked(crowd, nearest_cosine(crowd.family))
    return float(np.mean([place == 0 for place in cases])), float(np.mean([place < 3 for place in cases])), share(nearest)


def _place(odds: Matrix, label: Matrix, child: int) -> int:
    return int((odds[child] > odds[child, label[child].argmax()]).sum())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures every size, scattered and in runs, and writes the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, default=Path("benchmarks/cache/zoo"))
    options = parser.parse_args(arguments)
    training, validation = crowds(options.zoo, "train"), crowds(options.zoo, "validation")
    figures = []
    for size in SIZES:
        for run, name in ((1, "scattered"), (RUN, "runs")):
            first, three, nearest = measure(training, validation, Lineage(load_truth(options.zoo)), size, run)
            beside = {"among the first three": three, "nearest cosine": nearest}
            figures.append(Figure(f"sampling.{name}_{size}", first, "share", baselines=beside, note="validation, parent first"))
            print(figures[-1], file=sys.stderr)
    results_file.write("sampling", "python -m benchmarks.bench_sampling", figures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
