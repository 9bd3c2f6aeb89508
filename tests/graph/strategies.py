"""Random lineages, with names as hostile as the Hub could send."""

from __future__ import annotations

from hypothesis import strategies as st

from hub_lineage.types import Edge, Graph, Node, Relation

HOSTILE = [
    '<script>alert("x")</script>',
    'a"b',
    "a'b",
    "a\nb",
    "]|[",
    "-->",
    "n0",
    "\\",
    '\\"',
    "#quot;",
    "&lt;",
    "\x1b[31m",
    "\u202eab",
]
RELATIONS: list[Relation | None] = ["finetune", "adapter", "merge", "quantized", "duplicate", None]

names = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=12) | st.from_regex(r"[a-z]{1,8}/[a-z.-]{1,30}", fullmatch=True)
shares = st.none() | st.floats(0, 1)


@st.composite
def graphs(draw: st.DrawFn, most: int = 24) -> Graph:
    """Acyclic, because edges run only from earlier nodes to later ones; shuffled, so that order tells nothing."""
    ids = draw(st.lists(names, min_size=1, max_size=most, unique=True))
    nodes = [Node(name, kind=draw(st.sampled_from(("model", "model", "hidden")))) for name in ids]
    pairs = [(i, j) for j in range(len(ids)) for i in range(j)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=2 * len(ids))) if pairs else []
    edges = [
        Edge(
            ids[i], ids[j], draw(st.sampled_from(RELATIONS)), draw(shares), draw(shares), draw(st.booleans()), draw(st.booleans())
        )
        for i, j in chosen
    ]
    return Graph(tuple(draw(st.permutations(nodes))), tuple(draw(st.permutations(edges))))
