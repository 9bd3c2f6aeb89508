"""Judges that were fitted without one kind of network or one regime, measured on that alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.judgement.places import JUDGE, PLACES, Seen, ranked_by
from benchmarks.judgement.reliability import Odds, leading, stands_in
from benchmarks.judgement.scenes import Scene, orphans
from benchmarks.judgement.sums import Owner, Sums, figure, mean_of_ratios, total
from benchmarks.ranking import nearest_cosine
from benchmarks.results_file import Figure
from hub_lineage.judge import Judge

ENOUGH = 4
"""So many kinds of architecture are left out in turn, at the least."""
BARS = {"first": ">= .70, aim .78", "three": ">= .92"}


def architectures(found: Sequence[Scene], judges: Mapping[str, Judge]) -> list[Figure]:
    """The parent first and among three on kinds of network that a judge never saw, the mean over the kinds.

    ``judges`` holds by kind the judge that was fitted without it. First regime alone.
    """
    by_kind = {kind: cases for kind, fitted in judges.items() if (cases := _seen(found, kind, fitted)).first_regime.any()}
    if not by_kind:
        return []
    short = "" if len(by_kind) >= ENOUGH else f"; fewer than the {ENOUGH} kinds wanted"
    rows = []
    for place, word in zip(PLACES, ("parent_first", "first_three"), strict=True):
        each = {kind: cases.sums(cases.first_regime, place=place).value for kind, cases in by_kind.items()}
        beside = {"nearest cosine": _mean(by_kind, "nearest cosine", place).value}
        note = f"first regime; {', '.join(f'{kind} {value:.3f}' for kind, value in each.items())}{short}"
        sums = _mean(by_kind, JUDGE, place)
        rows.append(figure(f"judge.{word}_new_architecture", sums, BARS[place], beside, note=note))
    return rows


def regimes(found: Sequence[Scene], judges: Mapping[str, Judge]) -> dict[str, Odds]:
    """By regime the odds of the leading candidate, under the judge that was fitted without it."""
    odds = {}
    for regime, fitted in judges.items():
        anew = [scene.under(fitted) for scene in found if any(model.regime == regime for model in scene.crowd.models)]
        gone = [orphan for scene in anew for orphan in orphans(scene, fitted, regime)]
        odds[regime] = leading(anew, gone).of(stands_in(regime))
    return {regime: found_odds for regime, found_odds in odds.items() if found_odds.owners}


def _seen(found: Sequence[Scene], kind: str, fitted: Judge) -> Seen:
    anew = [scene.under(fitted) for scene in found if scene.crowd.models[0].kind == kind]
    told = [{JUDGE: scene.judgement.parent, "nearest cosine": nearest_cosine(scene.crowd.family)} for scene in anew]
    return ranked_by(anew, told)


def _mean(by_kind: Mapping[str, Seen], rule: str, place: str) -> Sums:
    """The mean over kinds of the share whose parent comes there: two columns a kind, what is right and what there is."""
    owners: list[Owner] = []
    blocks = []
    for k, cases in enumerate(by_kind.values()):
        at = np.flatnonzero(cases.first_regime)
        block = np.zeros((len(at), 2 * len(by_kind)))
        block[:, 2 * k] = cases.places[rule][place][at]
        block[:, 2 * k + 1] = 1.0
        owners += [cases.owners[int(i)] for i in at]
        blocks.append(block)
    return total(owners, np.concatenate(blocks), mean_of_ratios)
