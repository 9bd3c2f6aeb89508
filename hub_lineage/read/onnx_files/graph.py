"""What a ModelProto holds that matters here: its stored tensors, and the nodes that use them.

The numbers of fields are those of ``onnx.proto``. Initialisers of the graph and of graphs within it count, and tensors in
nodes that are constants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from hub_lineage.read.onnx_files.wire import BYTES, Field, Wire

MOST_TENSORS = 200_000
MOST_DIMENSIONS = 32
MOST_NESTED = 8
"""Graphs within graphs: branches of conditions and bodies of loops."""
LONGEST_INLINE = 64 * 1024
"""Bytes of whole numbers of variable length that are read at once: zero points, and little tensors of half precision."""
_MOST_NUMBERS = 64
_INPUT, _OUTPUT, _NAME, _OP = 1, 2, 3, 4  # the fields of a NodeProto that are words
_KEPT = frozenset({"transA", "transB", "perm", "axis", "bits", "block_size", "K", "N"})
_SCOPES = "pkg.torch.onnx.name_scopes"
_WORD = re.compile(r"'([^']*)'")
_DATA = frozenset({4, 5, 7, 9, 10, 11})
"""The fields of a TensorProto that hold values: floats, int32s, int64s, raw bytes, doubles, uint64s; not strings."""
_VARIABLE = frozenset({5, 7, 11})


@dataclass(frozen=True, slots=True)
class Stored:
    """A TensorProto: what it says of itself, and where its values lie, in this file or another.

    ``place`` are the bytes of the field with its values, whose number is ``within``: 9 for raw data, others for packed numbers
    by their type, 0 for none. ``inline`` are those bytes where they are few and hold numbers of variable length.
    """

    name: str
    code: int
    dims: tuple[int, ...]
    within: int = 0
    place: tuple[int, int] = (0, 0)
    inline: bytes = b""
    external: tuple[tuple[str, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A NodeProto: its operation, names, and those of its attributes that tell how a weight lies.

    ``scope`` is the name of the module that it was traced from, in torch's words; empty where that isn't told.
    """

    op: str
    scope: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, tuple[int, ...]]


@dataclass(slots=True)
class Graph:
    """All stored tensors of a file by name, and its nodes in their order; those of inner graphs stand before the node."""

    stored: dict[str, Stored] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)


def read_graph(wire: Wire) -> Graph:
    """Walk through a file.

    Raises:
        BadWeights: it is no ONNX model, is truncated, or lies.
    """
    graph, found = Graph(), False
    for part in wire.fields(0, wire.file.size):
        if part.number == 7:
            wire.expect(part, BYTES)
            _graph(wire, part, graph, 0)
            found = True
    if not found:
        raise wire.broken("holds no graph, so it isn't an ONNX model")
    return graph


def _graph(wire: Wire, within: Field, graph: Graph, depth: int) -> None:
    if depth > MOST_NESTED:
        raise wire.broken(f"has graphs nested more than {MOST_NESTED} deep")
    names: set[str] = set()
    for part in wire.fields(within.start, within.stop):
        if part.number in {1, 5}:
            wire.expect(part, BYTES)
        if part.number == 1:
            _node(wire, part, graph, depth)
        elif part.number == 5:
            stored = _tensor(wire, part)
            if stored.name in names:
                raise wire.broken(f"has two tensors of the name {stored.name[:80]!r}")
            names.add(stored.name)
            _keep(wire, graph, stored)


def _keep(wire: Wire, graph: Graph, stored: Stored) -> None:
    """Note a tensor; names are unique within one graph, and branches may use one anew."""
    name, again = stored.name, 1
    while name in graph.stored:
        again += 1
        name = f"{stored.name}.{again}"
        if again > 2 * MOST_NESTED:
            raise wire.broken(f"has many tensors of the name {stored.name[:80]!r}")
    if len(graph.stored) >= MOST_TENSORS:
        raise wire.broken(f"has more than {MOST_TENSORS:,} tensors")
    graph.stored[name] = stored


