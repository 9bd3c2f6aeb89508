"""A merge taken apart: read the model and its candidates, find who is in it and in what shares, and say what is left."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hub_lineage.candidates import shortlist
from hub_lineage.derivation import LEAST, hybrid, merge, stack
from hub_lineage.derivation.merge import Attempt
from hub_lineage.derivation.nouns import Layer
from hub_lineage.errors import RegistryError, UsageError
from hub_lineage.gathering import collect, opened, quiet, read_again, read_all, read_model, total
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.registry import Registry, default_folder
from hub_lineage.types import SCHEMA, Cost, Model, Null, Parent, Progress, Unread

MOST_CANDIDATES = 1000
"""Models of a registry that are looked at, the likest first."""
_FULLY = 12  # models beside the child that depth full reads again

Depth = Literal["quick", "full"]


@dataclass(frozen=True, slots=True)
class Unmerged:
    """What a model is made of; :meth:`to_dict` is what ``--json`` prints.

    ``kind`` is ``merge`` where known models explain it to within rounding, ``incomplete`` where they explain much and some
    parent is missing, ``stack`` where it was cut, grown or repeated from blocks of one model, ``source`` where it is itself
    in a merge among the candidates, ``copy`` where one model has its weights, ``none`` where nothing speaks of a merge, and
    ``unknown`` where nothing can be compared. ``parents`` are then the nearest combination. ``unexplained`` is the squared
    norm of what is left over that of the difference from the nearest parent, beside what as many other candidates leave.
    """

    model: str
    revision: str | None
    kind: str
    method: str
    summary: str
    parents: tuple[Parent, ...]
    unexplained: float
    null: Null | None
    layers: tuple[Layer, ...]
    compared: int  # models of its architecture that were looked at
    unread: tuple[Unread, ...] = ()
    cost: Cost = field(default_factory=Cost)

    def to_dict(self) -> dict[str, Any]:
        """The object of schema ``hub-lineage/1``, of plain lists, dicts, numbers and words."""
        return {"schema": SCHEMA, **asdict(self)}


@dataclass(frozen=True, eq=False)
class _Read:
    subject: Model
    models: tuple[Model, ...]
    unread: tuple[Unread, ...]
    costs: tuple[Cost, ...]


def unmerge(
    model: str,
    *,
    among: Sequence[str] | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    hub: Hub | None = None,
    depth: Depth = "quick",
    budget: int = 200,
    progress: Progress | None = None,
) -> Unmerged:
    """What a model is a merge of: parents, coefficients over all and by tensor, with intervals, and what is left unexplained.

    Args:
        model: A Hub ID, ``ID@revision``, a pasted URL, or a local folder or file.
        among: The candidates, named likewise; without them the registry is searched, and the Hub where that holds few kin.
        registry: A registry or its folder; the default one where it is left out. Not opened where ``among`` is given.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        depth: ``quick``: a sample of every model. ``full``: the model and those that it is made of, or the nearest, once more.
        budget: Requests spent on finding candidates on the Hub at the most; 0 searches the registry alone.
        progress: Called as ``progress(step, done, total)``.

    Raises:
        LineageError: the model can't be read, or every candidate named can't; there is no such depth.
    """
    if depth not in {"quick", "full"}:
        raise UsageError(f"There is no depth {depth!r} here.", "Use --depth full, or leave --depth out for a quick answer.")
    began, tell = time.perf_counter(), progress or quiet
    read = _named(model, among, hub, tell) if among is not None else _found(model, registry, hub, budget, tell)
    tell("Taking it apart", 0, 0)
    found, costs = taken_apart(read.subject, read.models), list(read.costs)
    if depth == "full" and found.kind != "unknown":
        again, more = read_again([read.subject, *_nearest(read, found)], _places(read), hub, tell)
        tell("Taking it apart", 0, 0)
        fuller = taken_apart(again[0], again[1:])
        found, costs = fuller if fuller.kind != "unknown" else found, [*costs, *more]
    return _told(read, found, total(began, costs))


def taken_apart(subject: Model, models: Sequence[Model]) -> Attempt:
    """Weights that were added up or, where they weren't, tensors and blocks that were put together."""
    found = merge.attempt(subject, models)
    if found.kind in {"merge", "copy", "source"}:
        return found
    alike = _alike(subject, models)
    near = {id(model) for model in shortlist(subject.fingerprint, alike)[0]}
    strangers = {id(model) for model in alike} - near  # pairs of tensors are many, and such have none in common
    kin = [model for model in models if id(model) not in strangers]
    for way in (hybrid.explain, stack.explain):
        made = way(subject, kin)
        if made is not None and made.probability >= LEAST:
            kind: merge.Kind = "merge" if made.relation == "merge" else "stack"
            compared = found.compared or len(models)
            return Attempt(kind, made.method, made.parents, made.unexplained, made.null, made, compared)
    return found


