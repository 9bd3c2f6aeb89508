"""The ancestry as a graph: who stands above whom, and exports to JSON, Mermaid, DOT and text.

Pure functions over :class:`hub_lineage.types.Graph`. The order of nodes and edges never changes an export.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from hub_lineage.types import Edge, Graph, Node
from hub_lineage.words import HIDDEN, coefficient, one_line, percent, relation


def check_acyclic(graph: Graph) -> None:
    """Returns where the graph is a lineage: no cycle, no node twice, no edge to a node that isn't there.

    Raises:
        ValueError: It isn't; the message names a node or edge at fault.
    """
    _order(graph)


def _order(graph: Graph) -> list[str]:
    """Every node after all its parents, ties by ID (Kahn's algorithm)."""
    waiting = {node.id: 0 for node in graph.nodes}
    if len(waiting) != len(graph.nodes):
        raise ValueError("a node stands in the graph twice")
    children: dict[str, list[str]] = {}
    for edge in graph.edges:
        if edge.parent not in waiting or edge.child not in waiting:
            raise ValueError(f"an edge names a node that isn't there: {edge.parent!r} to {edge.child!r}")
        waiting[edge.child] += 1
        children.setdefault(edge.parent, []).append(edge.child)
    ready = sorted(name for name, count in waiting.items() if not count)
    done: list[str] = []
    while ready:
        done += ready
        freed: list[str] = []
        for child in (child for name in ready for child in children.get(name, ())):
            waiting[child] -= 1
            if not waiting[child]:
                freed.append(child)
        ready = sorted(freed)
    if len(done) < len(waiting):
        raise ValueError(f"a cycle passes through or above {min(set(waiting) - set(done))!r}")
    return done


def _reach(start: str, steps: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """Everything that steps lead to from the start, the start itself left out."""
    seen: set[str] = set()
    front = [start]
    while front:
        fresh = set(steps.get(front.pop(), ())) - seen
        seen |= fresh
        front += fresh
    return frozenset(seen - {start})


def parents(graph: Graph) -> dict[str, list[Edge]]:
    """The edges into each node, the surest first."""
    found: dict[str, list[Edge]] = {}
    for edge in sorted(graph.edges, key=_surest_first):
        found.setdefault(edge.child, []).append(edge)
    return found


def _surest_first(edge: Edge) -> tuple[float, float, str, str]:
    return (-(edge.coefficient or 0.0), -(edge.probability or 0.0), edge.parent, edge.child)


def ancestors(graph: Graph, node: str) -> frozenset[str]:
    """IDs of the models that the node descends from, over any number of generations."""
    return _reach(node, {child: [e.parent for e in edges] for child, edges in parents(graph).items()})


def descendants(graph: Graph, node: str) -> frozenset[str]:
    """IDs of the models that descend from the node, over any number of generations."""
    steps: dict[str, list[str]] = {}
    for edge in graph.edges:
        steps.setdefault(edge.parent, []).append(edge.child)
    return _reach(node, steps)


def layers(graph: Graph) -> dict[str, int]:
    """The generation of each node, from 0 down, every parent above its children.

    A node stands one below its lowest parent. A root that joins late stands one above its highest child.
    """
    order = _order(graph)
    level = dict.fromkeys(order, 0)
    below: dict[str, list[str]] = {}
    above = parents(graph)
    for name in order:
        for edge in above.get(name, ()):
            level[name] = max(level[name], level[edge.parent] + 1)
            below.setdefault(edge.parent, []).append(name)
    for name in order:
        if name not in above and name in below:
            level[name] = min(level[child] for child in below[name]) - 1
    return level


def _sorted(graph: Graph) -> tuple[list[Node], list[Edge]]:
    """Nodes by generation then ID, edges by their ends."""
    level = layers(graph)
    nodes = sorted(graph.nodes, key=lambda node: (level[node.id], node.id))
    return nodes, sorted(graph.edges, key=lambda e: (e.parent, e.child, e.relation or "", repr(e)))


def to_json(graph: Graph) -> str:
    """The nodes and edges in the words of schema ``hub-lineage/1``; safe inside an HTML page too."""
    nodes, edges = _sorted(graph)
    text = json.dumps({"nodes": [asdict(node) for node in nodes], "edges": [asdict(edge) for edge in edges]}, indent=2)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _mermaid_text(text: str) -> str:
    """Every character that could mean something to Mermaid or to HTML, as Mermaid's own entity."""
    return re.sub(r"[^A-Za-z0-9/_. -]", lambda match: f"#{ord(match[0])};", one_line(text))


def to_mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, as GitHub and model cards render it."""
    nodes, edges = _sorted(graph)
    names = {node.id: f"n{i}" for i, node in enumerate(nodes)}
    lines = ["flowchart TD"]
    for node in nodes:
        hidden = ":::hidden" if node.kind == "hidden" else ""
        lines.append(f'  {names[node.id]}["{_mermaid_text(label(node))}"]{hidden}')
    for edge in edges:
        arrow = "-->" if edge.detected else "-.->"
        lines.append(f'  {names[edge.parent]} {arrow}|"{_mermaid_text(edge_label(edge))}"| {names[edge.child]}')
    return "\n".join([*lines, "  classDef hidden stroke-dasharray: 4 4", ""])


def _dot_text(text: str) -> str:
    """A quoted string of DOT, which reads HTML entities and backslash escapes in labels."""
    line = html.escape(one_line(text), quote=False).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{line}"'


def to_dot(graph: Graph) -> str:
    """A graph for Graphviz."""
    nodes, edges = _sorted(graph)
    names = {node.id: f"n{i}" for i, node in enumerate(nodes)}
    lines = ["digraph lineage {", "  node [shape=box, style=rounded];"]
    for node in nodes:
        style = ', style="rounded,dashed"' if node.kind == "hidden" else ""
        lines.append(f"  {names[node.id]} [label={_dot_text(label(node))}{style}];")
    for edge in edges:
        style = "" if edge.detected else ", style=dashed"
        lines.append(f"  {names[edge.parent]} -> {names[edge.child]} [label={_dot_text(edge_label(edge))}{style}];")
    return "\n".join([*lines, "}", ""])


def label(node: Node) -> str:
    """A node in words; a hidden ancestor is an unknown model."""
    return f"({HIDDEN})" if node.kind == "hidden" else one_line(node.id)


def edge_label(edge: Edge) -> str:
    """An edge in words: relation, merge coefficient, probability, and where it comes from."""
    parts = [relation(edge.relation)]
    if edge.coefficient is not None:
        parts[0] += f" {coefficient(edge.coefficient)}"
    if edge.probability is not None and edge.detected:
        parts.append(percent(edge.probability))
    if edge.declared:
        parts.append("declared" if edge.detected else "declared only")
    return ", ".join(parts)


def pieces(graph: Graph) -> list[Graph]:
    """The parts that no edge joins, the largest first, ties by ID."""
    beside: dict[str, list[str]] = {}
    for edge in graph.edges:
        beside.setdefault(edge.parent, []).append(edge.child)
        beside.setdefault(edge.child, []).append(edge.parent)
    left = {node.id for node in graph.nodes}
    found = []
    for name in sorted(left):
        if name in left:
            together = _reach(name, beside) | {name}
            left -= together
            nodes = tuple(node for node in graph.nodes if node.id in together)
            found.append(Graph(nodes, tuple(edge for edge in graph.edges if edge.child in together)))
    return sorted(found, key=lambda piece: -len(piece.nodes))


def tree_lines(graph: Graph, focus: str | None, siblings: int = 8) -> list[str]:
    """The ancestry as a tree, roots first, each node once, under its surest parent.

    Args:
        graph: The lineage.
        focus: The ID of the model asked about, which is marked; None where all are alike.
        siblings: How many children beside the focus's own line are printed of each node.
    """
    above = parents(graph)
    names = {node.id: label(node) for node in graph.nodes}
    line = ancestors(graph, focus) | {focus} if focus is not None else frozenset()
    below: dict[str, list[str]] = {"": sorted(name for name in names if name not in above)}
    for name in sorted(above):
        below.setdefault(above[name][0].parent, []).append(name)

    def describe(name: str) -> str:
        edges = above.get(name, [])
        also = [f"also from {names[e.parent]} ({edge_label(e)})" for e in edges[1:]]
        notes = "; ".join([edge_label(edges[0]), *also] if edges else [])
        mark = "  ◀ this model" if name == focus else ""
        return names[name] + (f"  [{notes}]" if notes else "") + mark

    return list(_walk(below, describe_all={name: describe(name) for name in _order(graph)}, line=line, siblings=siblings))


def _walk(below: Mapping[str, list[str]], describe_all: Mapping[str, str], line: frozenset[str], siblings: int) -> Iterator[str]:
    """The lines of a tree, depth first, without recursion: a chain may be longer than the stack."""
    stack: list[tuple[str, str, str, str]] = [(name, "", "", "") for name in reversed(below[""])]
    while stack:
        name, head, indent, words = stack.pop()
        yield head + (words or describe_all[name])
        if words:
            continue
        rows = [(child, "") for child in below.get(name, ())]
        aside = [child for child, _ in rows if child not in line][siblings:]
        rows = [row for row in rows if row[0] not in set(aside)]
        rows += [("", f"… and {len(aside)} more")] if aside else []
        for i, (child, text) in reversed(list(enumerate(rows))):
            last = i == len(rows) - 1
            stack.append((child, indent + ("└── " if last else "├── "), indent + ("    " if last else "│   "), text))
