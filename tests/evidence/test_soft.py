"""What is known of models beside their weights, and how little it may do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence import soft
from hub_lineage.evidence.soft import SOURCES, lines, log_ratio, moved, older
from hub_lineage.judge import Judgement
from hub_lineage.types import Declaration, Evidence, Model
from tests.simulated import model_of
from tests.strategies import OFTEN, judgements

ROOT = model_of("org/root", [np.zeros((2, 2))])
EVEN = math.log((1 - soft.UPLOADED_LATER) / soft.UPLOADED_LATER)  # between an older and a younger model
MOST = {"dates": math.log(1000), "declared": math.log(300), "downloads": math.log(9)}  # between any two candidates


def model(name: str, day: str | None = None, names: tuple[str, ...] = (), downloads: int | None = None) -> Model:
    declared = tuple(Declaration(base, None, "README.md: base_model") for base in names)
    return replace(ROOT, id=name, created_at=day, declared=declared, downloads=downloads)


def ratio_of(source: soft.Soft, crowd: list[Model], parent: np.ndarray | None = None) -> np.ndarray:
    return log_ratio(source, crowd, np.zeros((len(crowd), len(crowd))) if parent is None else parent)


days = st.none() | st.dates().map(lambda day: f"{day.isoformat()}T00:00:00.000Z") | st.text(max_size=12)
names = st.sampled_from(["a/1", "a/2", "b/3", "B/3", ""])
bases = st.sampled_from([(), ("a/1",), ("b/3", "x/y")])
models = st.builds(model, names, days, bases, st.none() | st.integers(0, 10**12))


def test_a_parent_is_seldom_younger_than_its_child() -> None:
    crowd = [model("a/child", "2026-03-01"), model("a/old", "2026-01-01"), model("a/new", "2026-05-01"), model("a/none")]
    row = ratio_of("dates", crowd)[0]
    assert row[1] == pytest.approx(math.log(1.96))
    assert row[2] == pytest.approx(math.log(0.04))
    assert (row[0], row[3]) == (0.0, 0.0)
    assert row[1] - row[2] == pytest.approx(EVEN)


def test_where_only_the_direction_is_open_dates_decide_it() -> None:
    crowd = [model("a/child", "2026-03-01"), model("a/older", "2026-01-01"), model("a/younger", "2026-05-01")]
    parent = np.array([[0, 0.3, 0.3], [0.6, 0, 0.1], [0.6, 0.1, 0]])
    row = ratio_of("dates", crowd, parent)[0]
    assert row[1] > math.log(1.96)
    assert row[2] < math.log(0.04)
    backwards = 0.6 / 0.7
    assert row[1] == pytest.approx(math.log(0.98 / (0.02 * backwards + 0.5 * (1 - backwards))))


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", True),
        ("2026-01-02", "2026-01-01T00:00:00+00:00", False),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:59:00.000Z", None),  # one batch
        ("2026-01-01T00:00:00.000Z", "2026-01-01T01:01:00.000Z", True),
        ("2022-03-02T23:29:04.000Z", "2022-03-02T23:29:04.000Z", None),  # all that is older than the Hub's dates
        ("2026-01-01T12:00:00+02:00", "2026-01-01T11:30:00Z", True),
        (None, "2026-01-01", None),
        ("yesterday", "2026-01-01", None),
        ("", "2026-01-01", None),
    ],
)
def test_dates_are_read_as_the_hub_writes_them(one: str | None, other: str, said: bool | None) -> None:
    assert older(model("a", one), model("b", other)) is said
    assert older(model("b", other), model("a", one)) is (None if said is None else not said)


def test_what_a_card_names_is_likelier_and_what_names_the_child_less_likely() -> None:
    crowd = [
        model("a/child", names=("Org/Base", "a/child")),
        model("org/base"),
        model("a/other"),
        model("a/below", names=("A/child",)),
    ]
    row = ratio_of("declared", crowd)[0]
    np.testing.assert_allclose(np.exp(row), [1, 10, 1 / 3, 1 / 30])
    assert not ratio_of("declared", [model("a", names=("a",)), model("b")]).any()


def test_the_more_is_downloaded_the_likelier() -> None:
    crowd = [model("child", downloads=5), *(model(f"m{n}", downloads=n) for n in (0, 90, 10**9)), model("unknown")]
    row = ratio_of("downloads", crowd)[0]
    assert row[0] == row[4] == row[2] == 0  # itself, unknown, and the median
    assert row[3] == pytest.approx(math.log(3))
    assert row[1] == pytest.approx(math.log(10 / 100) / 3)
    assert not ratio_of("downloads", [model("child"), model("one")]).any()


@given(st.lists(models, min_size=1, max_size=6), st.sampled_from(SOURCES))
@OFTEN
def test_no_source_is_without_bounds(crowd: list[Model], source: soft.Soft) -> None:
    sure = np.roll(np.eye(len(crowd)), 1, axis=1)
    found = ratio_of(source, crowd, sure)
    assert found.shape == (len(crowd), len(crowd))
    assert np.isfinite(found).all()
    assert not found.diagonal().any()
    assert (np.ptp(found, axis=1) <= MOST[source] + 1e-9).all()


@given(judgements(), st.data())
@OFTEN
def test_odds_stay_probabilities_and_the_odds_of_two_change_by_their_ratio(judgement: Judgement, data: st.DataObject) -> None:
    count = len(judgement.none)
    crowd = data.draw(st.lists(models, min_size=count, max_size=count))
    ratio = sum((log_ratio(source, crowd, judgement.parent) for source in SOURCES), np.zeros((count, count)))
    parent, none = moved(judgement.parent, judgement.none, ratio)
    np.testing.assert_allclose(parent.sum(axis=1) + none, 1.0)
    assert ((parent > 0) == (judgement.parent > 0)).all()
    np.testing.assert_allclose(
        parent * judgement.none[:, None], np.exp(ratio) * judgement.parent * none[:, None], atol=1e-9, rtol=1e-6
    )


def test_where_nothing_is_known_nothing_moves() -> None:
    parent, none = np.array([[0.0, 0.4], [0.0, 0.0]]), np.array([0.6, 1.0])
    after, nobody = moved(parent, none, log_ratio("dates", [model("a"), model("b")], parent))
    np.testing.assert_array_equal(after, parent)
    np.testing.assert_array_equal(nobody, none)


def test_what_weights_make_sure_is_not_overturned() -> None:
    crowd = [model("child", "2026-01-01", ("a/lie",)), model("a/parent", "2026-02-01"), model("a/lie", "2025-01-01")]
    parent, none = np.array([[0, 0.9999, 0.00005], [0] * 3, [0] * 3]), np.array([0.00005, 1, 1])
    ratio = log_ratio("dates", crowd, parent) + ratio_of("declared", crowd)
    assert moved(parent, none, ratio)[0][0].argmax() == 1


def test_what_moved_the_odds_is_shown_with_the_odds_before() -> None:
    crowd = [model("child", "2026-03-01"), model("a/old", "2026-01-01"), model("a/new", "2026-05-01")]
    before = np.array([[0.0, 0.5, 0.3], [0.0] * 3, [0.0] * 3])
    _, old, new = lines(("dates", "declared"), crowd, before)
    assert old == (Evidence("dates", 1.96), Evidence("declared", 1.0), Evidence("weights_alone", 0.5))
    assert new == (Evidence("dates", 0.04), Evidence("declared", 1.0), Evidence("weights_alone", 0.3))
    assert lines((), crowd, before) == [(), (), ()]
