"""The models that a question is about: the one asked about, its candidates, and those that couldn't be read."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from hub_lineage import candidates, search
from hub_lineage.candidates import Fit
from hub_lineage.errors import LineageError, RegistryError, Unreadable
from hub_lineage.evidence.parts import Part
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.read import declared as declarations
from hub_lineage.read import mentioned
from hub_lineage.read.index import weight_set
from hub_lineage.read.remembered import Remembered
from hub_lineage.registry import Registry, default_folder
from hub_lineage.sampling import SCHEME
from hub_lineage.types import Cost, Declaration, Fingerprint, Model, Progress, Reference, Source

_STRANGERS = 16  # unrelated models that nulls are drawn from, at the most
_AT_ONCE = 8  # candidates whose fingerprints are read at a time
_FULLY_AT_ONCE = 4  # likewise at depth full, where what is read may lie in a hundred times as many bytes
_ENOUGH_KIN = 8  # where a registry holds so many of a child's kin, the Hub is asked for its declared parents alone
_MOST_PARTS = 24  # models of other architectures that are looked at for shared blocks
_MOST_COPIES = 5_000  # hits of a registry that are gone through for bodies that aren't copies of one another
_PATIENCE = 5.0  # seconds to wait for a Hub that a folder's declared parents lie on: there may be no network at all


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
    """Whether the hashes show that no weight file is another, in whatever format; one without a hash shows nothing."""
    try:
        weights = weight_set(source.files).files
    except LineageError:
        return False
    hashes = sorted(file.sha256 for file in source.files if file.sha256)
    return all(file.sha256 for file in weights) and tuple(hashes) == known.hashes and known.fingerprint.scheme == SCHEME


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
    fitting: tuple[Model, ...] = ()  # those of ``fits`` whose weights were read
    rest: tuple[Model, ...] = ()  # the strangers, and of other architectures those that aren't listed: the child may be disguised
    errors: Mapping[str, LineageError] = field(default_factory=dict)  # why some couldn't be read, by name
    opened: frozenset[tuple[str, str | None]] = frozenset()  # by ID and revision those whose sizes are in ``costs``

    @property
    def known(self) -> tuple[Model, ...]:
        """All models that the child can be compared with in some way."""
        return (*self.alike, *(model for model, _ in self.parts), *self.unlike, *self.fitting)


@dataclass(frozen=True, eq=False)
class Gathered:
    """A model with what its repository says of itself, and the models found for it."""

    subject: Model
    said: tuple[Declaration, ...]  # nothing where declarations weren't asked for
    found: Found
    costs: tuple[Cost, ...]


def collect(
    child: str,
    among: Sequence[str] | None,
    registry: Registry | str | os.PathLike[str] | None,
    hub: Hub | None,
    *,
    declared: bool,
    budget: int,
    tell: Progress,
) -> Gathered:
    """Reads a model and its candidates: those named, else what a registry holds and what the Hub adds to it.

    The arguments are those of :func:`hub_lineage.trace.trace`.

    Raises:
        LineageError: the model can't be read, or every candidate named can't.
    """
    with ExitStack() as stack:
        asked = parse_reference(child)
        named = None if among is None else [parse_reference(name) for name in among]
        hub = opened(hub, (asked, *(named or ())), stack)
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
        return Gathered(subject, declarations.with_dead(said, found.gone), found, (source.cost(), *found.costs))


def opened(hub: Hub | None, named: Sequence[Reference], stack: ExitStack) -> Hub | None:
    """The Hub given, else one on ``HF_ENDPOINT`` for as long as the stack lasts, if anything named lies on one."""
    if hub is None and not all(each.local for each in named):
        return stack.enter_context(Hub())
    return hub


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
    models, failed, costs = read_all([each for each in among if itself.isdisjoint((str(each), _place(each)))], hub, tell)
    if failed and not models:
        raise next(iter(failed.values()))
    others = [model for model in models if (model.id, model.revision) != (subject.id, subject.revision)]
    return replace(_sorted_out(subject, others, tuple(failed), costs), errors=failed, opened=_revisions(models))


def read_all(
    references: Sequence[Reference], hub: Hub | None, tell: Progress
) -> tuple[list[Model], dict[str, LineageError], tuple[Cost, ...]]:
    """Models that were named, each once however it was named; why others can't be read, by name; and what it cost."""
    once = {_place(each): each for each in references}
    read: list[tuple[Model, Cost]] = []
    failed: dict[str, LineageError] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tasks = {str(reference): pool.submit(_read, reference, hub) for reference in once.values()}
        for done, (name, task) in enumerate(tasks.items(), 1):
            tell("Reading candidates", done, len(tasks))
            try:
                read.append(task.result())
            except LineageError as error:
                tell(f"Could not read {name}: {error.message}", done, len(tasks))
                failed[name] = error
    models = {(model.id, model.revision): model for model, _ in read}
    return list(models.values()), failed, tuple(cost for _, cost in read)


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
    known += [model for fit in fits if store and (model := store.get(fit.id, fit.revision)) is not None]
    if hub is None:
        return replace(_unlisted(_sorted_out(subject, known)), fits=tuple(fits))
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
    fits = sorted(fitting.values(), key=lambda fit: fit.away)
    return replace(_unlisted(found), fits=tuple(fits), gone=added.gone, opened=_revisions(added.models))


