"""Every kind of answer, and what holds for any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence.soft import SOURCES, Soft
from hub_lineage.judge import Judgement
from hub_lineage.sampling import FULL_SCHEME, SCHEME
from hub_lineage.tensors import architecture_key
from hub_lineage.types import Declaration, Model, Tensor, Verdict
from hub_lineage.verdict import LIKELY, decide, unknown
from tests.simulated import model_of
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


def said(
    judgement: Judgement,
    strangers: int = 0,
    known: Sequence[Model] = (),
    alone: Judgement | None = None,
    counted: Sequence[Soft] = (),
) -> Verdict:
    count = len(judgement.none)
    ids, revisions = [f"org/m{k}" for k in range(count)], [f"rev{k}" for k in range(count)]
    return decide(judgement, 0, ids, revisions, strangers, known=known, alone=alone, counted=counted)


def known(
    days: Sequence[str | None],
    names: Sequence[str] = (),
    sizes: Sequence[int] = (),
    where: str = "README.md: base_model",
    *,
    whole: bool = False,
    scheme: str = SCHEME,
) -> list[Model]:
    """Models uploaded on those days of 2026; the first one declares some names. ``whole``: all weights were sampled."""
    plain = model_of("org/m0", [np.eye(2)])
    key = architecture_key([Tensor("it", "F32", (2, 2), "", 0, 16)]) if whole else "of more tensors"
    found = []
    for k, day in enumerate(days):
        size = sizes[k] if sizes else 100
        print_ = replace(plain.fingerprint, parameters=size, architecture=key, scheme=scheme)
        found.append(replace(plain, id=f"org/m{k}", created_at=day and f"2026-{day}T00:00:00.000Z", fingerprint=print_))
    return [replace(found[0], declared=tuple(Declaration(name, None, where) for name in names)), *found[1:]]


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


def test_each_kind_gives_its_reason_in_words() -> None:
    assert "fit each of them about as well" in said(judged([0.3, 0.35, 0.25])).summary
    assert "copies of one another" in said(copies_of_one_parent()).summary
    assert "siblings, descendants or other kin" in said(judged([0.05, 0.1])).summary
    assert "a sibling, a descendant or other kin" in said(judged([0.1])).summary
    assert "too little to state it" in said(judged([0.45, 0.1], cut=0.9)).summary
    assert "than chance gives" in said(judged([0.0], kin=[False])).summary
    assert "weights can't tell" in said(judged([0.5], clones=[1])).summary


def copies_of_one_parent() -> Judgement:
    found = judged([0.3, 0.3])
    found.clone[1, 2] = found.clone[2, 1] = True
    return found


MORE = "a reading of more weights (--depth full)"
TIED = judged([0.3, 0.35, 0.3])
SAME = judged([0.2, 0.2, 0.2], clones=[1, 2, 3])
COPY = judged([0.5], clones=[1])


@pytest.mark.parametrize(
    ("judgement", "facts", "settle"),
    [
        (TIED, known([None] * 4), f"Dates of upload, a declaration or {MORE} would tell them apart."),
        (TIED, known([None] * 4, whole=True), "Dates of upload or a declaration would tell them apart."),
        (TIED, known([None] * 4, scheme=FULL_SCHEME), "Dates of upload or a declaration would tell them apart."),
        (TIED, known([None] * 4, ["x/y"]), f"Dates of upload or {MORE} would tell them apart."),
        (TIED, known(["05-01", *["01-01"] * 3]), f"A declaration or {MORE} would tell them apart."),
        (TIED, known(["05-01", "01-01", "06-01", "06-02"]), "Only org/m1 is older than it, which --with dates counts."),
        (TIED, known(["05-01", "01-01", "06-01", "02-02"]), "2 of the 3 are older than it, which --with dates counts."),
        (
            TIED,
            known(["05-01", "06-01", "06-01", "07-02"]),
            "All 3 were uploaded after it, which parents seldom are; --with dates counts that.",
        ),
        (
            TIED,
            known(["05-01", "01-01", "06-01", None], ["org/M3"]),
            "Only org/m3 is named by it as its base, which --with declared counts.",
        ),
        (
            TIED,
            known([None] * 4, sizes=[9, 9, 8, 8]),
            "Only org/m1 is as large as it with its head: compare the shapes of the heads.",
        ),
        (
            TIED,
            known(["05-01", "01-01", "06-01", "06-02"], ["org/m1"]),
            (
                "Only org/m1 is named by it as its base, which --with declared counts. "
                "Only org/m1 is older than it, which --with dates counts."
            ),
        ),
        (
            TIED,
            known(["05-01", *["01-01"] * 3], ["x/y"], whole=True),
            "Only its author could tell, by an earlier checkpoint or a training log.",
        ),
        (SAME, known([None] * 4), "Dates of upload or a declaration would tell which came first."),
        (SAME, known(["05-01", *["01-01"] * 3]), "All 3 are older than it, which --with dates counts."),
        (COPY, known(["05-01", "01-01"]), "org/m1 is older than it, which --with dates counts."),
        (COPY, known(["05-01", "06-01"]), "org/m1 was uploaded after it, which parents seldom are; --with dates counts that."),
        (COPY, known([None, None], ["org/m1"]), "org/m1 is named by it as its base, which --with declared counts."),
        (COPY, known([None, None], sizes=[9, 8]), "Dates of upload or a declaration would tell which came first."),
    ],
)
def test_a_tie_is_broken_by_what_would_really_break_it(judgement: Judgement, facts: list[Model], settle: str) -> None:
    verdict = said(judgement, known=facts)
    assert (verdict.kind, verdict.settle) == ("one_of", settle)
    plain = said(judgement)
    assert (verdict.kind, verdict.probability, verdict.summary) == (plain.kind, plain.probability, plain.summary)


def test_what_was_counted_already_settles_nothing_more() -> None:
    facts = known(["05-01", "01-01", "06-01", "06-02"], ["org/m1"])
    assert "dates" not in (said(TIED, known=facts, alone=TIED, counted=("dates",)).settle or "")
    assert "declared" not in (said(TIED, known=facts, alone=TIED, counted=("declared",)).settle or "")
    assert said(TIED, known=facts, alone=TIED, counted=SOURCES).settle == f"A{MORE[1:]} would tell them apart."


@pytest.mark.parametrize("judgement", [judged([0.05, 0.1]), judged([0.0], kin=[False])])
def test_a_declared_base_that_was_not_compared_is_the_next_step(judgement: Judgement) -> None:
    facts = known([None] * 3, ["org/m1", "org/elsewhere"])
    assert said(judgement, known=facts).settle == (
        "It names org/elsewhere, which is not among the models compared: add that one with --among."
    )
    for names, where in ((["org/m1"], ""), (["org/elsewhere"], "README.md: base_model (not on the Hub)"), (["/home/x"], "")):
        plain = said(judgement, known=known([None] * 3, names, where=where)).settle
        assert plain == said(judgement).settle


def test_a_likely_parent_that_is_younger_is_doubted_aloud_and_no_odds_move() -> None:
    likely = judged([0.6], cut=0.9)
    facts = known(["05-01", "06-01"])
    verdict = said(likely, known=facts)
    assert (verdict.kind, verdict.probability, verdict.summary) == ("parent", 0.6, said(likely).summary)
    assert "uploaded after it" in (verdict.settle or "")
    assert "uploaded after it" not in (said(likely, known=known(["05-01", "01-01"])).settle or "")
    assert "uploaded after it" not in (said(likely, known=facts, alone=likely, counted=("dates",)).settle or "")


def test_soft_evidence_names_a_parent_with_the_odds_before_and_never_makes_one_sure() -> None:
    verdict = said(judged([0.95], cut=0.8), alone=judged([0.55]), counted=("dates",))
    assert verdict.summary == "Probably fine-tuned from org/m1 (95%; 55% by weights alone)."
    assert verdict.settle
    assert said(judged([0.95], cut=0.8), alone=judged([0.85]), counted=("dates",)).settle is None


def test_soft_evidence_tells_equal_bodies_apart() -> None:
    verdict = said(judged([0.9, 0.02], clones=[1, 2], cut=0.8), alone=judged([0.2, 0.2], clones=[1, 2]), counted=("dates",))
    assert (verdict.kind, [parent.relation for parent in verdict.parents]) == ("parent", ["duplicate"])
    assert verdict.summary == "Probably made from org/m1 (90%; 20% by weights alone)."
    assert said(judged([0.9, 0.02], clones=[1, 2])).kind == "one_of"


def test_copies_of_a_likely_parent_are_named_together_however_many() -> None:
    """Each copy has a small share of the odds, and all of them together are what counts."""
    for count in (2, 4, 5, 300):
        odds = judged([0.8 / count] * count, cut=0.7)
        odds.clone[1:, 1:] = True
        found = said(odds)
        assert (found.kind, len(found.parents)) == ("one_of", count)
        assert found.probability == pytest.approx(0.8)
        assert "copies of one another" in found.summary
        assert ("..." in found.summary) == (count > 4)


def test_many_about_as_likely_are_not_said_to_be_probably_no_parent() -> None:
    found = said(judged([0.11] * 8, cut=0.7))
    assert found.kind == "family"
    assert found.none_probability == pytest.approx(0.12)
    assert "may be among them" in found.summary
    assert found.settle


def test_one_alone_is_never_one_of_several() -> None:
    assert said(judged([0.45, 0.01], cut=0.3)).kind == "family"


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
