"""Every kind of kinship as the forest has it, against the truth: a table of confusions and the macro F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.judgement.scenes import Scene, is_hub
from benchmarks.judgement.sums import Owner, Sums, figure, mean_known, total
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel
from hub_lineage.family import Matrix
from hub_lineage.phylogeny import forest, kinship
from hub_lineage.types import Kinship

KINDS: tuple[Kinship, ...] = (
    "parent",
    "ancestor",
    "descendant",
    "sibling",
    "cousin",
    "duplicate",
    "shared_initialisation",
    "unrelated",
)
OTHER = "other"
"""What is said beside :data:`KINDS`: ``component`` or ``unknown``."""


@dataclass(frozen=True, eq=False)
class Confusions:
    """For each child the share of its candidates by true kind and by what was said: ``tables`` [n, kinds, kinds + 1]."""

    owners: tuple[Owner, ...]
    children: tuple[ZooModel, ...]
    tables: Matrix

    def sums(self, chosen: NDArray[np.bool_] | None = None) -> Sums:
        """The macro F1 over the kinds that are there, of all children or some; each child weighs as much as any other."""
        at = np.flatnonzero(np.ones(len(self.owners), dtype=bool) if chosen is None else chosen)
        rows = self.tables[at].reshape(len(at), len(KINDS) * (len(KINDS) + 1))
        return total([self.owners[k] for k in at], rows, lambda sums: mean_known(scores(sums)))

    @property
    def table(self) -> Matrix:
        """All children together: of each true kind in the row, the share said to be each kind; NaN where there is none."""
        summed = self.tables.sum(axis=0)
        of_kind = summed.sum(axis=1, keepdims=True)
        shares: Matrix = np.divide(summed, of_kind, out=np.full_like(summed, np.nan), where=of_kind > 0)
        return shares


def true_kinship(scene: Scene, child: int, candidate: int) -> Kinship | None:
    """What a candidate is in truth: bodies equal to the bit are duplicates, unless one is the other's parent; None: ambiguous.

    Only its files show that a body is a copy, so that is told by the fingerprints, which hold all values of so small a model.
    """
    if scene.judgement.clone[child, candidate]:
        return "parent" if scene.crowd.parents[child] == candidate else "duplicate"
    return scene.lineage.kinship(scene.crowd.models[child].id, scene.crowd.models[candidate].id)


def confusions(found: Sequence[Scene]) -> Confusions:
    """All ordered pairs of all crowds: merges are no children, and pairs whose kinship a merge makes ambiguous are left out."""
    owners: list[Owner] = []
    children: list[ZooModel] = []
    tables = []
    for scene in found:
        grown = forest(scene.judgement)
        for child in np.flatnonzero(~scene.crowd.merged):
            table = np.zeros((len(KINDS), len(KINDS) + 1))
            for candidate in range(len(scene.crowd)):
                true = None if candidate == child else true_kinship(scene, int(child), candidate)
                if true is not None:
                    said = kinship(grown, scene.judgement, int(child), candidate)
                    table[KINDS.index(true), KINDS.index(said) if said in KINDS else -1] += 1
            if table.any():
                owners.append(scene.owner(int(child)))
                children.append(scene.crowd.models[int(child)])
                tables.append(table / table.sum())
    return Confusions(tuple(owners), tuple(children), np.array(tables).reshape(-1, len(KINDS), len(KINDS) + 1))


def scores(sums: Matrix) -> Matrix:
    """F1 of each kind from flat tables [n, kinds * (kinds + 1)], shape [kinds, n]; NaN for a kind that isn't there."""
    tables = sums.reshape(-1, len(KINDS), len(KINDS) + 1)
    right = np.einsum("nkk->kn", tables[:, :, : len(KINDS)])
    true = tables.sum(axis=2).T
    said = tables[:, :, : len(KINDS)].sum(axis=1).T
    found: Matrix = np.divide(2 * right, true + said, out=np.full_like(right, np.nan), where=true > 0)
    return found


def figures(found: Confusions) -> list[Figure]:
    """The macro F1 beside that of each regime, and each kind's own."""
    hub = np.array([is_hub(child) for child in found.children], dtype=bool)
    beside = {"first regime": found.sums(~hub).value, "second regime": found.sums(hub).value}
    each = scores(found.tables.sum(axis=0).reshape(1, -1))[:, 0]
    told = ", ".join(f"{kind} {score:.2f}" for kind, score in zip(KINDS, each, strict=True) if np.isfinite(score))
    return [
        figure(
            "judge.kinship_f1",
            found.sums(),
            ">= .75",
            beside,
            note=f"macro over the kinds, children weigh alike: {told}",
        )
    ]


def as_csv(found: Confusions) -> str:
    """The table of confusions as text: true kinds in the rows, what was said in the columns."""
    lines = [",".join(["true kinship", *(f"said {kind}" for kind in KINDS), f"said {OTHER}"])]
    for kind, row in zip(KINDS, found.table, strict=True):
        lines.append(",".join([kind, *("" if np.isnan(value) else f"{value:.4f}" for value in row)]))
    return "\n".join(lines) + "\n"
