"""Fits the judge that ships: networks and boosted trees on training splits; calibration and cut on validation.

``python -m benchmarks.fit_judge --zoo ZOO ... --validation ZOO ...``

Zoos may hold one split alone: ``make fit`` makes them all. ``--others`` fits boosted trees and a logistic regression beside, and
notes what validation says of each. ``--without NAME ... --out FOLDER`` fits judges that never saw one kind of network, or one
regime, each into a file of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

import hub_lineage
from benchmarks import cases, fit_network, training
from benchmarks.cases import Crowd, crowds
from benchmarks.fit_network import Schooling
from benchmarks.judgement.lineage import Lineage
from benchmarks.judgement.scenes import judged_without
from benchmarks.training import Measured, Setting, fit, measured, rows
from benchmarks.zoo import load_truth
from hub_lineage import trees
from hub_lineage.family import Matrix
from hub_lineage.judge import NUMBERS, Judge, Judgement
from hub_lineage.judge import judge as judged
from hub_lineage.network import KINDS, Network, spread_out, to_tensors

SETTING = Setting(24, 300, 0.04, 100)
TREES = (0, 1)
"""Boosted trees are fitted so often, each time on another third of the measured families, every root in each."""
SHARES = 3
WEIGHT = 0.8
"""What the log odds of the trees weigh beside those of the networks: from .4 to 1.3 validation hardly minds."""
SCHOOLS = tuple((more, Schooling()) for more in range(4))
"""How each network of the judge is trained, and what is added to the seed for it."""
LEFT_OUT = ((0, Schooling(epochs=6)),)
"""Likewise of a judge that never saw one kind of network or one regime: less, since there are many."""
DROPS = 12
"""How often each training family is measured with random members gone."""
GLIMPSES = 8
"""How often it is measured besides by a part of its tensors."""
MEASURED = Path(__file__).parent / "cache" / "measured"
PACKAGE = Path(hub_lineage.__file__).parent
MOST_FALSE = 0.1
"""The cut is the lowest at which no more of validation's absent parents are claimed."""
NONE, MISSED = -1, -2
_LEAST = 1e-14
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


@dataclass(frozen=True, eq=False)
class Chance:
    """A child of validation: the log odds [n] of its kin against none, and the place of its parent.

    That is :data:`NONE` where it has none in sight, and :data:`MISSED` where it isn't among those that were found to be kin.
    """

    odds: Matrix
    parent: int


def chances(validation: Sequence[Crowd], judge: Judge, hidden: str = "") -> list[Chance]:
    """Every child of some crowds with its parent in sight, and once more without; none of the regime that is ``hidden``."""
    found = []
    for crowd in validation:
        judgement = judged(crowd.family, judge)
        shown = np.array([model.regime != hidden for model in crowd.models], dtype=bool)
        for child in map(int, np.flatnonzero(shown & ~crowd.merged)):
            parent = int(crowd.parents[child])
            if parent >= 0:
                found += [_chance(judgement, child, parent), _chance(*judged_without(crowd, child, parent, judge), NONE)]
            elif judgement.kin[child].sum() > 1:
                found.append(_chance(judgement, child, NONE))
    return found


def _chance(judgement: Judgement, child: int, parent: int) -> Chance:
    others = np.flatnonzero(judgement.kin[child] & (np.arange(len(judgement.none)) != child))
    odds = np.log(np.maximum(judgement.parent[child, others], _LEAST)) - np.log(max(judgement.none[child], _LEAST))
    place = np.flatnonzero(others == parent)
    return Chance(odds, NONE if parent < 0 else int(place[0]) if len(place) else MISSED)


def calibrate(found: Sequence[Chance]) -> tuple[float, float, float]:
    """Slope and shift that make odds fit best, and the loss they leave (nats a case): parents there and gone weigh alike."""
    found = [chance for chance in found if chance.parent != MISSED]
    gone = np.array([chance.parent == NONE for chance in found])
    weight = np.where(gone, 0.5 / max(int(gone.sum()), 1), 0.5 / max(int((~gone).sum()), 1))

    def loss(numbers: Matrix) -> float:
        return float(sum(w * -np.log(max(_right(chance, *numbers), 1e-12)) for w, chance in zip(weight, found, strict=True)))

    best = minimize(loss, np.array([0.7, 0.0]), method="Nelder-Mead")
    return float(best.x[0]), float(best.x[1]), float(best.fun)


