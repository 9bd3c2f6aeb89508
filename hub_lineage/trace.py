"""The pipeline in reading order: open, read, find candidates, measure, judge, draw the family, answer."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hub_lineage import candidates, phylogeny, report, search, verdict
from hub_lineage.candidates import Fit
from hub_lineage.errors import LineageError, RegistryError, UsageError
from hub_lineage.evidence.parts import Part
from hub_lineage.family import gather
from hub_lineage.fingerprint import SCHEME, read_fingerprint
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.judge import Judgement, judge
from hub_lineage.read import declared as declarations
from hub_lineage.read import mentioned
from hub_lineage.read.remembered import Remembered
from hub_lineage.registry import Registry, default_folder
from hub_lineage.types import Candidate, Child, Cost, Declaration, Fingerprint, Model, Progress, Reference, Source, Trace, Verdict

Depth = Literal["quick", "full", "deep"]
_STRANGERS = 16  # unrelated models that nulls are drawn from, at the most
_AT_ONCE = 8  # candidates whose fingerprints are read at a time
_ENOUGH_KIN = 8  # where a registry holds so many of a child's kin, the Hub is asked for its declared parents alone
_MOST_PARTS = 24  # models of other architectures that are looked at for shared blocks
_MOST_COPIES = 5_000  # hits of a registry that are gone through for bodies that aren't copies of one another
_PATIENCE = 5.0  # seconds to wait for a Hub that a folder's declared parents lie on: there may be no network at all


def trace(
    child: str,
    *,
    among: Sequence[str] | None = None,
    registry: Registry | str | os.PathLike[str] | None = None,
    hub: Hub | None = None,
    declared: bool = True,
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
        declared: Whether what the card says is shown beside what was found. It never moves the odds.
        depth: How much is read; only ``quick`` is there yet.
        budget: Requests spent on finding candidates on the Hub at the most; 0 searches the registry alone.
        top: How many candidates are listed at the most.
        generations: How far the graph goes up and down.
        progress: Called as ``progress(step, done, total)``.

    Raises:
        LineageError: the child can't be read, or every candidate named can't.
    """
    if depth != "quick":
        raise UsageError(f"The depth {depth!r} is not there yet.", "Leave --depth out, or use --depth quick.")
    began = time.perf_counter()
    tell = progress or quiet
    with ExitStack() as stack:
        asked = parse_reference(child)
        named = None if among is None else [parse_reference(name) for name in among]
        if hub is None and not all(each.local for each in (asked, *(named or ()))):
            hub = stack.enter_context(Hub())
        tell(f"Reading {child}", 0, 0)
        source = Remembered(open_source(asked, hub))
        subject = read_model(source)
        if declared:
            subject = replace(subject, declared=declarations.of_files(source))
        said = subject.declared if declared else ()
        if named is None:
            links = mentioned.models(source) if declared and budget > 0 and not asked.local else ()
            seen = _Wanted(subject, source, said, links, _searchable(hub, asked, said, stack) if budget > 0 else None, budget)
            found = _registered(registry, seen, stack, tell)
        else:
            found = _named(named, asked, subject, hub, tell)
        tell("Judging the family", 0, 0)
        answer = _answer(subject, found, declarations.with_dead(said, found.gone), top=top, generations=generations)
        return replace(answer, cost=_total(began, [source.cost(), *found.costs]))


def read_model(source: Source, known: Model | None = None) -> Model:
    """One model as the registry keeps it, read from an opened repository or folder.

    ``known`` is the model at another revision: where its weight files are the same, so is its fingerprint, and none is read.
    """
    card = source.card
    same = known if known is not None and _same_weights(known, source) else None
    return Model(
        id=source.reference.id,
        revision=source.revision,
        fingerprint=same.fingerprint if same else read_fingerprint(source),
        license=card.get("license"),
        downloads=card.get("downloads"),
        created_at=card.get("created_at"),
        last_modified=card.get("last_modified"),
        hashes=tuple(sorted(file.sha256 for file in source.files if file.sha256)),
        declared=declarations.of_card(card, source.reference.id),
    )


def _same_weights(known: Model, source: Source) -> bool:
    """Whether the hashes show that no weight file is another; a weight file without a hash shows nothing."""
    weights = [file for file in source.files if file.path.endswith(".safetensors")]
    hashes = sorted(file.sha256 for file in source.files if file.sha256)
    return (
        bool(weights)
        and all(file.sha256 for file in weights)
        and tuple(hashes) == known.hashes
        and known.fingerprint.scheme == SCHEME
    )


