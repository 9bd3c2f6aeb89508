"""A lineage as one self-contained SVG that a mouse, a keyboard and a screen reader can use.

It names no other host. Colours follow the page's variables ``--hl-*`` where there are any, otherwise the reader's
light or dark setting.
"""

from __future__ import annotations

from collections import Counter

from hub_lineage.graph import edge_label, label
from hub_lineage.layout import GAP_Y, HEIGHT, WIDTH, Layout, layout
from hub_lineage.types import Edge, Graph, Node
from hub_lineage.words import HIDDEN, markup, short

MARGIN = 16
LEAST = 0.65  # how far a page may shrink the drawing and leave it readable
CHARACTERS = 21  # of a name that fit into a node

_VARIABLES = {  # name: light, dark
    "ink": ("#1c2530", "#e8edf3"),
    "soft": ("#5f6b7a", "#9aa7b6"),
    "line": ("#51606f", "#a5b3c2"),
    "card": ("#ffffff", "#1d242d"),
    "rim": ("#c9d2dc", "#3c4856"),
    "focus": ("#0b6e74", "#4fc3c9"),
    "wash": ("#e3f3f3", "#12383b"),
    "doubt": ("#a8442a", "#f0a08a"),
}


def _style() -> str:
    """The style sheet inside the SVG; ``var(--hl-ink, ...)`` lets the page around it decide."""
    light = "".join(f"--{name}:var(--hl-{name},{pair[0]});" for name, pair in _VARIABLES.items())
    dark = "".join(f"--{name}:var(--hl-{name},{pair[1]});" for name, pair in _VARIABLES.items())
    return (
        f".hl-graph{{{light}font-family:ui-sans-serif,system-ui,sans-serif}}"
        f"@media(prefers-color-scheme:dark){{.hl-graph{{{dark}}}}}"
        ".hl-graph text{fill:var(--ink);font-size:13px;text-anchor:middle}"
        ".hl-graph .hl-org{fill:var(--soft);font-size:11px}"
        ".hl-graph .hl-name{font-weight:600}"
        ".hl-graph .hl-node{cursor:pointer;outline:none}"
        ".hl-graph .hl-node rect{fill:var(--card);stroke:var(--rim);stroke-width:1.2}"
        ".hl-graph .hl-hidden rect{stroke:var(--soft);stroke-dasharray:5 4}"
        ".hl-graph .hl-hidden text{fill:var(--soft);font-style:italic;font-weight:400}"
        ".hl-graph .hl-focus rect{fill:var(--wash);stroke:var(--focus);stroke-width:2.4}"
        ".hl-graph .hl-node:hover rect{stroke:var(--focus)}"
        ".hl-graph .hl-node:focus-visible rect,.hl-graph .hl-node[aria-pressed=true] rect{stroke:var(--focus);stroke-width:3.4}"
        ".hl-graph path{fill:none;stroke:var(--line);stroke-width:1.8}"
        ".hl-graph path.hl-declared{stroke:var(--doubt);stroke-dasharray:3 4}"
        ".hl-graph .hl-edge text{fill:var(--soft);font-size:11px;paint-order:stroke;stroke:var(--hl-page,transparent);"
        "stroke-width:6px;stroke-linejoin:round}"
        ".hl-graph .hl-declared text{fill:var(--doubt)}"
    )


def to_svg(graph: Graph, focus: str | None = None, title: str = "Ancestry") -> str:
    """The drawing; every node is a button with ``data-id``, parents stand above their children.

    Args:
        graph: The lineage.
        focus: The ID of the model asked about, drawn in another colour.
        title: What a screen reader calls the drawing.
    """
    plan = layout(graph)
    width, height = plan.width + 2 * MARGIN, plan.height + 2 * MARGIN
    several = Counter(edge.child for edge in graph.edges)
    lines = "".join(_line(edge, points) for edge, points in plan.paths)
    labels = "".join(_words(edge, points, alone=several[edge.child] == 1) for edge, points in plan.paths)
    order = sorted(graph.nodes, key=lambda node: (plan.centres[node.id][1], plan.centres[node.id][0]))
    nodes = "".join(_node(node, plan, focus=focus) for node in order)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="hl-graph" viewBox="{-MARGIN} {-MARGIN} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="min-width:{LEAST * width:.0f}px" '
        f'role="group" aria-labelledby="hl-title" aria-describedby="hl-desc">'
        f'<title id="hl-title">{markup(title)}</title><desc id="hl-desc">{markup(_describe(graph))}</desc>'
        f"<style>{_style()}</style>{lines}{labels}{nodes}</svg>"
    )