def _scaled(chance: Chance, slope: float, shift: float) -> tuple[Matrix, float]:
    """The probabilities of candidates and of none."""
    odds = np.exp(np.clip(slope * chance.odds + shift, -30, 30))
    return odds / (1 + odds.sum()), float(1 / (1 + odds.sum()))


def _right(chance: Chance, slope: float, shift: float) -> float:
    """The probability of the truth."""
    parent, none = _scaled(chance, slope, shift)
    return none if chance.parent == NONE else float(parent[chance.parent])


def choose_cut(found: Sequence[Chance], slope: float, shift: float) -> tuple[float, float, float]:
    """The cut at which a parent is stated, with the shares of right and of false statements that it gives on validation."""
    right, wrong = [], []
    for chance in found:
        parent, _ = _scaled(chance, slope, shift)
        best = int(parent.argmax()) if len(parent) else -1
        leading = float(parent.max(initial=0.0))
        if chance.parent == NONE:
            wrong.append(leading)
        else:
            right.append(leading if best == chance.parent else 0.0)
    cuts = np.linspace(0.2, 0.95, 76)
    false = np.array([(np.array(wrong) >= cut).mean() for cut in cuts])
    cut = float(cuts[false <= MOST_FALSE].min())
    return cut, float((np.array(right) >= cut).mean()), float((np.array(wrong) >= cut).mean())


@dataclass(frozen=True, eq=False)
class Data:
    """What is fitted on, what calibrates but for the regime that is ``hidden``, and the cosine of kin."""

    learned: Sequence[Measured]
    validation: Sequence[Crowd]
    kin_cosine: float
    hidden: str = ""

    def without(self, name: str) -> Data:
        """The data with no network of one kind, or family of one regime, to learn from or to be calibrated on."""
        learned = [family for family in self.learned if name not in (family.kind, family.regime)]
        return Data(learned, [crowd for crowd in self.validation if crowd.models[0].kind != name], self.kin_cosine, name)


def gathered(zoos: Sequence[Path], validating: Sequence[Path], seed: int) -> Data:
    """The training splits and the validation splits of zoos, measured."""
    twins = {model.id: model.twin_of_seed for model in load_truth(zoos[0]) if model.twin_of_seed}
    cosine = kin_cosine([*crowds(zoos[0], "train"), *crowds(zoos[0], "validation")], twins)
    learned: list[Measured] = []
    for folder in zoos:  # each apart: the same names mean other models in another zoo
        learned += _measured(folder, "train", cosine, DROPS, seed)
    return Data(learned, [crowd for folder in validating for crowd in crowds(folder, "validation")], cosine)


def _measured(folder: Path, split: str, cosine: float, drops: int, seed: int) -> list[Measured]:
    """The families of one split, measured; kept for as long as neither the zoo nor the code that measures changes."""
    summary = json.loads((folder / "summary.json").read_text())
    digest = hashlib.sha256(f"{summary['scheme']} {split} {cosine} {drops} {GLIMPSES} {seed}".encode())
    own = (PACKAGE / f"{name}.py" for name in ("sampling", "fingerprint", "family", "judge"))
    for source in sorted([*PACKAGE.glob("evidence/*.py"), *own, Path(cases.__file__), Path(training.__file__)]):
        digest.update(source.read_bytes())
    kept = MEASURED / f"{folder.name}-{split}-{digest.hexdigest()[:12]}.pickle"
    if not kept.exists():
        lineage = Lineage(load_truth(folder))
        families = measured(crowds(folder, split), lineage, cosine, drops, seed, glimpses=GLIMPSES)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps([family.renamed(folder.name) for family in families]))
    found: list[Measured] = pickle.loads(kept.read_bytes())
    print(f"{folder.name}, {split}: {len(found)} families", file=sys.stderr)
    return found


def fitted(
    data: Data, seed: int, schools: Sequence[tuple[int, Schooling]] = SCHOOLS, shares: Sequence[int] = TREES
) -> tuple[Judge, dict[str, Any]]:
    """The judge of so many networks, and of trees on some shares of the data; and what validation said of it."""
    found = tuple(fit_network.fit(data.learned, school, seed + more) for more, school in schools)
    boosted = tuple(fit(data.learned[k::SHARES], SETTING, seed + k) for k in shares)
    return tuned(_untuned(data, found, boosted, WEIGHT), data, f"{len(found)} networks, trees of {len(shares)} shares")


def _untuned(data: Data, networks: tuple[Network, ...], boosted: tuple[trees.Boosted, ...], weight: float) -> Judge:
    return Judge(networks, boosted, weight, 1.0, 0.0, data.kin_cosine, CLONE_PARENT, 0.5)


