"""What fitting a judge is made of: measured families, rows of pairs, and two rounds of boosted trees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

from benchmarks.cases import Crowd, glimpse, variations
from benchmarks.judgement.lineage import Lineage
from hub_lineage.evidence import measure
from hub_lineage.family import Family, Matrix
from hub_lineage.judge import clones, components
from hub_lineage.network import KINDS
from hub_lineage.trees import Boosted, Trees, context, table

FOLDS = 3


@dataclass(frozen=True, eq=False)
class Measured:
    """One family measured: cues by name [K, K], labels [K, K], the root it comes from, and which models are merges [K].

    ``kinds`` [K, K] numbers what each candidate is to each child, as in :data:`hub_lineage.network.KINDS`; -1 where a
    merge makes it several things, and on the diagonal. A later revision of a hidden parent isn't the parent.
    """

    cues: dict[str, Matrix]
    label: Matrix
    root: str
    merged: NDArray[np.bool_]
    kinds: NDArray[np.int64]
    kind: str  # of network
    regime: str

    def __len__(self) -> int:
        return len(self.label)

    def renamed(self, zoo: str) -> Measured:
        """The family with its root told apart from those of other zoos."""
        return replace(self, root=f"{zoo}/{self.root}")


def measured(
    found: Sequence[Crowd], lineage: Lineage, kin_cosine: float, times: int, seed: int, *, glimpses: int = 0
) -> list[Measured]:
    """The families of some crowds with random members gone, clones kept once, each measured.

    Each is measured whole and ``times`` with members gone; then, likewise ``glimpses`` times, by a part of its tensors alone.
    """
    generator = np.random.default_rng(seed)
    families = []
    for crowd in found:
        unique = _without_clones(crowd, clones(crowd.family).argmax(axis=1))
        kin = components(unique.family, kin_cosine)
        families += [_measured(part, part.family, lineage) for part in variations(unique, kin, generator, times)]
        if glimpses:
            seen = variations(unique, kin, generator, glimpses)
            families += [_measured(part, glimpse(part.family, generator), lineage) for part in seen]
    return families


def _measured(part: Crowd, seen: Family, lineage: Lineage) -> Measured:
    label = np.zeros((len(part), len(part)))
    known = np.flatnonzero(part.parents >= 0)
    label[known, part.parents[known]] = 1.0
    first = part.models[0]
    return Measured(measure(seen), label, first.root, part.merged, kinds(part, lineage), first.kind, first.regime)


def kinds(crowd: Crowd, lineage: Lineage) -> NDArray[np.int64]:
    """What each model is to each other, as numbers of :data:`KINDS`, shape [K, K]; -1 where that is several things."""
    number = {kind: k for k, kind in enumerate(KINDS)}
    found = np.full((len(crowd), len(crowd)), -1, dtype=np.int64)
    for row, child in enumerate(crowd.models):
        for column, candidate in enumerate(crowd.models):
            if row != column and (kind := lineage.kinship(child.id, candidate.id)) is not None:
                found[row, column] = number[kind]
    return found


def _without_clones(crowd: Crowd, first: NDArray[np.intp]) -> Crowd:
    """The crowd with the first of each set of clones alone; their children count as its own."""
    parents = np.where(crowd.parents >= 0, first[crowd.parents], -1)
    parents[parents == np.arange(len(crowd))] = -1
    merged = Crowd(crowd.models, crowd.family, parents)
    return merged.only(np.unique(first))


def rows(families: Sequence[Measured], tables: Sequence[Matrix]) -> tuple[Matrix, Matrix, Matrix, NDArray[Any]]:
    """Features, labels, weights and roots of every ordered pair; each child weighs as much as any other, a merge nothing."""
    weights = [_weights(family) for family in families]
    keep = [each > 0 for each in weights]
    x = np.concatenate([t[k] for t, k in zip(tables, keep, strict=True)])
    y = np.concatenate([f.label.reshape(-1)[k] for f, k in zip(families, keep, strict=True)])
    weight = np.concatenate([w[k] for w, k in zip(weights, keep, strict=True)])
    root = np.concatenate([np.full(k.sum(), f.root) for f, k in zip(families, keep, strict=True)])
    return x, y, weight, root


def _weights(family: Measured) -> Matrix:
    weights: Matrix = np.full((len(family), len(family)), 1.0 / np.sqrt(len(family) - 1))
    np.fill_diagonal(weights, 0.0)
    weights[family.merged] = 0.0
    return weights.ravel()


@dataclass(frozen=True)
class Setting:
    """What validation chooses among."""

    leaves: int = 12
    rounds: int = 150
    rate: float = 0.06
    samples: int = 40  # pairs that a leaf holds at the least


def fit_trees(x: Matrix, y: Matrix, weight: Matrix, setting: Setting, seed: int) -> HistGradientBoostingClassifier:
    """One round of boosted trees."""
    model = HistGradientBoostingClassifier(
        max_iter=setting.rounds,
        learning_rate=setting.rate,
        max_leaf_nodes=setting.leaves,
        min_samples_leaf=setting.samples,
        l2_regularization=5.0,
        max_features=0.4,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(x, y, sample_weight=weight)


def exported(model: HistGradientBoostingClassifier, names: Sequence[str]) -> Trees:
    """A scikit-learn model in the form that ships."""
    feature: list[int] = []
    threshold: list[float] = []
    left: list[int] = []
    right: list[int] = []
    value: list[float] = []
    roots: list[int] = []
    depth = 1
    for (predictor,) in model._predictors:  # noqa: SLF001 - the library has no export of its own
        start = len(feature)
        roots.append(start)
        for place, node in enumerate(predictor.nodes):
            leaf = bool(node["is_leaf"])
            feature.append(0 if leaf else int(node["feature_idx"]))
            threshold.append(0.0 if leaf else float(node["num_threshold"]))
            left.append(start + (place if leaf else int(node["left"])))
            right.append(start + (place if leaf else int(node["right"])))
            value.append(float(node["value"]) if leaf else 0.0)
            depth = max(depth, int(node["depth"]))
    whole = [np.array(part, dtype=np.int32) for part in (roots, feature, left, right)]
    return Trees(
        tuple(names),
        float(model._baseline_prediction.reshape(-1)[0]),  # noqa: SLF001 - likewise
        whole[0],
        whole[1],
        np.array(threshold),
        whole[2],
        whole[3],
        np.array(value),
        depth,
    )


def fit(families: Sequence[Measured], setting: Setting, seed: int) -> Boosted:
    """Both rounds; the second is fitted on what the first says of roots that it was not fitted on."""
    names = tuple(families[0].cues)
    tables = [table(family.cues, names) for family in families]
    x, y, weight, root = rows(families, tables)
    unseen: dict[str, Trees] = {}
    for inside, outside in GroupKFold(FOLDS).split(x, y, root):
        part = exported(fit_trees(x[inside], y[inside], weight[inside], setting, seed), names)
        unseen |= dict.fromkeys(np.unique(root[outside]), part)
    both = []
    for family, told in zip(families, tables, strict=True):
        said = unseen[family.root].log_odds(told).reshape(len(family), len(family))
        both.append(family.cues | context(family.cues, said))
    second_names = tuple(both[0])
    x2, y2, weight2, _ = rows(families, [table(cues, second_names) for cues in both])
    first = exported(fit_trees(x, y, weight, setting, seed), names)
    return Boosted(first, exported(fit_trees(x2, y2, weight2, setting, seed), second_names))
