"""The pipeline in reading order: open, read, find candidates, measure, judge, read more where asked, draw, answer."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from hub_lineage import candidates, derivation, explained, fuller, phylogeny, report, verdict
from hub_lineage.derivation.nouns import Derivation
from hub_lineage.errors import UsageError
from hub_lineage.evidence.soft import Soft
from hub_lineage.fuller import Fuller
from hub_lineage.gathering import Found, Gathered, collect, quiet, read_again, total
from hub_lineage.hub import Hub
from hub_lineage.read import declared as declarations
from hub_lineage.registry import Registry
from hub_lineage.types import Agreement, Candidate, Child, Cost, Model, Progress, Trace, Verdict
from hub_lineage.unmasked import Unmasked, is_plain, nearest
from hub_lineage.unmasking import undisguised
from hub_lineage.weighing import Weighed, asked_for, weigh

Depth = Literal["quick", "full", "deep"]


def trace(
    child: str,
    *,
    among: Sequence[str] | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    hub: Hub | None = None,
    declared: bool = True,
    counted: Sequence[str] = (),
    depth: Depth = "quick",
    budget: int = 200,
    top: int = 20,
    generations: int = 4,
    progress: Progress | None = None,
) -> Trace:
    """Where a model comes from: ranked parents, a verdict, and the ancestry as a graph.

    Args:
        child: A Hub ID, ``ID@revision``, a pasted URL, or a local folder or file.
        among: The candidates, named likewise; without them the registry is searched, and the Hub where that holds few kin.
        registry: A registry or its folder; the default one where it is left out. Not opened where ``among`` is given. What is
            read from the Hub is kept there.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        declared: Whether what the card says is shown beside what was found. It moves no odds unless it is ``counted``.
        counted: Soft evidence that moves the odds, each piece a line of evidence: ``dates``, ``declared``, ``downloads``.
        depth: How much is read. ``quick``: a sample of every model. ``full``: the child and its nearest kin once more, up to a
            million weights of each; what the sample holds whole isn't read twice. Where the child is no near copy of any model
            as it stands, whole tensors too, up to 32 MiB a model, to undo what may disguise it.
        budget: Requests spent on finding candidates on the Hub at the most; 0 searches the registry alone.
        top: How many candidates are listed at the most.
        generations: How far the graph goes up and down.
        progress: Called as ``progress(step, done, total)``.

    Raises:
        LineageError: the child can't be read, or every candidate named can't; ``counted`` holds another word, or ``depth``.
    """
    if depth not in {"quick", "full"}:
        raise UsageError(f"The depth {depth!r} is not there yet.", "Use --depth full, or leave --depth out for a quick answer.")
    asked = asked_for(counted, declared=declared)
    began = time.perf_counter()
    tell = progress or quiet
    gathered = collect(child, among, registry, hub, declared=declared, budget=budget, tell=tell)
    tell("Judging the family", 0, 0)
    models = (replace(gathered.subject, declared=gathered.said), *gathered.found.alike)
    judged = _Judged(models, weigh(models, asked))
    costs = list(gathered.costs)
    if depth == "full":
        judged, more = _fully(judged, gathered.found, asked, hub, tell)
        costs += more
    made = derivation.explain(judged.models[0], gathered.found.known)
    answer = _answer(gathered, judged, made, top=top, generations=generations)
    if depth == "full" and made is None and not is_plain(judged.last):
        unmasked, read, more = undisguised(gathered, nearest(judged.last), hub, tell)
        costs += more
        if unmasked is not None:
            answer = _unmasked(gathered, unmasked, read, asked, top=top, generations=generations)
    return replace(answer, cost=total(began, costs))


@dataclass(frozen=True, eq=False)
class _Judged:
    """The child, place 0, judged with its candidates by their fingerprints and, where asked for, by a fuller reading."""

    models: tuple[Model, ...]
    quick: Weighed
    fuller: Fuller | None = None

    @property
    def last(self) -> Weighed:
        """The last reading: of the nearest kin alone where there was a fuller one."""
        return self.fuller.weighed if self.fuller else self.quick

    @cached_property
    def weighed(self) -> Weighed:
        """All that was read together."""
        return self.fuller.joined(self.quick) if self.fuller else self.quick


def _fully(judged: _Judged, found: Found, counted: Sequence[Soft], hub: Hub | None, tell: Progress) -> tuple[_Judged, list[Cost]]:
    """The child and its nearest kin read again and judged anew, and what that cost."""
    models, places = judged.models, fuller.nearest(judged.quick)
    if not places:
        return judged, []
    child = (models[0].id, models[0].revision)
    read, costs = read_again([models[k] for k in places], {*found.opened, child}, hub, tell)
    tell("Judging the family", 0, 0)
    again = {(model.id, model.revision): k for k, model in enumerate(models)}
    members = np.array([again[model.id, model.revision] for model in read], dtype=np.intp)
    return _Judged((read[0], *models[1:]), judged.quick, Fuller(members, weigh(read, counted))), costs


def _unmasked(
    gathered: Gathered, unmasked: Unmasked, read: Sequence[Model], counted: Sequence[Soft], *, top: int, generations: int
) -> Trace:
    """The answer about a child without its disguise, judged among its kin in the layout of the nearest of them."""
    child, *kin = unmasked.models
    models = (replace(child, declared=gathered.said), *kin)
    found = replace(gathered.found, alike=tuple(kin), strangers=len(read) - len(kin), parts=(), unlike=(), fits=(), strange=())
    judged = _Judged(models, weigh(models, counted))
    made = derivation.explain(models[0], found.known)
    answer = _answer(replace(gathered, found=found), judged, made, top=top, generations=generations)
    listed = unmasked.candidates(answer.candidates, read, top)
    return replace(answer, verdict=unmasked.verdict(answer.verdict), candidates=listed)


def _answer(gathered: Gathered, judged: _Judged, made: Derivation | None, *, top: int, generations: int) -> Trace:
    subject, found, said = gathered.subject, gathered.found, gathered.said
    models, weighed = judged.models, judged.weighed
    judgement, forest = weighed.judgement, phylogeny.forest(weighed.judgement)
    answer = _verdict(weighed, models, found)
    listed = _listed(_shown(judged, forest, found, top), found, top)
    drawn = phylogeny.graph(forest, judgement, report.nodes(models), 0, generations=generations)
    known = found.known
    if made is None:
        agreement = _agreement(weighed, models, found, answer)
    else:  # how it was made, to within rounding, is surer than any odds
        listed = explained.candidates(listed, made, known, top)
        drawn = explained.graph(drawn, subject.id, made, report.nodes(known))
        answer = explained.verdict(answer, made)
        agreement = declarations.agreement(models[0].declared, answer, {model.id for model in known})
    if candidates.is_adapter(models[0].fingerprint) and agreement == "unverifiable":
        agreement, told = derivation.adapter.declared(models[0], known)
        answer = replace(answer, summary=f"{answer.summary} {told}")
    return Trace(
        child=Child(subject.id, subject.revision, subject.fingerprint.architecture, subject.fingerprint.parameters),
        verdict=answer,
        candidates=listed,
        declared=said,
        agreement=agreement,
        graph=report.with_declared(drawn, subject.id, declarations.on_hub(said)),
        cost=Cost(),
    )


def _shown(judged: _Judged, forest: phylogeny.Forest, found: Found, top: int) -> tuple[Candidate, ...]:
    """The candidates of the child's architecture, ranked by all that was read, each with the evidence of its last reading."""
    weighed = judged.weighed
    listed = report.candidates(
        judged.quick.models,
        weighed.family,
        replace(weighed.judgement, cues=judged.quick.judgement.cues),
        forest,
        top,
        strangers=found.strange,
        ruled_out=found.strangers,
        soft=weighed.lines(),
    )
    if judged.fuller is None:
        return listed
    others = len(judged.models) - len(judged.fuller.members)
    return fuller.with_evidence(listed, judged.fuller.candidates(weighed, found.strangers + others))


