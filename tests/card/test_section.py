"""What an answer gives to write: which verdicts may, the section, and the text of a pull request."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from hub_lineage import card
from hub_lineage.types import Edge, Graph, Node, Parent, Trace, Verdict
from tests.traces import ALL, MERGE, PARENT

HUB = "https://huggingface.co"


def with_parents(*parents: Parent, kind: str = "parent") -> Trace:
    verdict = Verdict("merge" if kind == "merge" else "parent", 0.9, 0.1, "Words.", None, parents)
    return replace(PARENT, verdict=verdict)


@pytest.mark.parametrize("kind", ["one_of", "family", "independent", "unknown"])
def test_an_open_answer_writes_nothing_and_says_why(kind: str) -> None:
    found = card.finding(ALL[kind])
    assert (found.parents, found.relation) == ((), None)
    assert found.reason


@pytest.mark.parametrize("relation", ["finetune", "adapter", "merge", "quantized"])
def test_a_parent_is_written_with_one_of_the_hub_s_relations(relation: str) -> None:
    found = card.finding(with_parents(Parent("org/p", None, relation, 0.9)))  # type: ignore[arg-type]  # parametrised
    assert (found.ids, found.relation, found.reason) == (["org/p"], relation, None)


@pytest.mark.parametrize(
    "parents",
    [
        (Parent("org/p", None, "duplicate", 0.9),),
        (Parent("./folder", None, "finetune", 0.9),),
        (Parent("org/p", None, "finetune", 0.5), Parent("org/q", None, "finetune", 0.4)),
        (),
    ],
)
def test_copies_local_folders_and_odd_verdicts_are_never_written(parents: tuple[Parent, ...]) -> None:
    found = card.finding(with_parents(*parents))
    assert found.relation is None
    assert found.reason


def test_a_merge_names_all_its_parents() -> None:
    found = card.finding(MERGE)
    assert (found.ids, found.relation) == (["mira/chat", "zoe/poems"], "merge")
    words = card.section(MERGE, found, HUB)
    assert "Merged from [mira/chat](https://huggingface.co/mira/chat) (.6) and [zoe/poems](" in words


def test_the_section_draws_the_child_and_its_ancestors_alone() -> None:
    found = card.finding(PARENT)
    words = card.section(PARENT, found, HUB)
    assert "Fine-tuned from [mira/chat](https://huggingface.co/mira/chat), with a probability of 86 %." in words
    drawing = re.search(r"```mermaid\n(.*?)\n```", words, re.DOTALL)
    assert drawing
    for name in ("aria/base", "aria/base-instruct", "mira/chat", "mira/night-chat", "(an unknown model)".strip("()")):
        assert name in drawing[1]
    for name in ("zoe/poems", "mira/day-chat", "aria/base-code"):
        assert name not in drawing[1]
    assert "declared" not in drawing[1]


def test_what_is_declared_alone_is_not_drawn() -> None:
    graph = Graph(
        (Node("org/p"), Node("org/said"), Node(PARENT.child.id)),
        (Edge("org/p", PARENT.child.id, probability=0.9), Edge("org/said", PARENT.child.id, declared=True, detected=False)),
    )
    answer = replace(with_parents(Parent("org/p", None, "finetune", 0.9)), graph=graph)
    assert "org/said" not in card.section(answer, card.finding(answer), HUB)


def test_a_declaration_that_is_taken_over_changes_no_section() -> None:
    found = card.finding(PARENT)
    bare = replace(PARENT.graph, edges=tuple(replace(edge, declared=False) for edge in PARENT.graph.edges))
    assert card.section(PARENT, found, HUB) == card.section(replace(PARENT, graph=bare), found, HUB)


def test_the_pull_request_holds_the_evidence_and_its_null() -> None:
    found = card.finding(PARENT)
    words = card.description(PARENT, found, HUB, "base_model: org/`other`")
    assert "mira/chat (probability 86 %):" in words
    assert "| correlation | .953 | .004 ± .011 | < .001 |" in words
    assert "hub-lineage trace mira/night-chat --among mira/chat" in words
    assert "`base_model: org/ other `" in words
    assert "hub_lineage: false" in words
    assert card.MARK in card.TITLE
    for line in words.splitlines():
        assert not line.startswith("|") or line.count("|") == 6


def test_names_cannot_break_out_of_the_section() -> None:
    evil = f'x"]\n```\n{card.END}<script>'
    graph = Graph((Node(evil), Node(PARENT.child.id)), (Edge(evil, PARENT.child.id, probability=0.9),))
    answer = replace(PARENT, graph=graph)
    words = card.section(answer, card.finding(answer), HUB)
    assert words.count("```") == 2
    assert card.END not in words
    assert "<script" not in words