@dataclass(frozen=True, eq=False)
class Found:
    """The models found for the child: of its architecture, of others, and those that couldn't be read."""

    alike: tuple[Model, ...]
    strangers: int = 0  # models of the architecture that a short fingerprint alone shows to be no kin
    parts: tuple[tuple[Model, Part], ...] = ()  # of another architecture, with weights of the child's
    unlike: tuple[Model, ...] = ()
    fits: tuple[Fit, ...] = ()  # what the child, an adapter, could belong to by its shapes
    unread: tuple[str, ...] = ()
    costs: tuple[Cost, ...] = ()
    gone: frozenset[str] = frozenset()  # declared parents that the Hub doesn't know
    strange: tuple[Fingerprint, ...] = ()  # some of the strangers, for nulls


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Whose kin are looked for, by what its card says, and on which Hub; None where there is nothing to go by or to ask."""

    subject: Model
    source: Source
    declared: tuple[Declaration, ...]
    links: tuple[str, ...]  # models that its card links to
    hub: Hub | None
    budget: int


def _searchable(hub: Hub | None, asked: Reference, said: Sequence[Declaration], stack: ExitStack) -> Hub | None:
    """The Hub to find candidates on; a folder leads there only by the parents that it declares."""
    if not asked.local:
        return hub
    if not declarations.on_hub(said):
        return None
    return hub or stack.enter_context(Hub(retries=1, patience=_PATIENCE))


def _named(among: Sequence[Reference], asked: Reference, subject: Model, hub: Hub | None, tell: Progress) -> Found:
    """The candidates that were named, each once, the child itself left out."""
    itself = {str(asked), f"{subject.id}@{subject.revision}", _place(asked)}
    references = {_place(each): each for each in among if itself.isdisjoint((str(each), _place(each)))}
    read: dict[str, tuple[Model, Cost]] = {}
    failed: dict[str, LineageError] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tasks = {name: pool.submit(_read, reference, hub) for name, reference in references.items()}
        for done, (name, task) in enumerate(tasks.items(), 1):
            tell("Reading candidates", done, len(tasks))
            try:
                read[name] = task.result()
            except LineageError as error:
                tell(f"Could not read {references[name]}: {error.message}", done, len(tasks))
                failed[str(references[name])] = error
    if failed and not read:
        raise next(iter(failed.values()))
    models = {(model.id, model.revision): model for model, _ in read.values()}  # one may have been named in several ways
    models.pop((subject.id, subject.revision), None)
    return _sorted_out(subject, list(models.values()), tuple(failed), tuple(cost for _, cost in read.values()))


def _place(reference: Reference) -> str:
    """What tells one model from another: where a local one really lies, however it was named."""
    if not reference.local:
        return str(reference)
    real = Path(reference.id).expanduser().resolve()
    return str(real.parent if real.name == "model.safetensors" else real)


def _read(reference: Reference, hub: Hub | None) -> tuple[Model, Cost]:
    source = open_source(reference, hub)
    return read_model(source), source.cost()


def _registered(registry: Registry | str | os.PathLike[str] | None, wanted: _Wanted, stack: ExitStack, tell: Progress) -> Found:
    """The likest models of the child's architecture in a registry, and what a Hub adds to them."""
    tell("Searching the registry", 0, 0)
    subject, hub = wanted.subject, wanted.hub
    place = registry if isinstance(registry, Registry) else Path(registry or default_folder())
    store = place if isinstance(place, Registry) else None
    if isinstance(place, Path) and (hub is None or not _is_vacant(place)):
        store = stack.enter_context(Registry.open(place))
    known, kin = _known(store, subject) if store else ([], 0)
    fits = store.bases(subject.fingerprint, _MOST_PARTS) if store and candidates.is_adapter(subject.fingerprint) else []
    if hub is None:
        return replace(_sorted_out(subject, known), unlike=(), fits=tuple(fits))
    added = search.search(
        subject,
        wanted.source.card,
        wanted.declared,
        hub=hub,
        store=store,
        budget=wanted.budget,
        read=read_model,
        local=wanted.source.reference.local,
        broad=kin < _ENOUGH_KIN,
        suggested=wanted.links,
        tell=tell,
    )
    _keep(place, [m for m in added.models if store is None or store.revision(m.id, SCHEME) != m.revision], tell)
    models = {model.id: model for model in (*known, *added.models)}
    fitting = {fit.id: fit for fit in (*fits, *added.fits) if fit.id != subject.id}
    found = _sorted_out(subject, list(models.values()), added.unread, (added.cost,))
    # What was found to be of another architecture and to share nothing tells nothing; what was named is always listed.
    return replace(found, unlike=(), fits=tuple(sorted(fitting.values(), key=lambda fit: fit.away)), gone=added.gone)


def _known(store: Registry, subject: Model) -> tuple[list[Model], int]:
    """What a registry holds of the child's likes and of those that share blocks with it, and how many bodies are its kin."""
    top = 2 * candidates.MOST_JUDGED
    while True:
        hits = [hit for hit in store.search(subject.fingerprint, top) if hit.id != subject.id]
        bodies = [hit.similarity for hit in hits]  # equal ones are copies of one body, which may crowd all others out
        if len(hits) < top - 1 or len(set(bodies)) >= candidates.MOST_JUDGED or top > _MOST_COPIES:
            break
        top *= 4
    chosen = [hits[place] for place in candidates.copies_last(bodies)[: 2 * candidates.MOST_JUDGED]]
    alike = {hit.id for hit in hits} | {subject.id}
    chosen += [hit for hit in store.search_blocks(subject.fingerprint, _MOST_PARTS) if hit.id not in alike]
    models = [model for hit in chosen if (model := store.get(hit.id, hit.revision)) is not None]
    return models, len({similarity for similarity in bodies if similarity > candidates.NOISE})


