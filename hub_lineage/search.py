"""Candidates from nothing: what a Hub holds that may be the child's kin, likeliest first, within a budget of requests.

Declared parents and theirs come first, then what else derives from them, then the architecture's most downloaded models,
the author's others and those that the name or the card suggests. A candidate's headers are read before anything else:
where they show another architecture, weights are only asked for if it shares a kind of depth block with the child, as the
source of a cut depth or of a lifted tower does. An adapter's base is told by the shapes that the adapter changes.
"""

from __future__ import annotations

import heapq
import math
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hub_lineage.candidates import Fit, are_of_one_kind, away, is_adapter
from hub_lineage.errors import LineageError, NotFound
from hub_lineage.hub import Hub, Listing
from hub_lineage.hub.ranges import coalesce
from hub_lineage.read import declared as declarations
from hub_lineage.read.index import read_index, weight_set
from hub_lineage.read.remembered import Remembered
from hub_lineage.registry import Registry
from hub_lineage.sampling import SCHEME, sampled_ranges
from hub_lineage.tensors import architecture_key, block_keys, body
from hub_lineage.types import Block, Cost, Declaration, Fingerprint, Model, Progress, Reference, Source, Tensor

_AT_ONCE = 8  # candidates that are read at a time
_OPENING = 2  # requests that opening takes at the most: one, and one more where the repository was renamed
_HEADER = 3  # and a file's header: where it lies, its beginning, its rest
_LISTED = 100  # models of one listing
_FAMILIES = 4  # declared parents whose other children are listed
_SHORTEST = 4  # letters of a name that are worth a search
_LARGEST = 10**13  # parameters; no model comes near
DECLARED, RELATED, LIKELY, POSSIBLE, UNLIKELY = range(5)


@dataclass(frozen=True, eq=False)
class Search:
    """What was found: models to compare with the child, IDs that lead nowhere, those that can't be read, and the cost.

    ``models`` are of the child's architecture or share a kind of depth block with it; ``fits`` could be an adapter's base.
    """

    models: tuple[Model, ...] = ()
    fits: tuple[Fit, ...] = ()
    gone: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()
    cost: Cost = field(default_factory=Cost)


class SpentError(Exception):
    """The rest of the budget is too small for the next step."""


class Purse:
    """A budget of requests that many threads spend from: the most that a step may take is held back before it begins."""

    def __init__(self, budget: int) -> None:
        self.left = budget
        self._held = 0
        self._change = threading.Condition()

    @contextmanager
    def hold(self, most: int, count: Callable[[], int]) -> Iterator[None]:
        """Holds ``most`` requests back for a step, and gives back what it didn't send by ``count`` before and after.

        Where others hold what is needed, it waits for what they give back; no step holds anything while it waits.
        """
        with self._change:
            self._change.wait_for(lambda: most <= self.left or not self._held)
            if most > self.left:
                raise SpentError
            self.left -= most
            self._held += 1
        before = count()
        try:
            yield
        finally:
            with self._change:
                self.left += most - (count() - before)
                self._held -= 1
                self._change.notify_all()


class Queue:
    """IDs waiting to be read, the likeliest first, each once; letter case tells no two apart."""

    def __init__(self, taken: Collection[str]) -> None:
        self._taken = {name.casefold() for name in taken}
        self._ranks: dict[str, int] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._count = 0

    def add(self, name: str, rank: int) -> None:
        """Queues an ID, or moves it up."""
        key = name.casefold()
        if key not in self._taken and rank < self._ranks.get(key, rank + 1):
            self._ranks[key] = rank
            self._count += 1
            heapq.heappush(self._heap, (rank, self._count, name))

    def take(self, most: int, worst: int) -> list[str]:
        """The next IDs, no more than ``most`` and none of a rank beyond ``worst``."""
        found: list[str] = []
        while self._heap and len(found) < most and self._heap[0][0] <= worst:
            name = heapq.heappop(self._heap)[2]
            if name.casefold() not in self._taken:
                self._taken.add(name.casefold())
                found.append(name)
        return found


def search(
    subject: Model,
    card: Mapping[str, Any],
    said: Sequence[Declaration],
    *,
    hub: Hub,
    store: Registry | None,
    budget: int,
    read: Callable[[Source], Model],
    local: bool = False,
    broad: bool = True,
    suggested: Sequence[str] = (),
    tell: Progress,
) -> Search:
    """Candidates for a child, found on a Hub by no more than ``budget`` requests; repeats after failures come on top.

    Args:
        subject: The child.
        card: What the Hub's API says of it.
        said: The parents that it declares.
        hub: Where to look.
        store: What is known already; its models are not read again.
        budget: How many requests may be sent.
        read: Reads a model from an opened repository.
        local: Whether the child is a folder, of which the Hub knows neither author nor kind.
        broad: Whether more than the declared parents and their own is looked for.
        suggested: Models that the child's card links to.
        tell: Called as ``tell(step, done, total)``.
    """
    seeker = _Seeker(subject, hub, store, budget=budget, read=read, tell=tell)
    for one in declarations.on_hub(said):
        seeker.queue.add(one.id, DECLARED)
    seeker.read_queued(worst=DECLARED)
    if broad:
        for name in suggested:
            seeker.queue.add(name, RELATED)
        seeker.list_children()
        seeker.read_queued(worst=RELATED)
    if broad and not local:
        seeker.list_alike(card)
        seeker.read_queued(worst=UNLIKELY)
    seeker.tell(f"Found {len(seeker.models)} candidates on the Hub", budget - seeker.purse.left, budget)
    fits = sorted(seeker.fits, key=lambda fit: fit.away)  # of one depth, those that were the likelier before
    return Search(tuple(seeker.models.values()), tuple(fits), frozenset(seeker.gone), tuple(seeker.unread), seeker.cost())


