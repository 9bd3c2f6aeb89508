"""An answer in words for the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage import terminal
from hub_lineage.evidence.soft import SOURCES
from hub_lineage.types import Candidate, Cost, Trace, Verdict
from hub_lineage.words import COUNTED, amount, chance, counted, figure, markup, one_line, percent, short, times
from tests import traces


def test_the_table_ranks_with_odds_kinship_and_figures_beside_their_null() -> None:
    head, first, second, *_ = terminal.table(traces.PARENT.candidates).splitlines()
    assert head == "#  model               parent     kinship           relation   evidence (what unrelated models give)"
    assert first.startswith(
        "1  mira/chat           86 %       parent            fine-tune  correlation .953 (.004 ± .011), identical"
    )
    assert second.startswith(
        "2  mira/day-chat       5 %        sibling                      correlation .941 (.004 ± .011), identical"
    )


@pytest.mark.parametrize("trace", traces.ALL.values(), ids=traces.ALL)
def test_every_kind_of_answer_is_told(trace: Trace) -> None:
    text = terminal.render(trace)
    assert text.startswith(trace.verdict.summary)
    assert (trace.verdict.settle or "") in text
    assert text.endswith("Cost: 0.42 s, 7 requests, 183 kB read of 14 GB.\n")
    assert all(candidate.id in text for candidate in trace.candidates)
    assert all(declared.id in text for declared in trace.declared)


def test_bold_marks_the_verdict_the_headings_and_the_model_asked_about() -> None:
    lines = terminal.render(traces.PARENT, bold=lambda text: f"**{text}**").splitlines()
    marked = [line.strip("*") for line in lines if line.startswith("**")]
    assert len(marked) == 4
    assert marked[0] == traces.PARENT.verdict.summary
    assert marked[-1].endswith("◀ this model")


@given(st.text(), st.text())
def test_no_name_can_steer_a_terminal(name: str, settle: str) -> None:
    verdict = Verdict("family", 0.5, 0.5, f"{name}\x1b[2J", settle)
    row = Candidate(1, f"{name}\x1b]0;x\x07\r", None, 0.5, 0.5, None, "unknown")
    text = terminal.render(traces.answer(verdict, (row,)))
    assert all(c.isprintable() or c in "\n\u3000" or c.isspace() for c in text)
    assert not set("\x1b\x07\r\x00\u202e\u2028") & set(text)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (-0.0002, "0"), (1.0, "1"), (0.9534, ".953"), (-0.05, "-.050"), (12.34, "12.3"), (4e5, "4.0e+05")],
)
def test_figures(value: float, words: str) -> None:
    assert figure(value) == words


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_odds_are_never_rounded_to_certainty(share: float) -> None:
    assert percent(share) not in {"0 %", "100 %"}


def test_certainty_amounts_and_chances() -> None:
    assert (percent(0), percent(1), percent(0.5)) == ("0 %", "100 %", "50 %")
    assert [amount(n) for n in (0, 999, 1000, 183_000, 14_000_000_000)] == ["0 B", "999 B", "1.0 kB", "183 kB", "14 GB"]
    assert (chance(1e-9), chance(0.04)) == ("< .001", ".040")


def test_cost_leaves_out_what_is_not_known() -> None:
    assert terminal.cost(replace(Cost(), requests=1, bytes_read=10)) == "Cost: 1 request, 10 B read."
    assert terminal.cost(Cost(seconds=123.456)).startswith("Cost: 123.5 s, 0 requests")


@given(st.text(), st.integers(8, 40))
def test_short_names_keep_both_ends(text: str, limit: int) -> None:
    cut = short(text, limit)
    assert len(cut) <= limit
    whole = one_line(text)
    assert cut == whole or (cut[0] == whole[0] and cut[-1] == whole[-1])


@given(st.text())
def test_markup_holds_nothing_that_html_or_a_template_reads(text: str) -> None:
    assert not set("<>\"'{}$`\\\n\x00") & set(markup(text))


def test_soft_evidence_is_told_in_words_beside_the_odds_before() -> None:
    soft = traces.with_soft(traces.PARENT, ("dates", "declared", "downloads"))
    rows = terminal.table(soft.candidates).splitlines()[1:]
    assert rows[0].endswith(
        "uploaded before it: odds × 14, named as its base: odds × 10, used more than most: odds × 2, by weights alone 43 %"
    )
    assert rows[1].endswith("uploaded after it: odds × 0.04, cards speak against it: odds × 0.33, by weights alone 2 %")
    assert "correlation .953" in rows[0], "beside the figures of weights, not in their place"
    assert rows[5] == terminal.table(traces.PARENT.candidates).splitlines()[6], "an unrelated model has no odds to move"


def test_every_soft_source_has_words_for_more_less_and_nothing() -> None:
    assert set(COUNTED) == set(SOURCES)
    for source in SOURCES:
        assert len({counted(source, factor) for factor in (2.0, 0.5, 1.0)}) == 3
    assert counted("correlation", 2.0) == ""
    assert (times(0.04), times(14.0), times(1.96)) == ("× 0.04", "× 14", "× 2")
