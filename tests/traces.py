"""Answers built by hand, one of every kind, for tests of what shows an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hub_lineage.types import (
    Agreement,
    Candidate,
    Child,
    Cost,
    Declaration,
    Edge,
    Evidence,
    Graph,
    Kinship,
    Node,
    Null,
    Parent,
    Relation,
    Trace,
    Verdict,
)

CHILD = "mira/night-chat"
COST = Cost(seconds=0.42, requests=7, bytes_read=183_000, bytes_total=14_000_000_000)
NULL = Null(mean=0.004, sd=0.011, n=240, source="unrelated models of this shape")


def evidence(correlation: float) -> tuple[Evidence, ...]:
    return (
        Evidence("correlation", correlation, NULL, p_value=1e-9 if correlation > 0.1 else 0.6, tensors=24),
        Evidence("identical_samples", correlation / 3, Null(0.01, 0.004, 240, "unrelated models of this shape"), tensors=24),
        Evidence("declaration", 1.0 if correlation > 0.9 else 0.0),
    )


def candidate(rank: int, name: str, probability: float, kinship: Kinship, correlation: float) -> Candidate:
    relation: Relation | None = "finetune" if kinship == "parent" else None
    return Candidate(rank, name, "c0ffee" * 6, probability, 0.99, relation, kinship, evidence(correlation))


def nodes(*names: str) -> tuple[Node, ...]:
    return tuple(Node(name, "c0ffee" * 6, "hidden" if name.startswith("hidden") else "model", "apache-2.0") for name in names)


GRAPH = Graph(
    nodes("aria/base", "aria/base-instruct", "hidden:1", "mira/chat", CHILD, "mira/day-chat", "zoe/poems", "aria/base-code"),
    (
        Edge("aria/base", "aria/base-instruct", "finetune", 0.97, declared=True),
        Edge("aria/base", "aria/base-code", "finetune", 0.88),
        Edge("aria/base-instruct", "hidden:1", "finetune", 0.7),
        Edge("hidden:1", "mira/chat", "finetune", 0.74),
        Edge("mira/chat", CHILD, "finetune", 0.86, declared=True),
        Edge("mira/chat", "mira/day-chat", "finetune", 0.66),
        Edge("hidden:1", "zoe/poems", "finetune", 0.58),
    ),
)


def answer(
    verdict: Verdict,
    candidates: tuple[Candidate, ...] = (),
    graph: Graph | None = None,
    agreement: Agreement = "undeclared",
    declared: tuple[Declaration, ...] = (),
) -> Trace:
    child = Child(CHILD, "c0ffee" * 6, "a1b2c3d4", 38_400)
    return Trace(child, verdict, candidates, declared, agreement, graph or Graph(nodes(CHILD)), COST)


FACTORS = {"dates": (14.0, 0.04, 1.0), "declared": (10.0, 1 / 3, 1 / 3), "downloads": (2.0, 1.0, 0.5)}


def with_soft(trace: Trace, counted: Sequence[str]) -> Trace:
    """An answer with lines of soft evidence: every other candidate's odds rise, fall or stay."""
    rows = []
    for place, row in enumerate(trace.candidates):
        moved = [Evidence(source, FACTORS[source][place % 3]) for source in counted]
        rows.append(replace(row, evidence=(*row.evidence, *moved, Evidence("weights_alone", row.probability / 2))))
    return replace(trace, candidates=tuple(rows))


PARENT = answer(
    Verdict(
        "parent",
        0.86,
        0.06,
        f"{CHILD} is a fine-tune of mira/chat.",
        settle=None,
        parents=(Parent("mira/chat", "c0ffee" * 6, "finetune", 0.86),),
    ),
    (
        candidate(1, "mira/chat", 0.86, "parent", 0.953),
        candidate(2, "mira/day-chat", 0.05, "sibling", 0.941),
        candidate(3, "aria/base-instruct", 0.02, "ancestor", 0.871),
        candidate(4, "zoe/poems", 0.01, "cousin", 0.801),
        candidate(5, "aria/base", 0.003, "ancestor", 0.79),
        candidate(6, "tom/other", 0.0, "unrelated", 0.011),
    ),
    GRAPH,
    "confirmed",
    (Declaration("mira/chat", "finetune", "README.md: base_model"),),
)
MERGE = answer(
    Verdict(
        "merge",
        0.91,
        0.05,
        f"{CHILD} is a merge of mira/chat and zoe/poems.",
        parents=(Parent("mira/chat", None, "merge", 0.93, 0.6), Parent("zoe/poems", None, "merge", 0.91, 0.4)),
    ),
    (
        replace(candidate(1, "mira/chat", 0.93, "parent", 0.83), relation="merge"),
        replace(candidate(2, "zoe/poems", 0.91, "parent", 0.71), relation="merge"),
    ),
    Graph(
        nodes("aria/base", "mira/chat", "zoe/poems", CHILD),
        (
            Edge("aria/base", "mira/chat", "finetune", 0.9),
            Edge("aria/base", "zoe/poems", "finetune", 0.8),
            Edge("mira/chat", CHILD, "merge", 0.93, 0.6),
            Edge("zoe/poems", CHILD, "merge", 0.91, 0.4),
        ),
    ),
)
ONE_OF = answer(
    Verdict(
        "one_of",
        0.94,
        0.06,
        f"{CHILD} comes from one of mira/chat and mira/day-chat.",
        "The head of mira/chat: its trunk is the same as that of mira/day-chat, bit by bit.",
    ),
    (candidate(1, "mira/chat", 0.48, "unknown", 0.999), candidate(2, "mira/day-chat", 0.46, "unknown", 0.999)),
)
FAMILY = answer(
    Verdict(
        "family",
        0.81,
        0.81,
        f"{CHILD} is kin to mira/chat; its parent is not among the known models.",
        "A model between the two, if there is one.",
    ),
    (candidate(1, "mira/chat", 0.1, "sibling", 0.6),),
    Graph(
        nodes("hidden:1", "mira/chat", CHILD),
        (Edge("hidden:1", "mira/chat", None, 0.8), Edge("hidden:1", CHILD, None, 0.8)),
    ),
    "contradicted",
    (Declaration("tom/other", "finetune", "README.md: base_model"),),
)
INDEPENDENT = answer(
    Verdict("independent", 0.98, 0.98, f"{CHILD} is related to none of the 6 models of its shape."),
    (candidate(1, "tom/other", 0.001, "unrelated", 0.012),),
)
UNKNOWN = answer(
    Verdict("unknown", 1.0, 1.0, f"No known model has the shape of {CHILD}.", "Give candidates: --among A B."),
)
ALL: dict[str, Trace] = {trace.verdict.kind: trace for trace in (PARENT, MERGE, ONE_OF, FAMILY, INDEPENDENT, UNKNOWN)}
