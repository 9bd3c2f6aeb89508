"""The drawing: valid, self-contained, readable by keyboard and screen reader, never overlapping."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

from hypothesis import given, settings

from hub_lineage.draw import to_svg
from hub_lineage.layout import GAP_X, HEIGHT, WIDTH, layout
from hub_lineage.types import Edge, Graph, Node
from tests import traces
from tests.graph.strategies import graphs

SVG = "{http://www.w3.org/2000/svg}"


def overlapping(graph: Graph) -> list[tuple[str, str]]:
    spots = layout(graph).centres
    return [(a, b) for a, b in combinations(spots, 2) if _near(spots[a], spots[b])]


def _near(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(a[0] - b[0]) < WIDTH + GAP_X - 1e-6 and abs(a[1] - b[1]) < HEIGHT


@given(graphs())
def test_nodes_never_overlap_and_parents_stand_above(graph: Graph) -> None:
    plan = layout(graph)
    assert not overlapping(graph)
    for edge, points in plan.paths:
        assert (points[0], points[-1]) == (plan.centres[edge.parent], plan.centres[edge.child])
        assert all(high[1] < low[1] for high, low in pairwise(points))
    for x, y in plan.centres.values():
        assert WIDTH / 2 - 1e-6 <= x <= plan.width - WIDTH / 2 + 1e-6
        assert HEIGHT / 2 <= y <= plan.height - HEIGHT / 2


@given(graphs())
@settings(max_examples=60)
def test_any_lineage_is_valid_xml_with_a_button_for_each_node(graph: Graph) -> None:
    text = to_svg(graph, graph.nodes[0].id)
    root = ET.fromstring(text)
    buttons = [g for g in root.iter(f"{SVG}g") if g.get("role") == "button"]
    assert len(buttons) == len(graph.nodes)
    assert all(g.get("tabindex") == "0" and g.get("aria-label") for g in buttons)
    assert len(list(root.iter(f"{SVG}path"))) == len(graph.edges)
    assert "<script" not in text


def test_the_drawing_names_no_other_host() -> None:
    text = to_svg(traces.GRAPH, traces.CHILD)
    assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\(|@import|href|<image|<use", text)


def test_ids_focus_and_hidden_ancestors_are_told_apart() -> None:
    root = ET.fromstring(to_svg(traces.GRAPH, traces.CHILD))
    kinds = {g.get("data-id"): g.get("class") for g in root.iter(f"{SVG}g") if g.get("data-id")}
    assert set(kinds) == {node.id for node in traces.GRAPH.nodes}
    assert kinds[traces.CHILD] == "hl-node hl-focus"
    assert kinds["hidden:1"] == "hl-node hl-hidden"
    described = root.findtext(f"{SVG}desc")
    assert described == "7 models and 1 place that no known model fills; parents stand above their children."


def test_an_edge_is_drawn_as_strong_as_it_is_sure() -> None:
    def opacity(probability: float) -> float:
        graph = Graph((Node("a"), Node("b")), (Edge("a", "b", probability=probability),))
        path = ET.fromstring(to_svg(graph)).find(f".//{SVG}path")
        assert path is not None
        return float(path.get("opacity", "nan"))

    assert opacity(0.1) < opacity(0.5) < opacity(0.9)


def test_a_crowd_of_three_hundred_is_folded_into_a_readable_width() -> None:
    ids = [f"kid/{i:03}" for i in range(299)]
    star = Graph(tuple(Node(name) for name in ["root", *ids]), tuple(Edge("root", name) for name in ids))
    assert not overlapping(star)
    assert layout(star).width < 10 * (WIDTH + GAP_X)


def test_siblings_are_ordered_so_that_their_lines_do_not_cross() -> None:
    graph = Graph(
        tuple(map(Node, ("a", "b", "a2", "b1", "a3", "b4"))),
        (Edge("a", "b4"), Edge("a", "a2"), Edge("b", "a3"), Edge("b", "b1")),
    )
    paths = [(points[0][0], points[-1][0]) for _, points in layout(graph).paths]
    assert not [1 for (a, b), (c, d) in combinations(paths, 2) if (a - c) * (b - d) < 0]
