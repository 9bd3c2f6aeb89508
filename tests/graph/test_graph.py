"""The laws of a lineage, and what its exports must hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage import graph as lineage
from hub_lineage.types import Edge, Graph, Node
from hub_lineage.words import one_line
from tests import traces
from tests.graph.strategies import graphs


@given(graphs())
def test_every_parent_stands_above_its_child(graph: Graph) -> None:
    level = lineage.layers(graph)
    assert set(level) == {node.id for node in graph.nodes}
    assert all(level[edge.parent] < level[edge.child] for edge in graph.edges)
    assert min(level.values()) == 0


@given(graphs())
def test_ancestors_and_descendants_mirror_each_other(graph: Graph) -> None:
    ids = [node.id for node in graph.nodes]
    for name in ids:
        assert lineage.ancestors(graph, name) == {other for other in ids if name in lineage.descendants(graph, other)}
        assert name not in lineage.ancestors(graph, name)


@given(graphs(), st.data())
def test_a_cycle_is_never_accepted(graph: Graph, data: st.DataObject) -> None:
    lineage.check_acyclic(graph)
    top = data.draw(st.sampled_from([node.id for node in graph.nodes]))
    bottom = data.draw(st.sampled_from(sorted(lineage.descendants(graph, top) | {top})))
    with pytest.raises(ValueError, match="cycle"):
        lineage.check_acyclic(replace(graph, edges=(*graph.edges, Edge(bottom, top))))


def test_nodes_that_are_missing_or_doubled_are_refused() -> None:
    with pytest.raises(ValueError, match="isn't there"):
        lineage.check_acyclic(Graph((Node("a"),), (Edge("a", "b"),)))
    with pytest.raises(ValueError, match="twice"):
        lineage.check_acyclic(Graph((Node("a"), Node("a"))))


@given(graphs())
def test_exports_do_not_depend_on_order(graph: Graph) -> None:
    turned = Graph(graph.nodes[::-1], graph.edges[::-1])
    for export in (lineage.to_json, lineage.to_mermaid, lineage.to_dot):
        assert export(graph) == export(turned)
    focus = min(node.id for node in graph.nodes)
    assert lineage.tree_lines(graph, focus) == lineage.tree_lines(turned, focus)


@given(graphs())
def test_json_holds_every_node_and_edge(graph: Graph) -> None:
    text = lineage.to_json(graph)
    read = json.loads(text)
    assert {node["id"] for node in read["nodes"]} == {node.id for node in graph.nodes}
    assert sorted((e["parent"], e["child"]) for e in read["edges"]) == sorted((e.parent, e.child) for e in graph.edges)
    assert not set(text) & set("<>&")


def from_mermaid(text: str) -> str:
    return re.sub(r"#(\d+);", lambda match: chr(int(match[1])), text)


@given(graphs())
def test_mermaid_names_every_node_and_edge(graph: Graph) -> None:
    text = lineage.to_mermaid(graph)
    found = {m[1]: from_mermaid(m[2]) for m in re.finditer(r'^  (n\d+)\["([^"]*)"\](?::::hidden)?$', text, re.MULTILINE)}
    assert sorted(found.values()) == sorted(lineage.label(node) for node in graph.nodes)
    joined = re.findall(r'^  (n\d+) (?:-->|-\.->)\|"[^"]*"\| (n\d+)$', text, re.MULTILINE)
    labels = {node.id: lineage.label(node) for node in graph.nodes}
    assert sorted((found[a], found[b]) for a, b in joined) == sorted((labels[e.parent], labels[e.child]) for e in graph.edges)
    assert len(text.splitlines()) == 2 + len(graph.nodes) + len(graph.edges)
    assert "<" not in text


@given(graphs())
def test_dot_names_every_node_and_edge(graph: Graph) -> None:
    text = lineage.to_dot(graph)
    quoted = r'"((?:[^"\\]|\\["\\])*)"'  # a string of DOT in which every quote and backslash is escaped
    nodes = re.findall(rf"^  n\d+ \[label={quoted}(?:, style=\"rounded,dashed\")?\];$", text, re.MULTILINE)
    edges = re.findall(rf"^  n\d+ -> n\d+ \[label={quoted}(?:, style=dashed)?\];$", text, re.MULTILINE)
    assert len(nodes) == len(graph.nodes)
    assert len(edges) == len(graph.edges)
    assert len(text.splitlines()) == 3 + len(nodes) + len(edges)
    assert "<" not in text


@given(graphs(), st.data())
def test_the_tree_shows_each_node_once_and_marks_the_focus(graph: Graph, data: st.DataObject) -> None:
    focus = data.draw(st.sampled_from([node.id for node in graph.nodes]))
    lines = lineage.tree_lines(graph, focus, siblings=len(graph.nodes))
    assert len(lines) == len(graph.nodes)
    assert sum(line.endswith("◀ this model") for line in lines) == 1
    assert all(line == one_line(line, 10_000) for line in lines)


def test_the_tree_of_a_lineage_in_words() -> None:
    assert lineage.tree_lines(traces.GRAPH, traces.CHILD) == [
        "aria/base",
        "├── aria/base-code  [fine-tune, 88 %]",
        "└── aria/base-instruct  [fine-tune, 97 %, declared]",
        "    └── (an unknown model)  [fine-tune, 70 %]",
        "        ├── mira/chat  [fine-tune, 74 %]",
        "        │   ├── mira/day-chat  [fine-tune, 66 %]",
        "        │   └── mira/night-chat  [fine-tune, 86 %, declared]  ◀ this model",
        "        └── zoe/poems  [fine-tune, 58 %]",
    ]


def test_the_tree_shows_a_merge_once_with_both_parents() -> None:
    tree = lineage.tree_lines(traces.MERGE.graph, traces.CHILD)
    assert "│   └── mira/night-chat  [merge .6, 93 %; also from zoe/poems (merge .4, 91 %)]  ◀ this model" in tree


def test_the_tree_counts_the_siblings_it_leaves_out() -> None:
    ids = [f"kid/{i:03}" for i in range(300)]
    star = Graph(tuple(Node(name) for name in ["root", *ids]), tuple(Edge("root", name) for name in ids))
    lines = lineage.tree_lines(star, "kid/200", siblings=3)
    assert [line.split()[1] for line in lines[1:5]] == ["kid/000", "kid/001", "kid/002", "kid/200"]
    assert lines[5:] == ["└── … and 296 more"]


def test_a_long_line_of_descent_does_not_exhaust_the_stack() -> None:
    ids = [f"m{i:04}" for i in range(3000)]
    chain = Graph(tuple(map(Node, ids)), tuple(Edge(a, b) for a, b in pairwise(ids)))
    assert len(lineage.tree_lines(chain, ids[-1])) == 3000
    assert lineage.layers(chain)[ids[-1]] == 2999


@given(graphs())
def test_pieces_are_what_no_edge_joins(graph: Graph) -> None:
    found = lineage.pieces(graph)
    named = [node.id for piece in found for node in piece.nodes]
    assert sorted(named) == sorted(node.id for node in graph.nodes)
    assert sum(len(piece.edges) for piece in found) == len(graph.edges)
    assert [len(piece.nodes) for piece in found] == sorted((len(piece.nodes) for piece in found), reverse=True)
    for piece in found:
        lineage.check_acyclic(piece)
        assert len(lineage.pieces(piece)) == 1


@given(graphs())
def test_a_tree_without_a_focus_marks_nothing(graph: Graph) -> None:
    lines = lineage.tree_lines(graph, None, siblings=len(graph.nodes))
    assert len(lines) == len(graph.nodes)
    assert not any(line.endswith("◀ this model") for line in lines if "◀" not in "".join(node.id for node in graph.nodes))