def _describe(graph: Graph) -> str:
    hidden = sum(node.kind == "hidden" for node in graph.nodes)
    models = len(graph.nodes) - hidden
    known = f"{models} model{'' if models == 1 else 's'}"
    unknown = f" and {hidden} place{'' if hidden == 1 else 's'} that no known model fills" if hidden else ""
    return f"{known}{unknown}; parents stand above their children."


def _line(edge: Edge, points: tuple[tuple[float, float], ...]) -> str:
    """A curve from the foot of the parent to the head of the child; the surer, the stronger."""
    (x, y), *rest = points
    y += HEIGHT / 2
    path = f"M{x:.1f} {y:.1f}"
    for i, (to_x, centre) in enumerate(rest):
        to_y = centre - HEIGHT / 2 if i == len(rest) - 1 else centre
        bend = (y + to_y) / 2
        path += f"C{x:.1f} {bend:.1f} {to_x:.1f} {bend:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    opacity = 0.3 + 0.7 * (edge.probability if edge.probability is not None else 0.5)
    return f'<path class="{_kind(edge)}" d="{path}" opacity="{opacity:.2f}"/>'


def _kind(edge: Edge) -> str:
    return "hl-edge" if edge.detected else "hl-edge hl-declared"


def _words(edge: Edge, points: tuple[tuple[float, float], ...], *, alone: bool) -> str:
    """What an edge says, above its child; on its curve where several edges end at one child."""
    (before, _), (x, y) = points[-2:]
    # Alone, just above its child; one of several, halfway along its own curve.
    spot, rise = (x, 8.0) if alone else ((before + x) / 2, GAP_Y / 2 - 4)
    words = edge_label(edge)
    return (
        f'<g class="{_kind(edge)}"><title>{markup(f"{edge.parent} to {edge.child}: {words}")}</title>'
        f'<text x="{spot:.1f}" y="{y - HEIGHT / 2 - rise:.1f}">{markup(short(words, 34))}</text></g>'
    )


def _node(node: Node, plan: Layout, *, focus: str | None) -> str:
    x, y = plan.centres[node.id]
    kinds = ["hl-node", *(["hl-hidden"] if node.kind == "hidden" else []), *(["hl-focus"] if node.id == focus else [])]
    box = f'<rect x="{x - WIDTH / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{WIDTH}" height="{HEIGHT}" rx="9"/>'
    full = label(node) + (", the model asked about" if node.id == focus else "")
    return (
        f'<g class="{" ".join(kinds)}" tabindex="0" role="button" aria-label="{markup(full)}" data-id="{markup(node.id)}">'
        f"<title>{markup(full)}</title>{box}{_label(node, x, y)}</g>"
    )


def _label(node: Node, x: float, y: float) -> str:
    if node.kind == "hidden":
        return f'<text class="hl-name" x="{x:.1f}" y="{y + 4:.1f}">{HIDDEN}</text>'
    owner, _, name = node.id.rpartition("/")
    if not owner:
        return f'<text class="hl-name" x="{x:.1f}" y="{y + 4:.1f}">{markup(short(name, CHARACTERS))}</text>'
    return (
        f'<text class="hl-org" x="{x:.1f}" y="{y - 7:.1f}">{markup(short(owner, CHARACTERS))}</text>'
        f'<text class="hl-name" x="{x:.1f}" y="{y + 12:.1f}">{markup(short(name, CHARACTERS))}</text>'
    )
