"""Whole families: who comes from whom among many models, as one acyclic graph with hidden ancestors."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

from hub_lineage import phylogeny
from hub_lineage.errors import LineageError, Unreadable, UsageError
from hub_lineage.fingerprint import short_vector
from hub_lineage.gathering import collect, opened, quiet, read_all, total
from hub_lineage.hub import Hub, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.report import nodes
from hub_lineage.types import Cost, Edge, Graph, Kin, Member, Model, Node, Phylogeny, Progress, Unread
from hub_lineage.weighing import Weighed, asked_for, weigh

MOST_TOGETHER = 400
"""Bodies of one architecture that are judged together at the most: some minutes, and three gigabytes of memory."""
_TOLD = 3  # candidates of each model whose kinship is told, the likeliest first


def family_of(
    model: str,
    *,
    among: Sequence[str] | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    hub: Hub | None = None,
    declared: bool = True,
    counted: Sequence[str] = (),
    budget: int = 200,
    progress: Progress | None = None,
) -> Phylogeny:
    """The whole family of one model: every known model that is related to it, in one graph with one root.

    Kin are looked for as :func:`hub_lineage.trace.trace` looks for candidates, by the same arguments; the likest few dozen
    are judged. ``declared`` tells which edges cards declare; it moves no odds unless declarations are ``counted``.

    Raises:
        LineageError: the model can't be read, or every model named can't; ``counted`` holds another word.
    """
    asked = asked_for(counted, declared=declared)
    began, tell = time.perf_counter(), progress or quiet
    gathered = collect(model, among, registry, hub, declared=declared, budget=budget, tell=tell)
    tell("Judging the family", 0, 0)
    found = gathered.found
    weighed = weigh(_as_asked((replace(gathered.subject, declared=gathered.said), *found.alike), declared=declared), asked)
    kin = np.flatnonzero(weighed.judgement.kin[0]).tolist()
    strangers = [one for k, one in enumerate(weighed.models) if k not in kin]
    part = _Part(weighed, kin)
    return replace(
        _told([part]),
        model=part.named[0].id,
        outside=tuple(sorted(one.id for one in (*strangers, *(one for one, _ in found.parts), *found.unlike))),
        unread=_unread({name: found.errors.get(name, Unreadable("It could not be read.")) for name in found.unread}),
        cost=total(began, gathered.costs),
    )


def phylogeny_of(
    models: Sequence[str],
    *,
    hub: Hub | None = None,
    declared: bool = True,
    counted: Sequence[str] = (),
    progress: Progress | None = None,
) -> Phylogeny:
    """Every family among the models named: a root each, models without kin alone, each architecture by itself.

    Args:
        models: Hub IDs, ``ID@revision``, pasted URLs, local folders or files. What can't be read is told and left out.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        declared: Whether the edges that cards declare are told. It moves no odds unless declarations are ``counted``.
        counted: Soft evidence that moves the odds: ``dates``, ``declared``, ``downloads``.
        progress: Called as ``progress(step, done, total)``.

    Raises:
        LineageError: no model is named or none can be read, too many are of one architecture, or ``counted`` holds
            another word.
    """
    asked = asked_for(counted, declared=declared)
    began, tell = time.perf_counter(), progress or quiet
    named = [parse_reference(name) for name in models]
    if not named:
        raise UsageError("No model is named.", "Name some with --among, or list them in a file for --among-file.")
    with ExitStack() as stack:
        read, failed, costs = read_all(named, opened(hub, named, stack), tell)
    if not read:
        raise next(iter(failed.values()))
    tell("Judging the families", 0, 0)
    read = sorted(_as_asked(read, declared=declared), key=_place)
    groups = [list(group) for _, group in groupby(read, key=lambda model: _place(model)[:2])]
    for group in groups:
        _check_size(group)
    parts = [_Part(weigh(group, asked), list(range(len(group)))) for group in groups]
    return replace(_told(parts), unread=_unread(failed), cost=total(began, costs))


@dataclass(frozen=True, eq=False)
class _Part:
    """Models of one architecture that were judged together, and the places of those that are shown: whole families."""

    weighed: Weighed
    shown: list[int]

    @cached_property
    def named(self) -> list[Node]:
        """The models as nodes."""
        return nodes(self.weighed.models)

    @cached_property
    def forest(self) -> phylogeny.Forest:
        """Who comes from whom."""
        return phylogeny.forest(self.weighed.judgement, whole=True)

    def graph(self, first: int) -> Graph:
        """Their graph, hidden ancestors numbered from ``first``, with what cards declare on the edges that were found."""
        both = list(zip(self.named, self.weighed.models, strict=True))
        drawn = phylogeny.whole(self.forest, self.weighed.judgement, self.named, self.shown, first=first)
        claims = {(one.id.casefold(), node.id) for node, model in both for one in model.declared}
        ids = {node.id: model.id.casefold() for node, model in both}
        edges = tuple(replace(edge, declared=(ids.get(edge.parent), edge.child) in claims) for edge in drawn.edges)
        return Graph(drawn.nodes, edges)

    def members(self, graph: Graph, families: Mapping[int, int]) -> list[Member]:
        """The models with the parents that they have in the graph; ``families`` gives a component its number."""
        judgement, named = self.weighed.judgement, self.named
        models = {node.id for node in graph.nodes if node.kind == "model"}
        above: dict[str, Edge] = {edge.child: edge for edge in graph.edges if edge.parent in models}
        found = []
        for k in self.shown:
            model, edge = self.weighed.models[k], above.get(named[k].id)
            found.append(
                Member(
                    id=named[k].id,
                    revision=model.revision,
                    architecture=model.fingerprint.architecture,
                    parameters=model.fingerprint.parameters,
                    family=families.get(int(judgement.kin[k].argmax())),
                    parent=edge.parent if edge else None,
                    relation=edge.relation if edge else None,
                    probability=edge.probability if edge else None,
                    none_probability=round(float(judgement.none[k]), 4),
                    declared=model.declared,
                )
            )
        return found

    def kin(self) -> list[Kin]:
        """What the likeliest candidates of each model are to it, and its parent in any case."""
        judgement, named = self.weighed.judgement, self.named
        found = []
        for child in self.shown:
            odds, parent = judgement.parent[child], self.forest.parent[child]
            others = [k for k in np.flatnonzero(judgement.kin[child]).tolist() if k != child]
            order = sorted((k != parent, -odds[k], named[k].id, k) for k in others)
            for *_, k in order[:_TOLD]:
                what = phylogeny.kinship(self.forest, judgement, child, k)
                relation = judgement.relation(child, k) if what == "parent" else None
                found.append(Kin(named[child].id, named[k].id, what, relation, round(float(odds[k]), 9)))
        return found


def _told(parts: Sequence[_Part]) -> Phylogeny:
    """All that was judged as one answer: families by size, then models without kin."""
    graph, members, kin, count = Graph(), list[Member](), list[Kin](), 0
    for part in parts:
        components = part.weighed.judgement.kin.argmax(axis=1)[part.shown]
        numbers, sizes = np.unique(components, return_counts=True)
        several = [int(number) for number, size in sorted(zip(numbers, sizes, strict=True), key=lambda one: -one[1]) if size > 1]
        drawn = part.graph(1 + sum(node.kind == "hidden" for node in graph.nodes))
        graph = Graph((*graph.nodes, *drawn.nodes), (*graph.edges, *drawn.edges))
        members += part.members(drawn, {component: number for number, component in enumerate(several, count + 1)})
        kin += part.kin()
        count += len(several)
    members.sort(key=lambda one: (one.family is None, one.family or 0, one.architecture, one.id))
    return Phylogeny(None, tuple(members), tuple(kin), graph, (), (), Cost())


def _as_asked(models: Sequence[Model], *, declared: bool) -> tuple[Model, ...]:
    return tuple(models if declared else (replace(model, declared=()) for model in models))


def _place(model: Model) -> tuple[str, str, str, str]:
    """By what can be compared, then by name: the order in which models were named decides no tie."""
    return (model.fingerprint.scheme, model.fingerprint.architecture, model.id, model.revision or "")


def _check_size(models: Sequence[Model]) -> None:
    bodies = len({short_vector(model.fingerprint).tobytes() for model in models})
    if bodies > MOST_TOGETHER:
        raise UsageError(
            f"{bodies} different models of one architecture are too many to judge together: {MOST_TOGETHER} at the most.",
            "Name fewer, or ask for the family of one of them with: hub-lineage family MODEL",
        )


def _unread(failed: Mapping[str, LineageError]) -> tuple[Unread, ...]:
    return tuple(Unread(name, error.code, error.message) for name, error in sorted(failed.items()))
