"""The nouns: frozen values that flow from the Hub to a verdict.

Read this file first, then :mod:`hub_lineage.trace` for the verbs in order. ``docs/glossary.md`` defines each word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

SCHEMA = "hub-lineage/1"

Floats = NDArray[np.float32]
Relation = Literal["finetune", "adapter", "merge", "quantized", "duplicate"]
Kinship = Literal[
    "parent",
    "ancestor",
    "descendant",
    "sibling",
    "cousin",
    "duplicate",
    "component",
    "shared_initialisation",
    "unrelated",
    "unknown",
]
VerdictKind = Literal["parent", "one_of", "merge", "family", "independent", "unknown"]
Agreement = Literal["confirmed", "contradicted", "undeclared", "unverifiable"]

Progress = Callable[[str, int, int], None]
"""Called as ``progress(step, done, total)``; ``total`` is 0 where it isn't known."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a person named: a Hub ID with its revision, or a local path kept as it was given."""

    id: str
    revision: str | None = None
    local: bool = False
    note: str | None = None  # how the words given were understood, where they weren't a plain ID

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id


@dataclass(frozen=True, slots=True)
class RepoFile:
    """One file of a repository: its path, size in bytes, and the sha256 that the Hub states for LFS files."""

    path: str
    size: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes ``start <= i < stop`` of one file."""

    path: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work asked of the network or disk."""

    seconds: float = 0.0
    requests: int = 0
    bytes_read: int = 0
    bytes_total: int = 0


class Source(Protocol):
    """An opened repository or folder: a commit, its files, and their bytes by range."""

    @property
    def reference(self) -> Reference:
        """What was opened."""

    @property
    def revision(self) -> str | None:
        """The commit that all reads come from; None for a local folder."""

    @property
    def files(self) -> tuple[RepoFile, ...]:
        """Every file at that commit."""

    @property
    def card(self) -> dict[str, Any]:
        """What the Hub's API says of the model: ``license``, ``downloads``, ``created_at``, ``last_modified``, ``card_data``."""

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """The bytes of each range, in order; parallel where that helps. Raises a LineageError, never a short read."""

    def cost(self) -> Cost:
        """What was asked of this source so far; ``seconds`` is left at 0."""


class Packing(Protocol):
    """How a tensor's values lie in files, where they don't stand there one after another in the tensor's own dtype.

    Quantised blocks, matrices stored the other way round, strides and slices are packings. One is a frozen, hashable value,
    made by the reader of its format, and knows where its bytes lie.
    """

    @property
    def word(self) -> str:
        """What it is called: ``Q4_K``, ``GPTQ-4``, ``transposed``; the same for every tensor that is packed alike."""

    @property
    def bits(self) -> int:
        """Bits of a stored value where that rounds the weight, scales left out; 0 for a packing that loses nothing."""

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        """The bytes from which the values ``first <= i < last`` of the tensor, row by row, can be worked out."""

    def values(self, first: int, last: int, parts: Sequence[bytes]) -> bytes:
        """Those values, little-endian in the tensor's dtype, from the bytes of :meth:`ranges` in their order."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where one tensor lies: dtype in the words of safetensors, byte offsets from the start of its file.

    Where it has a ``packing``, that says where its values lie, ``dtype`` is what they are unpacked to, and ``start`` and
    ``stop`` enclose its largest part.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str
    start: int
    stop: int
    packing: Packing | None = None

    @property
    def elements(self) -> int:
        """Number of values."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, eq=False)
class Sample:
    """Some values of one tensor, at the precision in which they were stored.

    ``raw`` holds the values' bytes, little-endian, in the order of the sampling scheme, which depends on the shape alone.
    """

    shape: tuple[int, ...]
    dtype: str
    raw: bytes = field(repr=False)
    label: str = ""  # where it stands in the network, for people; never compared
    packed: str = ""  # the word of the packing that it was read from; never compared