def _agreement(weighed: Weighed, models: Sequence[Model], found: Found, answer: Verdict) -> Agreement:
    """What is declared beside what was found; a declaration that was counted must not confirm itself."""
    if "declared" in weighed.counted:
        answer = _verdict(replace(weighed, judgement=weighed.alone, counted=()), models, found)
    return declarations.agreement(models[0].declared, answer, {model.id for model in found.alike})


def _listed(alike: Sequence[Candidate], found: Found, top: int) -> tuple[Candidate, ...]:
    """Kin, then what shares parts, then strangers, then what can't be compared."""
    kin = [one for one in alike if one.kinship != "unrelated"]
    listed = [*kin, *(candidates.component(model, part, len(found.parts) + len(found.unlike)) for model, part in found.parts)]
    listed += [one for one in alike if one.kinship == "unrelated"]
    listed += [*map(candidates.fitting, found.fits), *report.incomparable(found.unlike, found.unread, 0, top)]
    return tuple(replace(one, rank=rank) for rank, one in enumerate(listed[:top], 1))


def _verdict(weighed: Weighed, models: Sequence[Model], found: Found) -> Verdict:
    return candidates.with_parts(_decided(weighed, models, found), models[0].fingerprint, found.parts)


def _decided(weighed: Weighed, models: Sequence[Model], found: Found) -> Verdict:
    if found.fits and not found.alike:
        return verdict.unknown(candidates.fits_in_words(found.fits), "The base's name, in adapter_config.json or on the card.")
    if not found.alike:
        others = len(found.unlike) + len(found.parts)
        said = {0: "no model of its architecture is known here", 1: "the 1 candidate has another architecture"}
        return verdict.unknown(
            f"Nothing to compare with: {said.get(others, f'none of the {others} candidates has its architecture')}.",
            "Crawl models of this architecture, or name candidates with --among.",
        )
    ids, revisions = [model.id for model in models], [model.revision for model in models]
    alone = weighed.alone if weighed.counted else None
    return verdict.decide(
        weighed.judgement,
        0,
        ids,
        revisions,
        strangers=found.strangers,
        known=models,
        alone=alone,
        counted=weighed.counted,
    )
