"""Disguised models traced to their parents: ``disguise.parent_first`` and ``disguise.false``.

Every child is a file of its own, asked about by ``trace(depth="full")`` among what it was made of, grandparents, siblings,
descendants and strangers of its architecture, in each disguise alone and in all at once: disguised copies of trained models and,
in a row of their own, fine-tunes that were disguised, beside what the judge makes of the same fine-tunes undisguised. Gates
were chosen on the training and validation zoos (seeds 11, 12 and 21) and on the split ``choosing``; figures are of the split
``reporting`` and of the test part of the grown zoo, other networks trained on other data.
``python -m benchmarks.derivatives.disguises [choosing]`` prints rows and failures.
"""

from __future__ import annotations

import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.derivatives.disguised import DISGUISES
from benchmarks.derivatives.processes import spread
from benchmarks.derivatives.recipes import Split
from benchmarks.derivatives.specimens import Specimen, by_net, disguised, of_benchmark, of_zoo, weights
from benchmarks.derivatives.wires import Array
from benchmarks.results_file import Figure
from hub_lineage.disguise import Alignment, find
from hub_lineage.trace import trace
from hub_lineage.types import Trace

PAIRS: Final = 2000
TIMES: Final = 2
"""Copies and children of each architecture that are asked about in every disguise."""
_KIN, _STRANGERS = 8, 4
_KINSHIP = 0.5  # probability from which what comes first is said to be kin


@dataclass(frozen=True)
class Outcome:
    """One disguised model among candidates: what came first, and whether it is what it was made of."""

    child: Specimen
    word: str
    first: str
    right: bool
    stated: bool  # whether it is called the parent, or a duplicate, too


def rows(split: Split = "reporting") -> list[Figure]:
    """The rows of disguises, the lowest one first; failures are printed as they come."""
    everyone = specimens(split)
    words = tuple(DISGUISES)
    copied = asked([(*one, words) for one in copies(everyone, TIMES)])
    tuned = asked([(*one, ("none", "all")) for one in children(everyone, TIMES)])
    for one in (*copied, *tuned):
        if not one.right:
            print(f"{one.word}: {one.child.id} ({one.child.net}, of {one.child.parent}): {one.first} first", file=sys.stderr)
    each = [_row(word, copied) for word in words]
    lowest = min(each, key=lambda row: row.value)
    note = f"the lowest of {len(each)} disguises, {lowest.id.rpartition('.')[2]}; {lowest.note}"
    return [replace(lowest, id="disguise.parent_first", note=note), *each, _of_tuned(tuned), false(everyone, PAIRS)]


def specimens(split: Split) -> list[Specimen]:
    """The models of a split, of this benchmark and of the grown zoo."""
    return [*of_benchmark(split), *of_zoo("grown", ["test" if split == "reporting" else "validation"])]


def _row(word: str, outcomes: Sequence[Outcome]) -> Figure:
    """Of models in one disguise the share that is traced to the model that was disguised."""
    mine = [one for one in outcomes if one.word == word]
    beside = {"called a duplicate or a child": _share(one.stated for one in mine)}
    name = f"disguise.parent_first.{word.replace(' ', '_')}"
    return Figure(name, _share(one.right for one in mine), "of models", ">= .90", beside, f"{len(mine)} disguised models")


def _of_tuned(outcomes: Sequence[Outcome]) -> Figure:
    """Fine-tunes in all disguises, where the judge must tell the parent from its kin besides, beside the same undisguised."""
    plain, hidden = ([one for one in outcomes if one.word == word] for word in ("none", "all"))
    told = {one.child.id for one in plain if one.right}
    beside = {
        "undisguised": _share(one.right for one in plain),
        "of those told undisguised": _share(one.right for one in hidden if one.child.id in told),
        "called a child": _share(one.stated for one in hidden),
        "called a child, undisguised": _share(one.stated for one in plain),
    }
    note = f"{len(hidden)} fine-tunes, trained on and then disguised in every way"
    return Figure("disguise.tuned_parent_first", _share(one.right for one in hidden), "of children", "", beside, note)


def _share(found: Iterable[bool]) -> float:
    return float(np.mean([float(one) for one in found]))


