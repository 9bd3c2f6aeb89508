"""Dates, declarations and downloads counted beside weights, on a Hub that serves all three."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_lineage import terminal
from hub_lineage.crawl import crawl
from hub_lineage.errors import UsageError
from hub_lineage.evidence.soft import SOURCES
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub, write_model
from hub_lineage.trace import trace
from hub_lineage.types import Candidate, Trace
from tests.simulated import tree
from tests.test_trace import weights

#            0 root, 1 parent, 2 and 3 its children, 4 a child of 2, 5 a stranger
PARENTS = [-1, 0, 1, 1, 2, -1]
STEPS = [1.0, 0.35, 0.3, 0.3, 0.3, 1.0]
NAMES = ["root", "parent", "child", "sibling", "grandchild", "stranger"]
DAYS = ["2024-01-01", "2024-02-01", "2024-03-01", "2024-03-05", "2024-04-01", "2024-01-01"]
COPY = "copy"  # of the child, uploaded before it


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, models = tmp_path_factory.mktemp("counted"), tree(PARENTS, STEPS, seed=3)
    for place, name in enumerate(NAMES):
        write_model(root / name, weights(models, place))
    return root


@pytest.fixture(scope="module")
def served(folders: Path) -> Iterator[Hub]:
    with LoopbackHub() as loopback:
        for name, day in zip(NAMES, DAYS, strict=True):
            card = {"base_model": "org/stranger"} if name == "child" else None
            downloads = 100_000 if name == "root" else 50
            loopback.add_repo(f"org/{name}", folder=folders / name, created_at=f"{day}T00:00:00Z", card=card, downloads=downloads)
        loopback.add_repo(f"org/{COPY}", folder=folders / "child", created_at="2024-02-15T00:00:00Z")
        loopback.add_repo(
            "org/renamed", folder=folders / "child", created_at="2024-03-01T00:00:00Z", card={"base_model": f"org/{COPY}"}
        )
        loopback.add_repo(
            "org/lost", folder=folders / "child", created_at="2024-05-01T00:00:00Z", card={"base_model": "/home/me/base"}
        )
        with Hub(loopback.url, token=False) as hub:
            yield hub
        assert loopback.crashes == []


def ids(*left_out: str) -> list[str]:
    return [f"org/{name}" for name in NAMES if name not in left_out]


def rows(found: Trace) -> dict[str, Candidate]:
    return {candidate.id.removeprefix("org/"): candidate for candidate in found.candidates}


def line(candidate: Candidate, source: str) -> float | None:
    return next((each.value for each in candidate.evidence if each.source == source), None)


def test_nothing_is_counted_unless_it_is_asked_for(served: Hub) -> None:
    found = trace("org/child", among=ids(), hub=served)
    assert all(each.source not in {*SOURCES, "weights_alone"} for row in found.candidates for each in row.evidence)


def test_dates_move_the_odds_by_visible_factors(served: Hub) -> None:
    plain, found = (rows(trace("org/child", among=ids(), hub=served, counted=asked)) for asked in ((), ("dates",)))
    assert {name: line(row, "weights_alone") for name, row in found.items()} == {
        name: pytest.approx(row.probability, abs=1e-4) for name, row in plain.items()
    }
    assert (line(found["parent"], "dates") or 0) >= 1.96
    assert line(found["grandchild"], "dates") == pytest.approx(0.04, abs=0.02)
    for one, other in (("parent", "grandchild"), ("root", "sibling")):
        moved = found[one].probability * plain[other].probability
        assert moved > found[other].probability * plain[one].probability
        factors = (line(found[one], "dates") or 0) / (line(found[other], "dates") or 1)
        assert moved == pytest.approx(factors * found[other].probability * plain[one].probability, rel=0.01)


@pytest.mark.parametrize("counted", [("dates",), ("declared",), ("downloads",), SOURCES])
def test_odds_still_sum_to_one_and_the_graph_follows_them(served: Hub, counted: tuple[str, ...]) -> None:
    found = trace("org/child", among=ids(), hub=served, counted=counted)
    assert sum(row.probability for row in found.candidates) + found.verdict.none_probability == pytest.approx(1, abs=1e-6)
    for row in found.candidates:
        assert [each.source for each in row.evidence if each.source in SOURCES] == list(counted)
        edges = [e for e in found.graph.edges if (e.parent, e.child) == (row.id, "org/child") and e.detected]
        assert all(edge.probability == pytest.approx(row.probability, abs=1e-4) for edge in edges)


def test_a_declaration_that_is_counted_does_not_confirm_itself(served: Hub) -> None:
    alone, counted = (
        trace("org/renamed", among=[f"org/{COPY}", "org/child"], hub=served, counted=c) for c in ((), ("declared",))
    )
    assert rows(counted)[COPY].probability > rows(alone)[COPY].probability
    assert counted.verdict.kind == "parent"
    assert "by weights alone" in counted.verdict.summary
    assert counted.verdict.settle, "weights don't make it sure"
    assert counted.agreement == alone.agreement


def test_a_false_declaration_makes_no_stranger_kin(served: Hub) -> None:
    found = trace("org/child", among=ids(), hub=served, counted=("declared",))
    assert (rows(found)["stranger"].kinship, rows(found)["stranger"].probability) == ("unrelated", 0.0)
    assert line(rows(found)["stranger"], "declared") == 10.0
    assert found.agreement in {"contradicted", "unverifiable"}


def test_a_path_that_nobody_can_check_speaks_against_no_candidate(served: Hub) -> None:
    found = trace("org/lost", among=ids("child"), hub=served, counted=("declared",))
    assert found.declared
    assert {line(row, "declared") for row in found.candidates} == {1.0}


def test_dates_tell_which_of_two_equal_bodies_came_first(served: Hub) -> None:
    alone, dated = (trace("org/child", among=[f"org/{COPY}", "org/lost"], hub=served, counted=c) for c in ((), ("dates",)))
    assert alone.verdict.kind == "one_of"
    assert "--with dates" in (alone.verdict.settle or "")
    assert [parent.id for parent in dated.verdict.parents][:1] == [f"org/{COPY}"]
    assert rows(dated)[COPY].probability > rows(dated)["lost"].probability
    assert "--with dates" not in (dated.verdict.settle or "")


def test_what_a_registry_holds_is_dated_too(served: Hub, tmp_path: Path) -> None:
    named = trace("org/child", among=ids("child"), hub=served, counted=SOURCES)
    with Registry.open(tmp_path / "registry", write=True) as registry:
        crawl(registry, hub=served, ids=ids("child"))
        found = trace("org/child", registry=registry, hub=served, budget=0, counted=SOURCES)
    assert {name: row.probability for name, row in rows(found).items()} == {
        name: pytest.approx(row.probability, abs=2e-3) for name, row in rows(named).items()
    }


@pytest.mark.parametrize(
    ("counted", "declared", "word"), [(("date",), True, "'date'"), ("names", True, "'names'"), (("declared",), False, "left out")]
)
def test_what_cannot_be_counted_is_said(served: Hub, counted: tuple[str, ...], declared: bool, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        trace("org/child", among=ids(), hub=served, counted=counted, declared=declared)
    assert caught.value.hint


def test_one_word_alone_is_understood_and_order_and_repetition_tell_nothing(served: Hub) -> None:
    one, other = (
        trace("org/child", among=ids(), hub=served, counted=c).candidates
        for c in (("downloads", "dates", "dates"), ("dates", "downloads"))
    )
    assert one == other
    assert (
        trace("org/child", among=ids(), hub=served, counted="dates").candidates
        == trace("org/child", among=ids(), hub=served, counted=["dates"]).candidates
    )


def test_the_terminal_says_in_words_what_was_counted(served: Hub) -> None:
    table = terminal.table(trace("org/child", among=ids(), hub=served, counted=("dates",)).candidates)
    (parent,) = [row for row in table.splitlines() if " org/parent " in row]
    assert "uploaded before it: odds × " in parent
    assert "by weights alone " in parent
    (stranger,) = [row for row in table.splitlines() if " org/stranger " in row]
    assert "odds" not in stranger