class _Read(NamedTuple):
    """What a candidate turned out to be: what it declares, itself where it can be compared, and how it fits an adapter."""

    said: tuple[Declaration, ...]
    model: Model | None
    fit: Fit | None


class _Size(NamedTuple):
    """How many parameters kin may have: ``least`` to ``most`` at all, ``low`` to ``high`` where they are of one architecture."""

    least: int
    low: int
    high: int
    most: int

    @classmethod
    def of_kin(cls, child: Fingerprint) -> _Size:
        """Heads and vocabularies may double a model; what shares a kind of block holds a block of it at the least."""
        units = [sum(map(math.prod, block.shapes)) for block in child.blocks]
        if is_adapter(child):
            changed = sum(unit * block.count for unit, block in zip(units, child.blocks, strict=True))
            return cls(changed, changed, _LARGEST, _LARGEST)
        own = child.parameters
        least, most = (min(units), _LARGEST) if units else (own // 8, own * 8)
        return cls(least, own // 2, own * 2, most)

    def rank(self, parameters: int | None, rank: int) -> int | None:
        """A rank made worse where the size tells of another architecture; None where it rules kinship out."""
        if parameters is None or self.low <= parameters <= self.high:
            return rank
        return min(rank + 1, UNLIKELY) if self.least <= parameters <= self.most else None


class _Seeker:
    """One search under way."""

    def __init__(
        self, subject: Model, hub: Hub, store: Registry | None, *, budget: int, read: Callable[[Source], Model], tell: Progress
    ) -> None:
        self.subject, self.hub, self.store, self.read, self.tell = subject, hub, store, read, tell
        self.purse, self.budget = Purse(budget), budget
        self.queue = Queue([subject.id])
        self.models: dict[str, Model] = {}
        self.fits: list[Fit] = []
        self.ancestors: list[str] = []
        self.gone: set[str] = set()
        self.unread: list[str] = []
        self._costs: list[Cost] = []
        self._enough = False

    def cost(self) -> Cost:
        """Requests and bytes of all that was asked."""
        requests, read, total = (sum(getattr(c, n) for c in self._costs) for n in ("requests", "bytes_read", "bytes_total"))
        return Cost(0.0, requests, read, total)

    def read_queued(self, worst: int) -> None:
        """Reads what is queued up to a rank, and the parents that it declares in turn, as long as the budget lasts."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while not self._enough and self.purse.left >= _OPENING:
                # Few at a time towards the end: what each holds back would keep the others from using up the rest.
                names = self.queue.take(min(_AT_ONCE, max(1, self.purse.left // 16)), worst)
                if not names:
                    return
                self.tell("Searching the Hub", self.budget - self.purse.left, self.budget)
                tasks = {name: pool.submit(self._candidate, name) for name in names}
                for name, task in tasks.items():
                    self._take(name, task, kin=worst == DECLARED)

    def list_children(self) -> None:
        """Queues what else is declared to derive from the child's declared ancestors."""
        for name in self.ancestors[:_FAMILIES]:
            for entry in self._listed(filter=f"base_model:{name}")[0]:
                self.queue.add(entry.id, RELATED)

    def list_alike(self, card: Mapping[str, Any]) -> None:
        """Queues models of the architecture's kind, of the child's author, and of a name like its own, by their sizes."""
        size, kinds = _Size.of_kin(self.subject.fingerprint), _kinds(card)
        author, _, name = self.subject.id.rpartition("/")
        common: dict[str, Listing] = {}
        for kind in kinds:
            found, whole = self._listed(filter=kind)
            if not whole:  # a kind of so many models: those of the child's size would hardly be among the first
                found += self._listed(filter=kind, parameters=(size.low, size.high))[0]
            common |= {entry.id: entry for entry in found}
        own = {entry.id: entry for entry in self._listed(author=author)[0]} if author else {}
        named = {entry.id: entry for words in beginnings(name) for entry in self._listed(search=words)[0]}
        for entry in {**own, **named, **common}.values():
            alike = entry.id in common or not kinds or not set(kinds).isdisjoint(entry.tags)
            near = entry.id in own or entry.id in named
            rank = size.rank(entry.parameters, (LIKELY if near else POSSIBLE) if alike else UNLIKELY)
            if rank is not None:
                self.queue.add(entry.id, rank)

    def _listed(self, **wanted: Any) -> tuple[list[Listing], bool]:
        """One listing's models that aren't known at their commit, and whether those are all that it has.

        What can't be listed is passed over.
        """
        found: list[Listing] = []
        seen = 0
        before = self.hub.cost()
        try:
            entries = self.hub.list_models(limit=_LISTED, sized=True, **wanted)
            while seen < _LISTED:
                with self.purse.hold(1, lambda: self.hub.cost().requests):  # each may be the first of a new page
                    entry = next(entries, None)
                if entry is None:
                    break
                seen += 1
                if not self._known(entry):
                    found.append(entry)
        except SpentError:
            pass
        except LineageError as error:
            self.tell(f"A listing failed: {error.message}", self.budget - self.purse.left, self.budget)
        after = self.hub.cost()
        self._costs.append(Cost(0.0, after.requests - before.requests, after.bytes_read - before.bytes_read))
        return found, seen < _LISTED

    def _known(self, entry: Listing) -> bool:
        return self.store is not None and entry.sha is not None and self.store.revision(entry.id, SCHEME) == entry.sha

    def _candidate(self, name: str) -> _Read:
        """What a candidate declares, and itself where it can be compared with the child."""
        held = self.store.get(name) if self.store is not None else None
        if held is not None and held.fingerprint.scheme == SCHEME:
            mine, its = self.subject.fingerprint, held.fingerprint
            comparable = its.architecture == mine.architecture or are_of_one_kind(mine, its)
            return _Read(held.declared, held if comparable else None, self._fit(held.id, held.revision, its.blocks))
        source = self._open(name)
        try:
            return self._by_headers(source, declarations.of_card(source.card, source.reference.id))
        finally:
            self._costs.append(source.cost())

    def _fit(self, name: str, revision: str | None, blocks: Sequence[Block]) -> Fit | None:
        if not is_adapter(self.subject.fingerprint) or not any(block.samples for block in blocks):
            return None
        depths = away(self.subject.fingerprint, blocks)
        return None if depths is None else Fit(name, revision, depths)

    def _open(self, name: str) -> Source:
        sent = [0]
        with self.purse.hold(_OPENING, lambda: sent[0]):
            sent[0] = 1  # what is refused was asked once
            source = Remembered(self.hub.open(Reference(name)))
            sent[0] = source.cost().requests
        return source

    def _by_headers(self, source: Source, said: tuple[Declaration, ...]) -> _Read:
        """What the headers show; weights are read where they show the child's architecture or a kind of block of its own."""
        files = weight_set(source.files).files
        with self.purse.hold(_HEADER * len(files), lambda: source.cost().requests):
            tensors = read_index(source)
        weights = body(tensors)
        blocks = block_keys(weights)
        fit = self._fit(source.reference.id, source.revision, blocks)
        alike = architecture_key(weights) == self.subject.fingerprint.architecture
        kinds = {block.key for block in self.subject.fingerprint.blocks if block.samples}
        most = _sampling(tensors)
        # What shares no more than blocks leaves at least half of the budget to others.
        if not alike and (kinds.isdisjoint(block.key for block in blocks) or most > self.purse.left // 2):
            return _Read(said, None, fit)
        try:
            with self.purse.hold(most, lambda: source.cost().requests):
                return _Read(said, self.read(source), fit)
        except SpentError:
            if alike:
                self._enough = True  # the others of this architecture would cost as much
                raise
            return _Read(said, None, fit)

    def _take(self, name: str, task: Future[_Read], *, kin: bool) -> None:
        try:
            said, model, fit = task.result()
        except SpentError:
            return
        except LineageError as error:
            if isinstance(error, NotFound):
                self.gone.add(name)
            self.unread += [name] if kin else []
            self.tell(f"Could not read {name}: {error.message}", self.budget - self.purse.left, self.budget)
            return
        if fit is not None:
            self.fits.append(fit)
        if kin:
            self.ancestors.append(name)
            if model is None and fit is None:
                self.tell(f"{name} has another architecture", self.budget - self.purse.left, self.budget)
        if model is not None and model.id != self.subject.id:
            self.models[model.id] = model
        if kin or model is not None:
            for one in declarations.on_hub(said):
                self.queue.add(one.id, DECLARED)


def _sampling(tensors: Sequence[Tensor]) -> int:
    """Requests that sampling takes at the most: neighbouring runs are read together, and each file may be asked for anew."""
    ranges = sampled_ranges(tensors)
    return len(coalesce(ranges)) + len({one.path for one in ranges})


def _kinds(card: Mapping[str, Any]) -> list[str]:
    """The tags under which the Hub lists models of an architecture: its kind, then its class where that is another word."""
    config = card.get("config")
    config = config if isinstance(config, Mapping) else {}
    classes = config.get("architectures")
    words = [config.get("model_type"), *(classes[:1] if isinstance(classes, list) else [])]
    return list(dict.fromkeys(word for word in words if isinstance(word, str) and word and "," not in word))


def beginnings(name: str) -> list[str]:
    """The parts of a name that its parent's may hold: all but the last word, and the first word alone."""
    ends = [match.start() for match in re.finditer(r"[-_.]", name) if match.start() >= _SHORTEST]
    return list(dict.fromkeys(name[:end] for end in (ends[-1:] + ends[:1])))