@dataclass(frozen=True, slots=True)
class Block:
    """A kind of depth block in a network: the key of its shapes, how often it stands, and the samples taken in it.

    An adapter's blocks are those of the matrices that it changes, of which it holds no samples.
    """

    key: str
    count: int
    samples: tuple[int, ...] = ()  # places among the fingerprint's samples, ascending
    shapes: tuple[tuple[int, ...], ...] = ()  # of the weights in one block, ascending


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """A small, versioned sample of a model's weights, comparable only within one scheme and one architecture key.

    ``vectors`` are the sampled tensors of one dimension, gains and biases, which neither key nor comparison of weights
    knows. ``partial`` holds the shapes of which not every tensor was sampled.
    """

    scheme: str
    architecture: str
    parameters: int
    samples: tuple[Sample, ...]
    vectors: tuple[Sample, ...] = ()
    blocks: tuple[Block, ...] = ()
    partial: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def dtype(self) -> str:
        """The dtype in which most sampled values are stored."""
        totals: dict[str, int] = {}
        for sample in self.samples:
            totals[sample.dtype] = totals.get(sample.dtype, 0) + len(sample.raw)
        return max(sorted(totals), key=totals.__getitem__) if totals else ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a repository says of itself: a parent's ID, the relation where it is said, and where it is said."""

    id: str
    relation: str | None
    where: str


@dataclass(frozen=True, eq=False)
class Model:
    """One model as the registry keeps it."""

    id: str
    revision: str | None
    fingerprint: Fingerprint
    license: str | None = None
    downloads: int | None = None
    created_at: str | None = None
    last_modified: str | None = None
    hashes: tuple[str, ...] = ()  # sha256 of the weight files, sorted
    declared: tuple[Declaration, ...] = ()


@dataclass(frozen=True, slots=True)
class Null:
    """What unrelated models give for the same figure."""

    mean: float
    sd: float
    n: int
    source: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured figure about a pair, beside its null; ``tensors`` counts what it was measured on."""

    source: str
    value: float
    null: Null | None = None
    p_value: float | None = None
    tensors: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that might be the parent, judged."""

    rank: int
    id: str
    revision: str | None
    probability: float
    family_probability: float
    relation: Relation | None
    kinship: Kinship
    evidence: tuple[Evidence, ...] = ()
    layers: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent that a verdict names; in a merge with its coefficient and the interval that holds it in 95 of 100 cases."""

    id: str
    revision: str | None
    relation: Relation
    probability: float
    coefficient: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer about a child: its kind, its odds, a sentence for people, and what would settle an open answer."""

    kind: VerdictKind
    probability: float
    none_probability: float
    summary: str
    settle: str | None = None
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A model in a graph, or a hidden ancestor: a place that no known model fills."""

    id: str
    revision: str | None = None
    kind: Literal["model", "hidden"] = "model"
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """From parent to child; ``declared`` where a card says so, ``detected`` where the weights do."""

    parent: str
    child: str
    relation: Relation | None = "finetune"
    probability: float | None = None
    coefficient: float | None = None
    declared: bool = False
    detected: bool = True


@dataclass(frozen=True, slots=True)
class Graph:
    """An acyclic ancestry: parents point at children."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class Child:
    """The model that was asked about."""

    id: str
    revision: str | None
    architecture: str
    parameters: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The whole answer; :meth:`to_dict` is what ``--json``, the app and the API print."""

    child: Child
    verdict: Verdict
    candidates: tuple[Candidate, ...]
    declared: tuple[Declaration, ...]
    agreement: Agreement
    graph: Graph
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """The object of schema ``hub-lineage/1``, of plain lists, dicts, numbers and words."""
        return {"schema": SCHEMA, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Member:
    """One model of a phylogeny: its family, and its parent with the odds of it and of none of the models."""

    id: str
    revision: str | None
    architecture: str
    parameters: int
    family: int | None  # kin share a number; None for a model that has no kin among the others
    parent: str | None
    relation: Relation | None
    probability: float | None  # of that parent
    none_probability: float
    declared: tuple[Declaration, ...] = ()


@dataclass(frozen=True, slots=True)
class Kin:
    """What one model is to another of its family, with the odds that it is the parent."""

    child: str
    candidate: str
    kinship: Kinship
    relation: Relation | None
    probability: float


@dataclass(frozen=True, slots=True)
class Unread:
    """A model that was named and couldn't be read, and why."""

    id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Phylogeny:
    """Who comes from whom among many models, as one acyclic graph; :meth:`to_dict` is what ``--json`` prints."""

    model: str | None  # whose family it is; None where the models were named
    models: tuple[Member, ...]
    kinship: tuple[Kin, ...]
    graph: Graph
    outside: tuple[str, ...]  # compared with the model, and none of its family
    unread: tuple[Unread, ...]
    cost: Cost

    def to_dict(self) -> dict[str, Any]:
        """The object of schema ``hub-lineage/1``, of plain lists, dicts, numbers and words."""
        return {"schema": SCHEMA, **asdict(self)}
