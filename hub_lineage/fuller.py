"""What depth ``full`` adds: who is read again, and how a sample of all and most weights of a few make one judgement.

A sample finds who the kin are. The child and its nearest kin, read again, are judged by themselves; how likely it is that
the parent is one of those that were not read again, the sample alone has told, and that share stays theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hub_lineage import phylogeny, report
from hub_lineage.candidates import copies_last
from hub_lineage.fingerprint import is_whole
from hub_lineage.judge import Judgement, Mask
from hub_lineage.types import Candidate
from hub_lineage.weighing import Weighed

Told = TypeVar("Told", np.float64, np.bool_)
MOST = 24
"""Kin of a child that are read again at the most."""


def nearest(quick: Weighed) -> list[int]:
    """The places of the child, which is model 0, and of its nearest kin, further copies of one body after all else.

    None at all where the child has no kin, or where its fingerprint holds all weights already: so do theirs then.
    """
    if is_whole(quick.models[0].fingerprint):
        return []
    likeness, clone = quick.family.cosine[0], quick.alone.clone.argmax(axis=1)
    kin = sorted((int(k) for k in np.flatnonzero(quick.alone.kin[0]) if k), key=lambda k: (-likeness[k], k))
    chosen = [kin[place] for place in copies_last([int(clone[k]) for k in kin])[:MOST]]
    return [0, *chosen] if chosen else []


@dataclass(frozen=True, eq=False)
class Fuller:
    """Some models of a family, the child first, judged by a fuller reading; ``members`` [M] are their places in it."""

    members: NDArray[np.intp]
    weighed: Weighed

    def joined(self, quick: Weighed) -> Weighed:
        """The whole family, its members judged by the fuller reading and all others as before."""
        alone = self._judgement(quick.alone, self.weighed.alone)
        return replace(quick, alone=alone, judgement=self._judgement(quick.judgement, self.weighed.judgement))

    def candidates(self, joined: Weighed, ruled_out: int) -> tuple[Candidate, ...]:
        """The members that are candidates, with the evidence of the fuller reading; ``ruled_out`` others were compared."""
        found = self.weighed
        lines = joined.lines()
        return report.candidates(
            found.models,
            found.family,
            found.judgement,
            phylogeny.forest(found.judgement),
            len(self.members),
            ruled_out=ruled_out,
            soft=[lines[k] for k in self.members],
        )

    def _judgement(self, quick: Judgement, full: Judgement) -> Judgement:
        place = np.ix_(self.members, self.members)
        apart = np.ones(len(quick.none), dtype=bool)
        apart[self.members] = False
        kin = self._regrouped(quick.kin, full.kin)
        left = 1.0 - quick.parent[self.members][:, apart].sum(axis=1)
        parent, none = quick.parent.copy(), quick.none.copy()
        parent[place], none[self.members] = left[:, None] * full.parent, left * full.none
        none += np.where(kin, 0.0, parent).sum(axis=1)  # odds of what turns out to be no kin
        return replace(
            full,
            parent=np.where(kin, parent, 0.0),
            none=none,
            kin=kin,
            clone=self._regrouped(quick.clone, full.clone),
            cues={name: _over(value, place, full.cues.get(name)) for name, value in quick.cues.items()},
            kinds=None if quick.kinds is None else _over(quick.kinds, place, full.kinds),
            parts=None if quick.parts is None else _over(quick.parts, place, full.parts) & ~kin,
        )

    def _regrouped(self, quick: Mask, full: Mask) -> Mask:
        """Who belongs together, [K, K]: members as told anew, any other with the first of those that it was with."""
        before, after = quick.argmax(axis=1), self.members[full.argmax(axis=1)]
        label = before.copy()
        for member, group in zip(self.members[::-1], after[::-1], strict=True):
            label[before == before[member]] = group
        label[self.members] = after
        together: Mask = label[:, None] == label[None, :]
        return together


def _over(table: NDArray[Told], place: tuple[NDArray[np.intp], ...], told: NDArray[Told] | None) -> NDArray[Told]:
    """A table with what was told anew in its place."""
    found = table.copy()
    if told is not None:
        found[place] = told
    return found


def with_evidence(listed: Sequence[Candidate], fuller: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Candidates with the evidence of a fuller reading, where there is one."""
    told = {(one.id, one.revision): one for one in fuller}
    figures = [told.get((one.id, one.revision), one) for one in listed]
    return tuple(
        replace(one, family_probability=more.family_probability, evidence=more.evidence, layers=more.layers)
        for one, more in zip(listed, figures, strict=True)
    )