def tuned(judge: Judge, data: Data, kind: str) -> tuple[Judge, dict[str, Any]]:
    """The judge with slope, shift and cut from validation, and what that says of it."""
    found = chances(data.validation, judge, data.hidden)
    slope, shift, loss = calibrate(found)
    cut, stated, false = choose_cut(found, slope, shift)
    said = {"kind": kind, "loss": round(loss, 4), "cut": round(cut, 2)}
    said |= {"parent_said": round(stated, 3), "false_parent": round(false, 3)}
    print(said, file=sys.stderr)
    return replace(judge, slope=slope, shift=shift, cut=cut), said


@dataclass(frozen=True, eq=False)
class Logistic(Judge):
    """A judge that weighs the cues of each pair by itself, spread as the networks read them."""

    model: LogisticRegression
    names: tuple[str, ...]
    knots: tuple[Matrix, ...]

    def log_odds(self, cues: Mapping[str, Matrix]) -> tuple[Matrix, Matrix]:
        """Log odds of each ordered pair, shape [K, K]; kinds are left at 0."""
        told = self.model.decision_function(_flat(cues, self.names, self.knots)).reshape(cues["cosine"].shape)
        return told, np.zeros((*told.shape, len(KINDS)))


def _flat(cues: Mapping[str, Matrix], names: tuple[str, ...], knots: tuple[Matrix, ...]) -> Matrix:
    """Spread cues, a row a pair: shape [K * K, names]."""
    return spread_out(cues, names, knots).reshape(-1, len(names)).astype(np.float64)


def others(data: Data, seed: int) -> list[dict[str, Any]]:
    """What validation says of other kinds of judges: a logistic regression of the cues, and boosted trees in two rounds."""
    names = tuple(data.learned[0].cues)
    knots = fit_network.quantiles(data.learned, names)
    x, y, weight, _ = rows(data.learned, [_flat(f.cues, names, knots) for f in data.learned])
    model = LogisticRegression(C=0.1, max_iter=300).fit(x, y, sample_weight=weight)
    alone = (Logistic((), (), 0.0, 1.0, 0.0, data.kin_cosine, CLONE_PARENT, 0.5, model, names, knots), "logistic regression")
    boosted = (_untuned(data, (), (fit(data.learned, SETTING, seed),), 1.0), "boosted trees")
    return [tuned(judge, data, kind)[1] for judge, kind in (alone, boosted)]


def _described(folder: Path) -> dict[str, Any]:
    summary = json.loads((folder / "summary.json").read_text())
    return {name: summary[name] for name in ("scheme", "size", "seed", "models")}


def store(judge: Judge, said: dict[str, Any], about: dict[str, Any], out: Path) -> None:
    """Writes a judge: ``out`` holds its numbers, a file of safetensors beside it the networks."""
    stored = {
        **about,
        "validation": said,
        **{name: round(getattr(judge, name), 5) for name in NUMBERS},
        "networks": len(judge.networks),
        "boosted": len(judge.boosted),
        "cues": judge.networks[0].names,
    }
    stacks = {f"networks.{k}": to_tensors(each) for k, each in enumerate(judge.networks)}
    stacks |= {f"boosted.{k}": trees.to_tensors(each) for k, each in enumerate(judge.boosted)}
    tensors = {f"{start}.{name}": value for start, each in stacks.items() for name, value in each.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(stored, indent=1) + "\n")
    out.with_suffix(".safetensors").write_bytes(save(tensors))
    print(f"{said} -> {out}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fits, chooses, calibrates and writes; prints what validation says of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, nargs="+", default=[Path("benchmarks/cache/zoo")])
    parser.add_argument("--validation", type=Path, nargs="+", default=[Path("benchmarks/cache/zoo")])
    parser.add_argument("--out", type=Path, help="a file, or with --without a folder", default=Path("hub_lineage/judge.json"))
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--others", action="store_true", help="fit boosted trees and a logistic regression to compare")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # small matrices: more than one loses
    data = gathered(options.zoo, options.validation, options.seed)
    about = {
        "command": "python -m benchmarks.fit_judge",
        "seed": options.seed,
        "zoos": [_described(folder) for folder in dict.fromkeys((*options.zoo, *options.validation))],
    }
    for name in options.without:
        judge, said = fitted(data.without(name), options.seed, LEFT_OUT, ())
        store(judge, said, about | {"without": name}, options.out / f"without-{name}.json")
    if not options.without:
        judge, said = fitted(data, options.seed)
        if options.others:
            said |= {"others": others(data, options.seed)}
        store(judge, said, about, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
