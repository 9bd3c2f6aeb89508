"""Fits the judge that ships: two rounds of boosted trees on training splits; setting, calibration and cut on validation.

Of the settings, the one ships that says the most present parents rightly on validation, at the cut where a tenth of the
absent ones are claimed.

``python -m benchmarks.fit_judge --zoo ZOO --more ZOO ... --validation ZOO ...``

The further zoos hold one split alone, by other seeds: ``make fit`` makes them all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.cases import Crowd, crowds
from benchmarks.ranking import absent, judged
from benchmarks.training import Measured, Setting, fit, measured, second_odds
from benchmarks.zoo import load_truth
from hub_lineage import boosting
from hub_lineage.family import Matrix
from hub_lineage.judge import Judge

SETTINGS = tuple(Setting(24, 300, 0.03, 100, later) for later in (1.0, 0.3, 0.0))
DROPS = 6
"""How often each training family is measured with random members gone."""
MOST_FALSE = 0.1
"""The cut is the lowest at which no more of validation's absent parents are claimed."""
CLONE_PARENT = 0.5
"""Weights can't tell which of two equal bodies came first, so a body's clones share even odds."""


def kin_cosine(found: Sequence[Crowd], twins: dict[str, str]) -> float:
    """The cosine from which two models count as kin: between the likest strangers and all but the remotest kin.

    The geometric mean of the largest cosine of unrelated roots and the fifth percentile of kin; ``twins`` names for each
    root the one whose initialisation it shares.
    """
    strange, kin = [], []
    for crowd in found:
        cosine = crowd.family.cosine
        root = np.array([model.root for model in crowd.models])
        origin = np.array([twins.get(name, name) for name in root])
        upper = np.triu(np.ones(cosine.shape, dtype=bool), 1)
        strange.append(cosine[upper & (origin[:, None] != origin[None, :])])
        kin.append(cosine[upper & (root[:, None] == root[None, :])])
    return float(np.sqrt(np.concatenate(strange).max() * np.quantile(np.concatenate(kin), 0.05)))


def revisions(zoo: Path) -> dict[str, str]:
    """For each hidden revision of a zoo the served model that it became."""
    return {model.id: model.checkpoint_of for model in load_truth(zoo) if model.checkpoint_of}


def calibrate(odds: Sequence[Matrix], families: Sequence[Measured]) -> tuple[float, float, float]:
    """Slope and shift that make the odds of all candidates and of none fit best, and the loss (nats a case) they leave."""

    def loss(parameters: NDArray[np.float64]) -> float:
        slope, shift = parameters
        total, cases = 0.0, 0
        for found, family in zip(odds, families, strict=True):
            scaled = np.exp(np.clip(slope * found + shift, -30, 30))
            np.fill_diagonal(scaled, 0.0)
            none = 1.0 / (1.0 + scaled.sum(axis=1))
            chance = np.where(family.label.any(axis=1), (scaled * family.label).sum(axis=1) * none, none)
            total -= np.log(np.maximum(chance, 1e-12))[~family.merged].sum()
            cases += int((~family.merged).sum())
        return float(total / cases)

    best = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead")
    return float(best.x[0]), float(best.x[1]), float(best.fun)


def choose_cut(found: Sequence[Crowd], judge: Judge) -> tuple[float, float, float]:
    """The cut at which a parent is stated, with the shares of right and of false statements that it gives on validation."""
    right, wrong = [], []
    for crowd in found:
        judgement = judged(crowd, judge)
        for child in np.flatnonzero(crowd.parents >= 0):
            best = int(judgement.parent[child].argmax())
            right.append(float(judgement.parent[child, best]) if best == crowd.parents[child] else 0.0)
        for orphan, without in absent(crowd, judgement):
            again = judgement if without is crowd else judged(without, judge)
            wrong.append(float(again.parent[orphan].max()))
    cuts = np.linspace(0.2, 0.95, 76)
    false = np.array([(np.array(wrong) >= cut).mean() for cut in cuts])
    cut = float(cuts[false <= MOST_FALSE].min())
    return cut, float((np.array(right) >= cut).mean()), float((np.array(wrong) >= cut).mean())


def fitted(zoo: Path, more: Sequence[Path], validating: Sequence[Path], seed: int) -> tuple[Judge, dict[str, Any]]:
    """The judge that validation chooses among the settings, and what it said of each."""
    twins = {model.id: model.twin_of_seed for model in load_truth(zoo) if model.twin_of_seed}
    training, validation = crowds(zoo, "train"), crowds(zoo, "validation")
    cosine = kin_cosine([*training, *validation], twins)
    learned = measured(training, revisions(zoo), cosine, DROPS, seed)
    for folder in more:  # each apart: the same names mean other models in another zoo
        learned += [
            part.renamed(folder.name) for part in measured(crowds(folder, "train"), revisions(folder), cosine, DROPS, seed)
        ]
    held = measured(validation, revisions(zoo), cosine, DROPS, seed + 1)
    for folder in validating:
        further = crowds(folder, "validation")
        held += measured(further, revisions(folder), cosine, DROPS, seed + 1)
        validation = [*validation, *further]
    tried = [_tried(setting, _Split(learned, held, validation, cosine), seed) for setting in SETTINGS]
    judge, said = max(tried, key=lambda each: float(each[1]["parent_said"]))
    return judge, said | {"tried": [other for _, other in tried]}


@dataclass(frozen=True, eq=False)
class _Split:
    """What is fitted on, what calibrates, what is chosen by, and the cosine of kin."""

    learned: Sequence[Measured]
    held: Sequence[Measured]
    validation: Sequence[Crowd]
    kin_cosine: float


def _tried(setting: Setting, data: _Split, seed: int) -> tuple[Judge, dict[str, Any]]:
    """The judge of one setting, and its figures on validation."""
    first, second = fit(data.learned, setting, seed)
    slope, shift, loss = calibrate([second_odds(family, first, second) for family in data.held], data.held)
    judge = Judge(first, second, slope, shift, data.kin_cosine, CLONE_PARENT, 0.5)
    cut, stated, false = choose_cut(data.validation, judge)
    said = {"setting": str(setting), "loss": round(loss, 4), "cut": round(cut, 2)}
    said |= {"parent_said": round(stated, 3), "false_parent": round(false, 3)}
    print(said, file=sys.stderr)
    return replace(judge, cut=cut), said


def _described(folder: Path) -> dict[str, Any]:
    summary = json.loads((folder / "summary.json").read_text())
    return {name: summary[name] for name in ("scheme", "size", "seed", "models")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Fits, chooses, calibrates and writes; prints what validation says of each setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, default=Path("benchmarks/cache/zoo"))
    parser.add_argument("--more", type=Path, nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("hub_lineage/judge.json"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation", type=Path, nargs="*", default=[])
    options = parser.parse_args(arguments)
    judge, said = fitted(options.zoo, options.more, options.validation, options.seed)
    stored = {
        "command": "python -m benchmarks.fit_judge",
        "seed": options.seed,
        "zoos": [_described(folder) for folder in (options.zoo, *options.more, *options.validation)],
        "validation": said,
        **{name: round(getattr(judge, name), 5) for name in ("slope", "shift", "kin_cosine", "clone_parent", "cut")},
        "first": boosting.to_json(judge.first),
        "second": boosting.to_json(judge.second),
    }
    options.out.write_text(json.dumps(stored, separators=(",", ":")) + "\n")
    print(f"{said} -> {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