def _node(wire: Wire, within: Field, graph: Graph, depth: int) -> None:
    words: dict[int, list[str]] = {number: [] for number in (_INPUT, _OUTPUT, _NAME, _OP)}
    scope = ""
    attributes: dict[str, tuple[int, ...]] = {}
    values: list[Stored] = []
    for part in wire.fields(within.start, within.stop):
        if part.number in words:
            words[part.number].append(wire.text(part))
        elif part.number == 5:
            name, numbers, tensors = _attribute(wire, part, graph, depth)
            attributes |= {name: numbers} if name in _KEPT else {}
            values += tensors
        elif part.number == 9:
            scope = _traced(wire, part) or scope
    op = "".join(words[_OP][-1:])
    for output, value in zip(words[_OUTPUT], values if op == "Constant" else (), strict=False):
        _keep(wire, graph, replace(value, name=output))
    scope = scope or ".".join("".join(words[_NAME][-1:]).strip("/").split("/")[:-1])
    graph.nodes.append(Node(op, scope, tuple(words[_INPUT]), tuple(words[_OUTPUT]), attributes))


def _attribute(wire: Wire, within: Field, graph: Graph, depth: int) -> tuple[str, tuple[int, ...], list[Stored]]:
    """Name, whole numbers and tensors of an attribute; what graphs within it hold is noted as well."""
    wire.expect(within, BYTES)
    name, numbers, values = "", list[int](), list[Stored]()
    for part in wire.fields(within.start, within.stop):
        if part.number == 1:
            name = wire.text(part)
        elif part.number in {3, 8} and len(numbers) < _MOST_NUMBERS and len(part) <= _MOST_NUMBERS:
            numbers += wire.numbers(part, _MOST_NUMBERS)
        elif part.number == 5:
            wire.expect(part, BYTES)
            values.append(_tensor(wire, part))
        elif part.number in {6, 11}:
            wire.expect(part, BYTES)
            _graph(wire, part, graph, depth + 1)
    return name, tuple(numbers), values


def _traced(wire: Wire, within: Field) -> str:
    """The module that torch says a node was traced from: the last but one of its scopes, the last being the operation."""
    key, value = _entry(wire, within)
    scopes = _WORD.findall(value) if key == _SCOPES else []
    return scopes[-2] if len(scopes) > 1 else ""


def _entry(wire: Wire, within: Field) -> tuple[str, str]:
    """A StringStringEntryProto; long values, such as stack traces, are stepped over."""
    wire.expect(within, BYTES)
    found = {1: "", 2: ""}
    for part in wire.fields(within.start, within.stop):
        if part.number in found and len(part) <= 4096:
            found[part.number] = wire.text(part)
    return found[1], found[2]


def _tensor(wire: Wire, within: Field) -> Stored:
    stored = Stored("", 0, ())
    dims, entries, data = list[int](), list[tuple[str, str]](), list[Field]()
    apart = False
    for part in wire.fields(within.start, within.stop):
        if part.number == 1 and len(dims) <= MOST_DIMENSIONS:
            dims += wire.numbers(part, MOST_DIMENSIONS)
        elif part.number == 2:
            stored = replace(stored, code=part.value)
        elif part.number == 8:
            stored = replace(stored, name=wire.text(part))
        elif part.number in _DATA:
            stored = replace(stored, inline=_values(wire, data, part), within=part.number, place=(part.start, part.stop))
        elif part.number == 13 and len(entries) < _MOST_NUMBERS:
            entries.append(_entry(wire, part))
        elif part.number == 14:
            apart = part.value == 1
    if len(dims) > MOST_DIMENSIONS or any(not 0 <= size < 2**53 for size in dims):
        raise wire.broken(f"has a tensor {stored.name[:80]!r} of an odd shape")
    return replace(stored, dims=tuple(dims), external=tuple(entries) if apart else None)


def _values(wire: Wire, before: list[Field], part: Field) -> bytes:
    """Note where a tensor's values are; those of variable length are taken where they are few."""
    if part.wire != BYTES:
        raise wire.broken("has a tensor whose values are written one by one, which isn't read")
    if before:
        raise wire.broken("has a tensor whose values stand in two places")
    before.append(part)
    return wire.take(part) if part.number in _VARIABLE and len(part) <= LONGEST_INLINE else b""