def _is_vacant(folder: Path) -> bool:
    """Whether a registry can be made there: nothing is, or an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _keep(place: Registry | Path, models: Sequence[Model], tell: Progress) -> None:
    """Stores what was read for next time, where that is possible."""
    try:
        if isinstance(place, Registry):
            place.put(models)
        elif models:
            with Registry.open(place, write=True) as writer:
                writer.put(models)
    except RegistryError as error:
        tell(f"What was read is not kept for next time: {error.message}", 0, 0)


def _sorted_out(subject: Model, models: Sequence[Model], unread: tuple[str, ...] = (), costs: tuple[Cost, ...] = ()) -> Found:
    models = sorted(models, key=lambda m: (m.id, m.revision or ""))  # the order in which they were named decides no tie
    mine = (subject.fingerprint.scheme, subject.fingerprint.architecture)
    alike = [m for m in models if (m.fingerprint.scheme, m.fingerprint.architecture) == mine]
    unlike = [m for m in models if (m.fingerprint.scheme, m.fingerprint.architecture) != mine]
    judged, rest = candidates.shortlist(subject.fingerprint, alike)
    parts, apart = candidates.sharing(subject.fingerprint, unlike)
    fits, apart = candidates.fitted(subject.fingerprint, apart)
    strange = tuple(model.fingerprint for model in rest[:: max(1, len(rest) // _STRANGERS)][:_STRANGERS])
    return Found(tuple(judged), len(rest), tuple(parts), tuple(apart), tuple(fits), unread, costs, strange=strange)


def _answer(subject: Model, found: Found, said: tuple[Declaration, ...], *, top: int, generations: int) -> Trace:
    """The child judged with its candidates; place 0 is the child."""
    models = (subject, *found.alike)
    family = gather([model.fingerprint for model in models])
    judgement = judge(family)
    forest = phylogeny.forest(judgement)
    known = (replace(subject, declared=said), *found.alike)
    answer = candidates.with_parts(_verdict(judgement, known, found), subject.fingerprint, found.parts)
    shown = report.candidates(models, family, judgement, forest, top, strangers=found.strange, ruled_out=found.strangers)
    listed = _listed(shown, found, top)
    drawn = phylogeny.graph(forest, judgement, report.nodes(models), 0, generations=generations)
    return Trace(
        child=Child(subject.id, subject.revision, subject.fingerprint.architecture, subject.fingerprint.parameters),
        verdict=answer,
        candidates=listed,
        declared=said,
        agreement=declarations.agreement(said, answer, {model.id for model in found.alike}),
        graph=report.with_declared(drawn, subject.id, declarations.on_hub(said)),
        cost=Cost(),
    )


def _listed(alike: Sequence[Candidate], found: Found, top: int) -> tuple[Candidate, ...]:
    """Kin, then what shares parts, then strangers, then what can't be compared."""
    kin = [one for one in alike if one.kinship != "unrelated"]
    listed = [*kin, *(candidates.component(model, part, len(found.parts) + len(found.unlike)) for model, part in found.parts)]
    listed += [one for one in alike if one.kinship == "unrelated"]
    listed += [*map(candidates.fitting, found.fits), *report.incomparable(found.unlike, found.unread, 0, top)]
    return tuple(replace(one, rank=rank) for rank, one in enumerate(listed[:top], 1))


def _verdict(judgement: Judgement, models: Sequence[Model], found: Found) -> Verdict:
    if found.fits and not found.alike:
        return verdict.unknown(candidates.fits_in_words(found.fits), "The base's name, in adapter_config.json or on the card.")
    if not found.alike:
        others = len(found.unlike) + len(found.parts)
        return verdict.unknown(
            f"Nothing to compare with: none of the {others} candidates has its architecture."
            if others
            else "Nothing to compare with: no model of its architecture is known here.",
            "Crawl models of this architecture, or name candidates with --among.",
        )
    ids, revisions = [model.id for model in models], [model.revision for model in models]
    return verdict.decide(judgement, 0, ids, revisions, strangers=found.strangers, known=models)


def _total(began: float, costs: Sequence[Cost]) -> Cost:
    requests, read, total = (sum(getattr(cost, name) for cost in costs) for name in ("requests", "bytes_read", "bytes_total"))
    return Cost(round(time.perf_counter() - began, 3), requests, read, total)


def quiet(step: str, done: int, total: int) -> None:
    """No progress is shown where nobody asked for it."""