def _named(model: str, among: Sequence[str], hub: Hub | None, tell: Progress) -> _Read:
    asked, named = parse_reference(model), [parse_reference(name) for name in among]
    with ExitStack() as stack:
        hub = opened(hub, (asked, *named), stack)
        tell(f"Reading {model}", 0, 0)
        source = open_source(asked, hub)
        subject = read_model(source)
        models, failed, costs = read_all(named, hub, tell)
    if failed and not models:
        raise next(iter(failed.values()))
    unread = tuple(Unread(name, error.code, error.message) for name, error in sorted(failed.items()))
    return _Read(subject, _others(subject, models), unread, (source.cost(), *costs))


def _found(model: str, registry: Registry | str | os.PathLike[str] | None, hub: Hub | None, budget: int, tell: Progress) -> _Read:
    """What a trace looks at, and many more models of a registry: a parent of little weight isn't near."""
    gathered = collect(model, None, registry, hub, declared=budget > 0, budget=budget, tell=tell)
    subject, found = gathered.subject, gathered.found
    errors = ((name, found.errors.get(name)) for name in found.unread)
    unread = tuple(Unread(name, error.code if error else "unreadable", error.message if error else "") for name, error in errors)
    return _Read(subject, _others(subject, [*found.known, *_registered(registry, subject)]), unread, gathered.costs)


def _registered(registry: Registry | str | os.PathLike[str] | None, subject: Model) -> list[Model]:
    """The models of a registry that are of the child's architecture, the likest first; none where there is no registry."""
    if isinstance(registry, Registry):
        return _likest(registry, subject)
    try:
        with Registry.open(Path(registry or default_folder())) as store:
            return _likest(store, subject)
    except RegistryError:
        return []  # where it was needed, the search before this one said so


def _likest(store: Registry, subject: Model) -> list[Model]:
    hits = store.search(subject.fingerprint, MOST_CANDIDATES)
    return [model for hit in hits if (model := store.get(hit.id, hit.revision)) is not None]


def _others(subject: Model, models: Sequence[Model]) -> tuple[Model, ...]:
    """Each model once, the child left out, in an order that doesn't depend on how they were found."""
    once = {(model.id, model.revision): model for model in models}
    once.pop((subject.id, subject.revision), None)
    return tuple(sorted(once.values(), key=lambda model: (model.id, model.revision or "")))


def _nearest(read: _Read, found: Attempt) -> list[Model]:
    """The models in the combination and, as far as there is room, those that are likest."""
    named = {(parent.id, parent.revision) for parent in found.parents}
    chosen = [model for model in read.models if (model.id, model.revision) in named]
    kin, rest = shortlist(read.subject.fingerprint, _alike(read.subject, read.models), _FULLY)
    chosen += [model for model in (*kin, *rest) if (model.id, model.revision) not in named]
    return chosen[: max(_FULLY, len(named))]


def _alike(subject: Model, models: Sequence[Model]) -> list[Model]:
    """Those of its architecture, of fingerprints by its scheme."""
    mine = subject.fingerprint
    return [m for m in models if (m.fingerprint.scheme, m.fingerprint.architecture) == (mine.scheme, mine.architecture)]


def _places(read: _Read) -> set[tuple[str, str | None]]:
    return {(model.id, model.revision) for model in (read.subject, *read.models)}


def _told(read: _Read, found: Attempt, cost: Cost) -> Unmerged:
    return Unmerged(
        model=read.subject.id,
        revision=read.subject.revision,
        kind=found.kind,
        method=found.method,
        summary=_summary(read.subject.id, found, len(read.models)),
        parents=found.parents,
        unexplained=found.unexplained,
        null=found.null,
        layers=found.derivation.layers if found.derivation else (),
        compared=found.compared,
        unread=read.unread,
        cost=cost,
    )


def _summary(name: str, found: Attempt, models: int) -> str:
    if found.derivation is not None:
        return found.derivation.summary
    if found.kind == "unknown":
        known = f"none of the {models} candidates can be compared with it" if models else "no other model is known here"
        return f"Nothing can be said of what {name} is made of: {known}."
    if found.kind == "copy":
        return f"{name} has the weights of {found.parents[0].id}, to within rounding."
    left, by_others = f"{found.unexplained:.2g}", f"{found.null.mean:.2g}" if found.null else "?"
    beside = f"{left} of its difference from the nearest is left unexplained, where as many others leave {by_others}"
    if found.kind == "incomplete":
        return f"{name} looks like a merge of which a parent is missing here, or that was trained on: {beside}."
    if found.kind == "source":
        return f"{name} is no merge of these, but one of the models that a merge among them was made of."
    return f"Nothing shows {name} to be a merge of these models: {beside}."
