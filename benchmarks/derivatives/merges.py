"""Merges solved: sets of parents and coefficients, for every method in three storages, among two hundred candidates.

Candidates are trained models of two roots, their fine-tunes, descendants and other revisions, and for some merges a sister
of other shares. Gates were chosen on the split ``choosing`` with :data:`CHOOSING`, figures are of ``reporting`` with
:data:`REPORTING`. ``python -m benchmarks.derivatives.merges`` prints them; ``rows()`` gives them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from benchmarks.derivatives import merging, prints
from benchmarks.derivatives.crowd import Kin, crowd
from benchmarks.derivatives.merging import Weights
from benchmarks.derivatives.recipes import Split
from benchmarks.results_file import Figure
from hub_lineage.derivation import merge
from hub_lineage.derivation.merge import Attempt
from hub_lineage.types import Model
from hub_lineage.unmerge import taken_apart

CANDIDATES: Final = 200
CHOOSING: Final = 4
REPORTING: Final = 9
NETS: Final = ("llama", "convnext")
STORAGES: Final = ("F32", "BF16", "F16")
METHODS: Final = (
    "linear",
    "linear, not summing to 1",
    "linear, by layer",
    "0.6 and 0.4 of strangers",
    "task arithmetic",
    "slerp",
    "slerp of strangers",
    "model stock",
    "ties",
    "dare linear",
    "dare ties",
    "passthrough",
)
_TURNS = 2  # merges of each method, storage and architecture
_DRAWS = 20  # of fine-tunes of one base
_PLAIN = 40  # trained models of each architecture that are no merge
_FAR = 0.006  # of a fine-tune's norm, by which it has to differ from its base to be told from it in bfloat16

Name = tuple[str, str | None]
Shares = dict[Name, float]


@dataclass(frozen=True, eq=False)
class Case:
    """A merge with the truth: its parents, with their coefficients where the method has one for each, or those of each tensor."""

    method: str
    net: str
    storage: str
    child: Model
    parents: frozenset[Name]
    coefficients: Shares = field(default_factory=dict)
    by_tensor: dict[str, Shares] = field(default_factory=dict)
    sister: Model | None = None


@dataclass(frozen=True, eq=False)
class Solved:
    """What was found of one case: the set of parents right or not, and the mean absolute error of the coefficients."""

    case: Case
    right: bool
    error: float | None
    found: str
    seconds: float


def rows(split: Split = "reporting", nets: Sequence[str] = NETS) -> list[Figure]:
    """``merge.parents`` and ``merge.coefficient_error``, with what is claimed falsely beside them."""
    chosen = [case for net in nets for case in cases(split, net)]
    solved = [_solve(split, case) for case in chosen]
    return [_parents(solved), _errors(solved), *_absent(split, nets, chosen)]


def cases(split: Split, net: str) -> Iterator[Case]:
    """Merges of random models of one architecture: a base and its fine-tunes, or models of two families."""
    drawn = np.random.default_rng([CHOOSING if split == "choosing" else REPORTING, len(net)])
    for method in METHODS:
        for storage in STORAGES:
            for turn in range(_TURNS):
                yield _case((split, net), method, storage, turn, drawn)


def _case(asked: tuple[Split, str], method: str, storage: str, turn: int, drawn: np.random.Generator) -> Case:
    split, net = asked
    base, tuned, stranger = _picked(split, net, 2 + int(drawn.integers(3)), drawn)
    names, held = [_name(one) for one in tuned], [_weights(one) for one in tuned]
    name = f"{method} {storage} {turn}"
    told: Shares = {}
    if method in {"linear", "linear, not summing to 1"}:
        told = dict(zip(names, _shares(len(tuned), drawn, 1.0 if method == "linear" else 1.15), strict=True))
        made = merging.linear(held, list(told.values()))
    elif method == "linear, by layer":
        return _by_layer(net, name, storage, tuned[:2], drawn)
    elif method == "0.6 and 0.4 of strangers":
        told = {names[0]: 0.6, _name(stranger): 0.4}
        made = merging.linear([held[0], _weights(stranger)], [0.6, 0.4])
    elif method == "task arithmetic":
        scales = [float(each) for each in np.round(drawn.uniform(0.3, 0.9, len(tuned)), 2)]
        left = round(1 - sum(scales), 2)
        told = dict(zip(names, scales, strict=True)) | ({_name(base): left} if left else {})
        made = merging.task_arithmetic(_weights(base), held, scales)
    elif method in {"slerp", "slerp of strangers"}:
        place, other = float(np.round(drawn.uniform(0.15, 0.85), 2)), tuned[1] if method == "slerp" else stranger
        told = {names[0]: 1 - place, _name(other): place}
        made = merging.slerp(held[0], _weights(other), place)
    elif method == "passthrough":
        names, made = names[:2], merging.swapped(held[:2])
    else:
        names.append(_name(base))
        made = _by_base(method, _weights(base), held, drawn)
    sister = None
    if turn % 2 and method in {"linear", "slerp"}:  # another merge of the same, as beside many on the Hub
        sister = prints.child(f"sister of {name}", merging.linear(held[:2], [0.625, 0.375]), dtype=storage)
    return Case(method, net, storage, prints.child(name, made, dtype=storage), frozenset(told or names), told, {}, sister)


def _shares(count: int, drawn: np.random.Generator, total: float) -> list[float]:
    shares = np.round(np.maximum(drawn.dirichlet([4.0] * count), 0.05) * total, 2)
    shares[0] += round(total - float(shares.sum()), 2)
    return [round(float(share), 2) for share in shares]


def _by_layer(net: str, name: str, storage: str, pair: Sequence[Kin], drawn: np.random.Generator) -> Case:
    """A gradient merge: the share of the first goes from one end to the other, tensor by tensor."""
    held = [_weights(one) for one in pair]
    start, end = drawn.uniform(0.1, 0.4), drawn.uniform(0.6, 0.9)
    places = dict(zip(held[0], np.round(np.linspace(start, end, len(held[0])), 3).tolist(), strict=True))
    made = {key: np.float32(s) * held[0][key] + np.float32(1 - s) * held[1][key] for key, s in places.items()}
    one, other = map(_name, pair)
    truth: dict[str, Shares] = {key: {one: s, other: 1 - s} for key, s in places.items()}
    child = prints.child(name, made, dtype=storage)
    return Case("linear, by layer", net, storage, child, frozenset({one, other}), {}, truth)


def _by_base(method: str, base: Weights, held: Sequence[Weights], drawn: np.random.Generator) -> Weights:
    density, seed = float(drawn.choice([0.2, 0.35, 0.5, 0.7])), int(drawn.integers(1 << 30))
    if method == "model stock":
        return merging.model_stock(base, held)
    if method == "ties":
        weights = [1.0, 0.6, 0.8, 0.5][: len(held)] if seed % 2 else None
        return merging.ties(base, held, density, 1.0 if seed % 3 else 0.7, weights)
    return merging.dare(base, held, density, [0.8, 0.6, 0.5, 0.4][: len(held)], elect=method == "dare ties", seed=seed)


def _picked(split: Split, net: str, count: int, drawn: np.random.Generator) -> tuple[Kin, list[Kin], Kin]:
    """A base with fine-tunes of it that went some way, not against one another, and a model of another root.

    Fine-tunes that go against one another have no stock: beyond the base lies what is opposite to all of them.
    """
    everyone = crowd(split, net, CANDIDATES)
    bases = [one for one in everyone if len(_far(split, net, one.made.id)) > count]
    base = bases[int(drawn.integers(len(bases)))]
    tuned = _far(split, net, base.made.id)
    tried = [[tuned[k] for k in drawn.permutation(len(tuned))[:count]] for _ in range(_DRAWS)]
    chosen = next((each for each in tried if not _against(split, net, base, each)), tried[0])
    strangers = [one for one in everyone if one.made.root != base.made.root]
    by_id = {one.made.id: one for one in everyone}
    return base, [by_id[each] for each in chosen], strangers[int(drawn.integers(len(strangers)))]


def _against(split: Split, net: str, base: Kin, chosen: Sequence[str]) -> bool:
    by_id = {one.made.id: one for one in crowd(split, net, CANDIDATES)}
    away = np.stack([_flat(by_id[each]) - _flat(base) for each in chosen])
    inner = away @ away.T
    return bool(inner.sum() < np.trace(inner))


@cache
def _far(split: Split, net: str, base: str) -> tuple[str, ...]:
    """The fine-tunes of a model that can be told from it by the coarsest storage; other revisions of itself are none."""
    everyone = crowd(split, net, CANDIDATES)
    above = next(one for one in everyone if one.made.id == base)
    own = _flat(above)
    children = [one for one in everyone if one.made.parent == base and one.name != above.name]
    return tuple(one.made.id for one in children if np.linalg.norm(_flat(one) - own) >= _FAR * np.linalg.norm(own))


def _flat(one: Kin) -> merging.Array:
    held = _weights(one)
    flat: merging.Array = np.concatenate([held[name].ravel() for name in sorted(held) if held[name].ndim > 1])
    return flat


@cache
def _weights(one: Kin) -> Weights:
    return prints.weights(one.made)


def _name(one: Kin) -> Name:
    return one.name, one.revision


@cache
def known(split: Split, net: str, count: int = CANDIDATES) -> tuple[Model, ...]:
    """The candidates as a registry would keep them."""
    return tuple(Model(one.name, one.revision, prints.fingerprint(one.made)) for one in crowd(split, net, count))


def _solve(split: Split, case: Case) -> Solved:
    candidates = (*known(split, case.net), *((case.sister,) if case.sister else ()))
    began = time.process_time()
    found = taken_apart(case.child, candidates)
    seconds = time.process_time() - began
    if found.kind != "merge":
        return Solved(case, False, None, found.kind, seconds)
    right = {(parent.id, parent.revision) for parent in found.parents} == case.parents
    told = {f"{parent.id}@{parent.revision}": parent.coefficient or 0.0 for parent in found.parents}
    return Solved(case, right, _error(case, found) if right else None, f"{found.method} {told}", seconds)


def _error(case: Case, found: Attempt) -> float | None:
    """The mean absolute error over all coefficients that the truth has."""
    if case.coefficients:
        told = {(parent.id, parent.revision): parent.coefficient or 0.0 for parent in found.parents}
        return float(np.mean([abs(told[name] - value) for name, value in case.coefficients.items()]))
    if not case.by_tensor or found.derivation is None:
        return None
    names = [(parent.id, parent.revision) for parent in found.parents]
    errors = [
        abs(weight - case.by_tensor[layer.tensor][name])
        for layer in found.derivation.layers
        for name, (_, weight) in zip(names, layer.origins, strict=True)
    ]
    return float(np.mean(errors))


def _parents(solved: Sequence[Solved]) -> Figure:
    beside = {part: _share(solved, part) for part in (*METHODS, *STORAGES)}
    wrong = [one for one in solved if not one.right]
    for one in wrong:
        parents = ", ".join(f"{name}@{revision}" for name, revision in sorted(one.case.parents))
        print(f"{one.case.net}, {one.case.method}, {one.case.storage}, of {parents}: {one.found}", file=sys.stderr)
    slowest = max(one.seconds for one in solved)
    note = f"{len(solved)} merges among {CANDIDATES} candidates, {slowest:.1f} s of a core at the most; wrong: {len(wrong)}"
    return Figure("merge.parents", float(np.mean([one.right for one in solved])), "share", ">= .95", beside, note)


def _share(solved: Sequence[Solved], part: str) -> float:
    return float(np.mean([one.right for one in solved if part in {one.case.method, one.case.storage}]))


def _errors(solved: Sequence[Solved]) -> Figure:
    """Of linear merges and SLERP, where the set of parents is right; task arithmetic is a linear merge too."""
    counted = [(one.case.method, one.error) for one in solved if one.error is not None]
    errors = [error for _, error in counted]
    beside = {name: float(np.mean([error for method, error in counted if method == name])) for name, _ in counted}
    beside["worst"] = max(errors)
    note = f"{len(counted)} merges; where it differs by layer, of each tensor's own"
    return Figure("merge.coefficient_error", float(np.mean(errors)), "mean absolute error", "<= .01", beside, note)


def _absent(split: Split, nets: Sequence[str], chosen: Sequence[Case]) -> list[Figure]:
    """Claims of merges where there is none: trained models; and merges of which one parent is missing, and what is said."""
    plain, kinds = list[str](), list[str]()
    for net in nets:
        models = known(split, net)
        some = models[:: max(1, len(models) // _PLAIN)]
        plain += [f"{model.id}@{model.revision}" for model in some if merge.explain(model, models) is not None]
        for case in chosen:
            if case.net == net and case.method.startswith(("linear", "0.6", "slerp")) and case.storage != "F16":
                gone = min(case.parents)
                found = taken_apart(case.child, [m for m in models if (m.id, m.revision) != gone])
                again = found.kind == "merge" and gone[0] in {parent.id for parent in found.parents}
                kinds.append("merge, of another revision" if again else found.kind)
    shares = {kind: kinds.count(kind) / len(kinds) for kind in sorted(set(kinds))}
    claimed = shares.get("merge", 0.0)
    tried = len(nets) * _PLAIN
    return [
        Figure("merge.false", len(plain) / tried, "share", "", {}, f"{tried} trained models; claimed: {', '.join(plain)}"),
        Figure("merge.one_missing", claimed, "share claimed", "", shares, "linear and SLERP, one parent unknown"),
    ]


if __name__ == "__main__":
    asked: Split = "choosing" if "choosing" in sys.argv else "reporting"
    for figure in rows(asked, [word for word in sys.argv[1:] if word not in {"choosing", "reporting"}] or NETS):
        print(figure)
