"""Candidates from nothing: what a Hub holds that may be the child's kin, likeliest first, within a budget of requests.

Declared parents and theirs come first, then what else derives from them, then the architecture's most downloaded models,
the author's others and those that the name suggests. A candidate's headers are read before anything else: where they show
another architecture, no weights are asked for. Kin of another architecture (a cut depth, a tower) are not looked for yet.
"""

from __future__ import annotations

import heapq
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hub_lineage.errors import LineageError, NotFound
from hub_lineage.fingerprint import RUNS
from hub_lineage.hub import Hub, Listing
from hub_lineage.hub.ranges import GAP
from hub_lineage.read import declared as declarations
from hub_lineage.read.remembered import Remembered
from hub_lineage.read.safetensors import read_index, weight_set
from hub_lineage.registry import Registry
from hub_lineage.tensors import architecture_key, body
from hub_lineage.types import Cost, Declaration, Model, Progress, Reference, RepoFile, Source

_AT_ONCE = 8  # candidates that are read at a time
_OPENING = 2  # requests that opening takes at the most: one, and one more where the repository was renamed
_HEADER = 3  # and a file's header: where it lies, its beginning, its rest
_LISTED = 100  # models of one listing
_FAMILIES = 4  # declared parents whose other children are listed
_SHORTEST = 4  # letters of a name that are worth a search
DECLARED, RELATED, LIKELY, POSSIBLE, UNLIKELY = range(5)


@dataclass(frozen=True, eq=False)
class Search:
    """What was found: models of the child's architecture, IDs that lead nowhere, those that can't be read, and the cost."""

    models: tuple[Model, ...] = ()
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
        tell: Called as ``tell(step, done, total)``.
    """
    seeker = _Seeker(subject, hub, store, budget=budget, read=read, tell=tell)
    for one in declarations.on_hub(said):
        seeker.queue.add(one.id, DECLARED)
    seeker.read_queued(worst=DECLARED)
    if broad:
        seeker.list_children()
        seeker.read_queued(worst=RELATED)
    if broad and not local:
        seeker.list_alike(card)
        seeker.read_queued(worst=UNLIKELY)
    seeker.tell(f"Found {len(seeker.models)} candidates on the Hub", budget - seeker.purse.left, budget)
    return Search(tuple(seeker.models.values()), frozenset(seeker.gone), tuple(seeker.unread), seeker.cost())


class _Seeker:
    """One search under way."""

    def __init__(
        self, subject: Model, hub: Hub, store: Registry | None, *, budget: int, read: Callable[[Source], Model], tell: Progress
    ) -> None:
        self.subject, self.hub, self.store, self.read, self.tell = subject, hub, store, read, tell
        self.purse, self.budget = Purse(budget), budget
        self.queue = Queue([subject.id])
        self.models: dict[str, Model] = {}
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
            for entry in self._listed(filter=f"base_model:{name}"):
                self.queue.add(entry.id, RELATED)

    def list_alike(self, card: Mapping[str, Any]) -> None:
        """Queues models of the architecture's kind, of the child's author, and of a name like its own."""
        kinds = _kinds(card)
        author, _, name = self.subject.id.rpartition("/")
        common = {entry.id: entry for kind in kinds for entry in self._listed(filter=kind)}
        own = {entry.id: entry for entry in self._listed(author=author)} if author else {}
        named = {entry.id: entry for words in beginnings(name) for entry in self._listed(search=words)}
        for entry in {**own, **named, **common}.values():
            alike = entry.id in common or not kinds or not set(kinds).isdisjoint(entry.tags)
            near = entry.id in own or entry.id in named
            self.queue.add(entry.id, (LIKELY if near else POSSIBLE) if alike else UNLIKELY)

    def _listed(self, **wanted: str) -> list[Listing]:
        """One listing's models that aren't known at their commit; what can't be listed is passed over."""
        found: list[Listing] = []
        before = self.hub.cost()
        try:
            entries = self.hub.list_models(limit=_LISTED, **wanted)
            while len(found) < _LISTED:
                with self.purse.hold(1, lambda: self.hub.cost().requests):  # each may be the first of a new page
                    entry = next(entries, None)
                if entry is None:
                    break
                if not self._known(entry):
                    found.append(entry)
        except SpentError:
            pass
        except LineageError as error:
            self.tell(f"A listing failed: {error.message}", self.budget - self.purse.left, self.budget)
        after = self.hub.cost()
        self._costs.append(Cost(0.0, after.requests - before.requests, after.bytes_read - before.bytes_read))
        return found

    def _known(self, entry: Listing) -> bool:
        return self.store is not None and entry.sha is not None and self.store.revision(entry.id) == entry.sha

    def _candidate(self, name: str) -> tuple[tuple[Declaration, ...], Model | None]:
        """What a candidate declares, and itself where its architecture is the child's."""
        held = self.store.get(name) if self.store is not None else None
        if held is not None:
            return held.declared, held if held.fingerprint.architecture == self.subject.fingerprint.architecture else None
        source = self._open(name)
        try:
            return declarations.of_card(source.card, source.reference.id), self._model(source)
        finally:
            self._costs.append(source.cost())

    def _open(self, name: str) -> Source:
        sent = [0]
        with self.purse.hold(_OPENING, lambda: sent[0]):
            sent[0] = 1  # what is refused was asked once
            source = Remembered(self.hub.open(Reference(name)))
            sent[0] = source.cost().requests
        return source

    def _model(self, source: Source) -> Model | None:
        files = weight_set(source.files).files
        with self.purse.hold(_HEADER * len(files), lambda: source.cost().requests):
            tensors = read_index(source)
        if architecture_key(body(tensors)) != self.subject.fingerprint.architecture:
            return None
        try:
            with self.purse.hold(_sampling(files), lambda: source.cost().requests):
                return self.read(source)
        except SpentError:
            self._enough = True  # the others of this architecture would cost as much
            raise

    def _take(self, name: str, task: Future[tuple[tuple[Declaration, ...], Model | None]], *, kin: bool) -> None:
        try:
            said, model = task.result()
        except SpentError:
            return
        except LineageError as error:
            if isinstance(error, NotFound):
                self.gone.add(name)
            self.unread += [name] if kin else []
            self.tell(f"Could not read {name}: {error.message}", self.budget - self.purse.left, self.budget)
            return
        if kin:
            self.ancestors.append(name)
            if model is None:
                self.tell(f"{name} has another architecture", self.budget - self.purse.left, self.budget)
        if model is not None and model.id != self.subject.id:
            self.models[model.id] = model
        if kin or model is not None:
            for one in declarations.on_hub(said):
                self.queue.add(one.id, DECLARED)


def _sampling(files: Sequence[RepoFile]) -> int:
    """Requests that sampling takes at the most: neighbouring runs are read together, long headers once more."""
    return min(RUNS, sum(1 + file.size // GAP for file in files)) + len(files)


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
