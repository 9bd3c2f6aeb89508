"""What is the same to the bit: duplicates, the share of equal values, and how relatives vote where two models differ.

Stored in sixteen bits, a lightly fine-tuned model leaves most of its parent's values untouched, and each value is a site
at which a third model agrees with one of the two or with neither.
"""

from __future__ import annotations

import numpy as np

from hub_lineage.family import Family, Matrix, ranks
from hub_lineage.types import Floats

_DISCRETE = 0.02  # a family in which fewer values are equal has no sites to speak of


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]."""
    count, rounded = len(family), family.rounded
    same = np.array([(rounded[k] == rounded).mean(axis=1) for k in range(count)])
    different = 1.0 - same
    np.fill_diagonal(different, np.inf)
    nearest = np.maximum(different.min(axis=1, keepdims=True), 1e-6)
    found = {
        "equal_share": same,
        "log_times_fewest_different": np.log(np.maximum(np.where(np.isfinite(different), different, 1.0), 1e-6) / nearest),
        "difference_rank": ranks(different),
    }
    discrete = count > 2 and bool(np.median(same[~np.eye(count, dtype=bool)]) > _DISCRETE)
    votes = _votes(family.sites) if discrete else np.full((count, count), 0.5)
    excess = _excess(1.0 - same) if discrete else np.zeros((count, count))
    return found | {"votes_for_child": votes, "detour": excess}


def _excess(different: Matrix) -> Matrix:
    """How much longer the way from c to a third model is by p than straight, in differing values, shape [K, K].

    As a share of c's own difference from p, averaged over third models o; 0 where p lies on every way, up to sites that
    changed twice.
    """
    count = len(different)
    found = np.zeros((count, count))
    for p in range(count):
        detour = different[:, [p]] + different[[p], :] - different  # [c, o]
        shorter = np.maximum(np.minimum(different[:, [p]], different[[p], :]), 1e-9)
        share = detour / shorter / 2
        share[:, p] = 0.0
        np.fill_diagonal(share, 0.0)
        found[:, p] = share.sum(axis=1) / max(count - 2, 1)
    return found


def _votes(sites: Floats) -> Matrix:
    """Over the sites where c and s differ: the share at which third models side with c, shape [K, K].

    A third model's say is weighted by the fourth power of how often it agrees with either.
    """
    count, length = sites.shape
    equal = np.stack([(sites == sites[k]) for k in range(count)])  # [k, o, site]
    pairs = equal.sum(axis=2).astype(np.float64)
    votes = np.full((count, count), 0.5)
    for c in range(count):
        agree = equal[c].astype(np.float32)
        triples = (agree @ agree.T).astype(np.float64)  # [o, s]: c, o and s all equal
        with_c = pairs[c][:, None] - triples
        with_s = pairs - triples
        either = with_c + with_s
        weight = (either / length) ** 4
        weight[c, :] = 0.0
        np.fill_diagonal(weight, 0.0)
        share = np.divide(with_c, either, out=np.full_like(either, 0.5), where=either > 0)
        total = weight.sum(axis=0)
        votes[c] = np.divide((weight * share).sum(axis=0), total, out=np.full(count, 0.5), where=total > 0)
    return votes