def false(everyone: Sequence[Specimen], pairs: int) -> Figure:
    """Pairs of unrelated models claimed as kin, one of each in all disguises."""
    claims = [(child, other) for child, other, laid in strangers(everyone, pairs) if laid is not None]
    for child, other in claims:
        print(f"claimed: {child.id} of {other.id} ({child.net})", file=sys.stderr)
    return Figure("disguise.false", len(claims) / pairs, f"of {pairs:,} pairs of unrelated models", "<= .002")


Question = tuple[Specimen, Specimen, list[Specimen]]
"""A model, what it was made of, and all candidates."""


def children(everyone: Sequence[Specimen], times: int, seed: int = 0) -> Iterator[Question]:
    """Fine-tunes of known models, some of each architecture."""
    known = {one.id: one for one in everyone}
    tuned = [one for one in everyone if one.parent in known and not one.mixed]
    for child in _drawn(tuned, times, seed):
        parent = known[str(child.parent)]
        yield child, parent, _crowd(child, parent, everyone, seed)


def copies(everyone: Sequence[Specimen], times: int, seed: int = 0) -> Iterator[Question]:
    """Models that stand among their own candidates, some of each architecture."""
    for child in _drawn([one for one in everyone if not one.mixed], times, seed + 1):
        yield child, child, [child, *(one for one in _crowd(child, child, everyone, seed) if one.id != child.id)]


Asked = tuple[Specimen, Specimen, list[Specimen], tuple[str, ...]]
"""Such a question and the disguises in which it is asked."""


def asked(questions: Sequence[Asked]) -> list[Outcome]:
    """Every model in every disguise."""
    return [one for found in spread(_asked, questions) for one in found]


def _asked(question: Asked) -> list[Outcome]:
    child, right, candidates, words = question
    found = []
    for word in words:
        first = traced(disguised(child, word, zlib.crc32(child.id.encode())), candidates).candidates[0]
        is_right = first.id == str(right.path) and first.family_probability > _KINSHIP
        stated = is_right and first.kinship in {"parent", "duplicate"}
        found.append(Outcome(child, word, first.id, is_right, stated))
    return found


def traced(held: Mapping[str, Array], candidates: Sequence[Specimen]) -> Trace:
    """Weights asked about at depth ``full`` among some models."""
    from safetensors.numpy import save_file  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        save_file({name: np.ascontiguousarray(values) for name, values in held.items()}, Path(folder) / "model.safetensors")
        return trace(folder, among=[str(one.path) for one in candidates], depth="full")


def strangers(everyone: Sequence[Specimen], pairs: int, seed: int = 0) -> Iterator[tuple[Specimen, Specimen, Alignment | None]]:
    """Pairs of one architecture and two families, one of them in all disguises, laid upon one another."""
    random = np.random.default_rng(seed)
    plain = [one for one in everyone if not one.twin and not one.mixed]
    groups = [group for group in by_net(plain).values() if len({one.family for one in group}) > 1]
    for number in range(pairs):
        group = groups[number % len(groups)]
        child = group[random.integers(len(group))]
        others = [one for one in group if one.family != child.family]
        other = others[random.integers(len(others))]
        yield child, other, find(list(disguised(child, "all", number).items()), list(weights(other).items()))


def _drawn(wanted: Sequence[Specimen], times: int, seed: int) -> Iterator[Specimen]:
    for net, group in by_net(wanted).items():
        random = np.random.default_rng([seed, zlib.crc32(net.encode())])
        yield from (group[place] for place in random.permutation(len(group))[:times])


def _crowd(child: Specimen, parent: Specimen, everyone: Sequence[Specimen], seed: int) -> list[Specimen]:
    """The parent, its own parent, siblings, descendants and other kin of the child, and strangers of its architecture."""
    random = np.random.default_rng([seed, zlib.crc32(child.id.encode())])
    alike = [one for one in everyone if one.net == child.net and one.id not in {child.id, parent.id}]
    near = [one for one in alike if one.id == parent.parent or one.parent in {child.id, parent.id}]
    kin = [one for one in alike if one.family == child.family and one not in near]
    others = [one for one in alike if one.family != child.family]
    chosen = [[some[i] for i in random.permutation(len(some))] for some in (near, kin, others)]
    return [parent, *(chosen[0] + chosen[1])[:_KIN], *chosen[2][:_STRANGERS]]


if __name__ == "__main__":
    for figure in rows("choosing" if "choosing" in sys.argv[1:] else "reporting"):
        print(figure)
