"""Every kind of answer, and what holds for any of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.judge import Judgement
from hub_lineage.types import Verdict
from hub_lineage.verdict import LIKELY, decide, unknown
from tests.strategies import OFTEN, judgements


def judged(odds: Sequence[float], kin: Sequence[bool] = (), clones: Sequence[int] = (), cut: float = 0.5) -> Judgement:
    """Odds of candidates 1, 2, ... to be the parent of model 0."""
    count = len(odds) + 1
    parent = np.zeros((count, count))
    parent[0, 1:] = odds
    related, clone = np.eye(count, dtype=bool), np.eye(count, dtype=bool)
    related[0, 1:] = list(kin) or [True] * len(odds)
    clone[0, list(clones)] = True
    cosine = np.zeros((count, count))
    cosine[0, 1:] = np.linspace(0.9, 0.3, count - 1)
    return Judgement(parent, 1 - parent.sum(axis=1), related, clone, {"cosine": cosine}, cut)


def said(judgement: Judgement, strangers: int = 0) -> Verdict:
    count = len(judgement.none)
    return decide(judgement, 0, [f"org/m{k}" for k in range(count)], [f"rev{k}" for k in range(count)], strangers)


def test_a_likely_candidate_is_the_parent() -> None:
    verdict = said(judged([0.1, 0.8, 0.05]))
    assert (verdict.kind, verdict.probability, verdict.none_probability) == ("parent", 0.8, 0.05)
    (parent,) = verdict.parents
    assert (parent.id, parent.revision, parent.relation, parent.probability) == ("org/m2", "rev2", "finetune", 0.8)
    assert "org/m2" in verdict.summary
    assert verdict.settle is None
    assert said(judged([0.1, 0.8, 0.05], cut=0.9)).settle


def test_several_about_as_likely_are_named_together() -> None:
    verdict = said(judged([0.3, 0.35, 0.25, 0.01]))
    assert (verdict.kind, verdict.probability, verdict.none_probability) == ("one_of", 0.9, 0.09)
    assert [parent.id for parent in verdict.parents] == ["org/m2", "org/m1", "org/m3"]
    assert verdict.probability == pytest.approx(sum(parent.probability for parent in verdict.parents))
    assert verdict.settle


def test_kin_without_odds_are_family() -> None:
    verdict = said(judged([0.05, 0.1, 0.05]))
    assert verdict.kind == "family"
    assert verdict.parents == ()
    assert verdict.probability >= 0.8 == verdict.none_probability
    assert "org/m1" in verdict.summary
    assert verdict.settle
    assert said(judged([0.1])).kind == "family"


def test_no_kin_is_independent() -> None:
    verdict = said(judged([0.0, 0.0], kin=[False, False]), strangers=40)
    assert (verdict.kind, verdict.none_probability, verdict.parents) == ("independent", 1.0, ())
    assert "42" in verdict.summary
    assert verdict.settle


def test_nothing_to_compare_is_unknown() -> None:
    verdict = unknown("Nothing is there.", "Crawl.")
    assert (verdict.kind, verdict.summary, verdict.settle) == ("unknown", "Nothing is there.", "Crawl.")
    assert (verdict.probability, verdict.none_probability) == (1.0, 1.0)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_equal_bodies_are_named_and_none_is_taken_for_the_parent(count: int) -> None:
    verdict = said(judged([0.5 / count] * count, clones=range(1, count + 1)))
    assert verdict.kind == "one_of"
    assert {parent.relation for parent in verdict.parents} == {"duplicate"}
    assert len(verdict.parents) == count
    assert verdict.probability == pytest.approx(0.5, abs=1e-3)
    assert verdict.probability + verdict.none_probability == pytest.approx(1.0, abs=1e-3)
    assert "to the bit" in verdict.summary
    assert ("..." in verdict.summary) == (count > 4)


def test_the_cut_decides_what_is_sure_and_even_odds_what_is_named() -> None:
    sure, likely, open_still = said(judged([0.6], cut=0.55)), said(judged([0.6], cut=0.65)), said(judged([0.45], cut=0.65))
    assert sure.kind == likely.kind == "parent"
    assert (sure.settle, open_still.kind) == (None, "family")
    assert likely.settle
    assert "Probably" in likely.summary
    assert "Probably" not in sure.summary


@given(judgements(), st.integers(0, 8), st.integers(0, 1000))
@OFTEN
def test_any_odds_make_an_answer_in_words(judgement: Judgement, child: int, strangers: int) -> None:
    count = len(judgement.none)
    child %= count
    ids, revisions = [f"org/m{k}" for k in range(count)], [None] * count
    verdict = decide(judgement, child, ids, revisions, strangers)
    assert verdict.summary.strip()
    assert verdict.summary[0].isupper()
    assert verdict.summary[-1] in ".!"
    assert 0 <= verdict.probability <= 1
    assert 0 <= verdict.none_probability <= 1
    assert (verdict.kind == "independent") == (judgement.kin[child].sum() == 1)
    assert bool(verdict.parents) == (verdict.kind in {"parent", "one_of"})
    assert ids[child] not in {parent.id for parent in verdict.parents}
    for parent in verdict.parents:
        place = ids.index(parent.id)
        assert parent.probability == pytest.approx(judgement.parent[child, place], abs=1e-4)
        assert (parent.relation == "duplicate") == judgement.clone[child, place]
        assert judgement.kin[child, place]
    if verdict.kind == "parent":
        assert verdict.probability == pytest.approx(judgement.parent[child].max(), abs=1e-4)
        assert verdict.probability >= LIKELY - 1e-4
        assert (verdict.settle is None) == (judgement.parent[child].max() >= judgement.cut)
    if verdict.kind != "parent":
        assert verdict.settle