def _unlisted(found: Found) -> Found:
    return replace(found, unlike=(), rest=(*found.rest, *found.unlike))


def _revisions(models: Sequence[Model]) -> frozenset[tuple[str, str | None]]:
    return frozenset((model.id, model.revision) for model in models)


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
    named = {(fit.id, fit.revision) for fit in fits}
    fitting = tuple(model for model in unlike if (model.id, model.revision) in named)
    strange = tuple(model.fingerprint for model in rest[:: max(1, len(rest) // _STRANGERS)][:_STRANGERS])
    found = Found(tuple(judged), len(rest), tuple(parts), tuple(apart), tuple(fits), unread, costs, strange=strange)
    return replace(found, rest=tuple(rest), fitting=fitting)


def read_again(
    models: Sequence[Model], opened: Collection[tuple[str, str | None]], hub: Hub | None, tell: Progress
) -> tuple[list[Model], list[Cost]]:
    """Models with fingerprints of depth ``full`` instead, each at the revision that is known; and what that cost.

    What can't be read again, as a repository that is gone, is told and left out; the first model must be there.

    Args:
        models: The models, the child first.
        opened: By ID and revision those whose sizes were counted before; they aren't counted again.
        hub: The Hub to read from; one on ``HF_ENDPOINT`` where it is left out.
        tell: Called as ``tell(step, done, total)``.

    Raises:
        LineageError: the child can't be read again.
    """
    read: list[Model] = []
    costs: list[Cost] = []
    with ExitStack() as stack:
        if hub is None and any(model.revision is not None for model in models):
            hub = stack.enter_context(Hub())
        pool = ThreadPoolExecutor(_FULLY_AT_ONCE)
        stack.callback(pool.shutdown, cancel_futures=True)
        tasks = [pool.submit(_read_fully, model, hub) for model in models]
        tell("Reading more weights", 0, len(tasks))
        for done, (model, task) in enumerate(zip(models, tasks, strict=True), 1):
            try:
                again, cost = task.result()
            except LineageError as error:
                if done == 1:
                    raise
                tell(f"Could not read {model.id} again, its fingerprint counts: {error.message}", done, len(tasks))
                continue
            tell("Reading more weights", done, len(tasks))
            read.append(again)
            counted = (model.id, model.revision) in opened
            costs.append(replace(cost, bytes_total=0) if counted else cost)
    return read, costs


def _read_fully(model: Model, hub: Hub | None) -> tuple[Model, Cost]:
    source = open_source(Reference(model.id, model.revision, local=model.revision is None), hub)
    fingerprint = read_fingerprint(source, full=True)
    if fingerprint.architecture != model.fingerprint.architecture:
        raise Unreadable(f"{model.id} has changed since it was read.", "Try again.")
    return replace(model, fingerprint=fingerprint), source.cost()


def total(began: float, costs: Sequence[Cost]) -> Cost:
    """What was asked altogether since ``began``, by :func:`time.perf_counter`."""
    requests, read, whole = (sum(getattr(cost, name) for cost in costs) for name in ("requests", "bytes_read", "bytes_total"))
    return Cost(round(time.perf_counter() - began, 3), requests, read, whole)


def quiet(step: str, done: int, total: int) -> None:
    """No progress is shown where nobody asked for it."""
