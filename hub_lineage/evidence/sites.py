"""Site patterns: what relatives hold at the discrete places where two models differ.

Stored in few bits, a lightly trained model leaves most of its parent's values untouched, so every sampled value is a site
with few states, as in a sequence. A change is made once: its model's descendants hold it and nobody else does. So at the
sites where a child differs from its parent, the parent holds the commoner state and seldom one of its own (parsimony).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hub_lineage.family import Family, Matrix
from hub_lineage.read import dtypes

_DISCRETE = 0.02  # a family in which fewer values are equal has no sites to speak of
_SIGNED: dict[int, type[np.signedinteger]] = {8: np.int8, 16: np.int16, 32: np.int32}
_NAMES = ("commoner", "candidate_private", "votes_of_all", "votes_slow", "single_steps")

Codes = NDArray[np.signedinteger]
Counts = NDArray[np.int16]


def cues(family: Family) -> dict[str, Matrix]:
    """Figures for every ordered pair, child in the row and candidate in the column, shapes [K, K]; 0 without sites.

    Over the sites where the two differ: ``commoner``, how much oftener the candidate's value is the one that more models
    hold than the child's; ``candidate_private``, how many values the candidate alone holds, for each of these sites;
    ``votes_of_all``, the share of third models' agreements with either that are with the child, and ``votes_slow`` the same
    at sites that changed once, those of two states in the whole family; ``single_steps``, the share at which the two
    values are neighbours in the dtype.
    """
    held = _codes(family)
    count, total = held.shape
    holders, same = _holders(held)
    if count < 3 or not np.median(same[~np.eye(count, dtype=bool)]) > _DISCRETE * total:
        return dict.fromkeys(_NAMES, np.zeros((count, count)))
    different = np.maximum(total - same, 1.0)
    slow = (1.0 / holders).sum(axis=0).round() == 2
    varied = (holders < count).any(axis=0)
    held, holders, slow = held[:, varied], holders[:, varied], slow[varied]
    commoner, single, with_child, slow_with_child = np.zeros((4, count, count))
    for c in range(count):
        commoner[c] = np.count_nonzero(holders > holders[c], axis=1)
        single[c] = np.count_nonzero(np.abs(held - held[c]) == 1, axis=1)
        others = (holders[c] - 1).astype(np.float32)  # beside c; whoever differs from c there is none of them
        apart = (held != held[c]).astype(np.float32)  # sums of whole numbers: exact in single precision too
        with_child[c], slow_with_child[c] = (apart @ np.stack([others, others * slow], axis=1)).T
    return {
        "commoner": (commoner - commoner.T) / different,
        "candidate_private": np.count_nonzero(holders == 1, axis=1) / different,
        "votes_of_all": _share(with_child),
        "votes_slow": _share(slow_with_child),
        "single_steps": single / different,
    }


def _codes(family: Family) -> Codes:
    """The values at the sites as whole numbers, shape [K, N]; neighbours in the coarsest dtype of the family differ by 1.

    In formats of less than a byte, equal values have equal numbers and no more is sure.
    """
    form = dtypes.FORMATS[family.coarsest]
    if form.bits not in (8, 16):
        form = dtypes.FORMATS["F32"]
    signed = _SIGNED[form.bits]
    bits = family.sites.astype(form.numpy).view(signed)
    size: Codes = bits & signed(np.iinfo(signed).max)  # formats store sign and size, and know two zeros
    return np.where(bits < 0, -size, size)


def _holders(held: Codes) -> tuple[Counts, Matrix]:
    """How many models hold each model's value at each site, shape [K, N], and sites at which two are equal, [K, K]."""
    count, total = held.shape
    holders = np.ones((count, total), dtype=np.int16)
    same = np.full((count, count), float(total))
    for k in range(count - 1):
        equal = held[k + 1 :] == held[k]
        holders[k + 1 :] += equal
        holders[k] += np.add.reduce(equal, axis=0, dtype=np.int16)
        same[k, k + 1 :] = same[k + 1 :, k] = np.count_nonzero(equal, axis=1)
    return holders, same


def _share(with_child: Matrix) -> Matrix:
    """Agreements with the child among those with child or candidate; a half where there are none."""
    either = with_child + with_child.T
    share: Matrix = np.divide(with_child, either, out=np.full_like(either, 0.5), where=either > 0)
    return share
