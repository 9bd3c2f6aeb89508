"""What unrelated models give, and the p-values made of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence import measure, null
from hub_lineage.evidence.null import ENOUGH, LIKENESS, MOST, Strangers, holm, p_value
from hub_lineage.family import Family, gather
from hub_lineage.types import Null
from tests.simulated import SHAPES, Values, family_of, fingerprint_of, tree
from tests.strategies import OFTEN

KIN_COSINE = 0.25
SMALL = ((12, 6, 3, 3), (20, 12))
MATRICES = ((40, 40), (40, 40), (16, 40))


def measured(family: Family, groups: list[int], strangers: Family | None = None) -> Strangers:
    """Of model 0; models are kin that have one number."""
    label = np.array(groups)
    return null.measured(family, 0, label[:, None] == label[None, :], strangers, KIN_COSINE)


def unrelated(count: int, seed: int, shapes: tuple[tuple[int, ...], ...] = SHAPES, mean_kernel: float = 0.0) -> list[Values]:
    """Unrelated models that share, as networks of one shape do, the look of their kernels."""
    common = [mean_kernel * np.random.default_rng(1).standard_normal(shape[2:]) for shape in shapes]
    return [
        [tensor + look for tensor, look in zip(model, common, strict=True)]
        for model in tree([-1] * count, [1.0] * count, seed, shapes)
    ]


def p_values(models: list[Values], dtype: str = "F32", cue: str = "cosine", most: int = 100) -> list[float]:
    """Of model 0 and each of the others up to so many, all unrelated."""
    family = family_of(models, dtype)
    beside = measured(family, list(range(len(models))))
    found = []
    for k in range(1, len(models))[:most]:
        value = measure(family.only(np.array([0, k])))[cue][0, 1]
        strangers = beside.null(cue, k)
        assert strangers is not None
        found.append(p_value(float(value), strangers))
    return found


def is_uniform(found: np.ndarray) -> None:
    for share in (0.05, 0.1, 0.25, 0.5, 0.75):
        assert abs(np.mean(found < share) - share) < 4 * np.sqrt(share * (1 - share) / len(found)), share
    assert np.mean(found < 0.01) <= 0.025
    assert np.mean(found < 0.001) <= 0.006


@pytest.mark.parametrize(("shapes", "mean_kernel"), [(SMALL, 0.3), (MATRICES, 0.0)])
@pytest.mark.parametrize("count", [2, 5, 12])  # turned channels alone, both kinds, real strangers alone
def test_p_values_of_strangers_are_uniform(shapes: tuple[tuple[int, ...], ...], mean_kernel: float, count: int) -> None:
    is_uniform(np.array([p_values(unrelated(count, seed, shapes, mean_kernel), most=1)[0] for seed in range(250)]))


@pytest.mark.parametrize(("cue", "dtype"), [("median_cosine", "F32"), ("equal_share", "BF16"), ("cosine", "BF16")])
def test_p_values_of_the_other_likenesses_are_uniform_too(cue: str, dtype: str) -> None:
    is_uniform(np.array([p_values(unrelated(11, seed, ((70, 70), (60, 70))), dtype, cue, most=1)[0] for seed in range(200)]))


def test_kin_get_tiny_p_values_and_strangers_do_not() -> None:
    family = family_of(tree([-1, 0, 1, *[-1] * 12], [1.0] * 15))
    beside = measured(family, [0, 0, 0, *range(1, 13)])
    found = [p_value(float(family.cosine[0, k]), n) for k in range(1, 15) if (n := beside.null("cosine", k)) is not None]
    assert max(found[:2]) < 1e-6
    assert min(found[2:]) > 0.005


QUANTILES = {  # of Student's t: by degrees of freedom, the score above which a share lies
    7: {1.4149: 0.1, 1.8946: 0.05, 2.9980: 0.01, 4.7853: 0.001},
    23: {1.3195: 0.1, 1.7139: 0.05, 2.4999: 0.01, 3.4850: 0.001},
}


@pytest.mark.parametrize("free", QUANTILES)
def test_the_p_value_is_student_s(free: int) -> None:
    strangers = Null(0.1, 0.02, free + 1, "")
    widened = 0.02 * np.sqrt(1 + 1 / (free + 1))
    for quantile, share in QUANTILES[free].items():
        assert p_value(0.1 + quantile * widened, strangers) == pytest.approx(share, rel=0.04)
        assert p_value(0.1 - quantile * widened, strangers) == pytest.approx(1 - share, abs=2e-3)
    assert p_value(0.1, strangers) == 0.5
    assert 0 < p_value(1.0, Null(0.0, 1e-6, 24, "")) < 1e-15


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(1e-4, 1), st.integers(3, 40))
@OFTEN
def test_the_more_alike_the_smaller_the_p_value(one: float, other: float, spread: float, count: int) -> None:
    strangers = Null(0.0, spread, count, "")
    low, high = sorted((one, other))
    assert 0 < p_value(high, strangers) <= p_value(low, strangers) <= 1


def step_down(p_values: list[float], compared: int) -> list[float]:
    """Holm's rule as it is told: the smallest p-value is held against m, the next against m - 1, and none falls below it."""
    found = dict.fromkeys(range(len(p_values)), 1.0)
    for place in found:
        before = [k for k in found if (p_values[k], k) <= (p_values[place], place)]
        found[place] = max(min(1.0, p_values[k] * (compared - sorted(p_values).index(p_values[k]))) for k in before)
    return list(found.values())


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12, unique=True), st.integers(0, 50))
@OFTEN
def test_correction_is_holm_s(p_values: list[float], more: int) -> None:
    compared = len(p_values) + more
    found = holm(p_values, range(len(p_values)), compared)
    assert found == pytest.approx(step_down(p_values, compared))
    for raw, corrected in zip(p_values, found, strict=True):
        assert raw <= corrected <= min(1.0, raw * compared) + 1e-12


def test_copies_of_one_body_ask_one_question() -> None:
    once = holm([0.01, 0.3], [1, 2], 2)
    many = holm([0.01, 0.01, 0.008, 0.3], [1, 1, 1, 2], 2)
    assert many == [once[0]] * 3 + [once[1]]
    assert holm([], [], 0) == []


def test_among_many_strangers_hardly_any_is_called_kin() -> None:
    claimed = 0
    for seed in range(150):
        found = p_values(unrelated(21, seed, SMALL))
        claimed += min(holm(found, range(20), 20)) < 0.05
    assert claimed / 150 < 0.1


@pytest.mark.parametrize(
    ("count", "further", "words", "n"),
    [
        (2, 0, "8 models with turned channels", ENOUGH),
        (3, 0, "1 unrelated model of this shape, 7 with turned channels", ENOUGH),
        (2, 5, "5 unrelated models of this shape, 3 with turned channels", ENOUGH),
        (6, 8, "12 unrelated models of this shape", 12),
        (2, 40, f"{MOST} unrelated models of this shape", MOST),
    ],
)
def test_the_null_says_what_it_was_made_of(count: int, further: int, words: str, n: int) -> None:
    models = unrelated(count + further, 3, SMALL)
    strangers = family_of(models[count:]) if further else None
    found = measured(family_of(models[:count]), list(range(count)), strangers).null("cosine", 1)
    assert found is not None
    assert (found.source, found.n) == (words, n)


def test_kin_among_the_strangers_count_for_nothing() -> None:
    models = tree([-1, 0, -1, 2, 2, -1, *[-1] * 9, 0], [1.0, 0.3, 1.0, 0.3, 0.3, 1.0, *[1.0] * 9, 0.3], shapes=SMALL)
    beside = measured(family_of(models[:3]), [0, 0, 1], family_of(models[3:]))
    own, other = beside.null("cosine", 1), beside.null("cosine", 2)
    assert own is not None
    assert other is not None
    assert own.n == 11  # 2 with 3 and 4 as one, 5, and nine more; the last is the child's kin
    assert other.n == 10  # for 2 its own kin are no strangers
    assert own.mean < 0.1


def test_a_figure_is_measured_with_the_stranger_in_the_candidate_s_place() -> None:
    models = tree([-1, 0, 0, 1, *[-1] * 9], [1.0, 0.3, 0.4, 0.3, *[1.0] * 9])
    family = family_of(models, "BF16")
    beside = measured(family, [0, 0, 0, 0, *range(1, 10)])
    for place, stranger in enumerate(range(4, 13)):
        whole = measure(family.only(np.array([0, 1, 2, 3, stranger])))
        for cue, values in beside.figures.items():
            assert values[place] == pytest.approx(whole[cue][0, -1], abs=1e-6), cue


def test_rounding_alone_makes_values_equal_and_the_null_knows() -> None:
    models = tree([-1, 0, *[-1] * 12], [1.0, 0.01, *[1.0] * 12], shapes=((60, 60), (50, 60)))
    prints = [fingerprint_of(model, word) for model, word in zip(models, ["BF16", "BF16", *["F32"] * 12], strict=True)]
    coarse = measured(gather(prints), [0, 0, *range(1, 13)]).null("equal_share", 1)
    fine = measured(family_of(models), [0, 0, *range(1, 13)]).null("equal_share", 1)
    assert coarse is not None
    assert fine is not None
    values = family_of(models, "BF16").raw[0]
    chance = np.mean([(values[0] == values[k]).mean() for k in range(2, 14)])
    assert coarse.mean == pytest.approx(chance, rel=0.25)
    assert coarse.mean > 2e-4 > fine.mean == 0.0
    assert fine.sd == pytest.approx(1 / 6600)


def test_every_cue_of_likeness_is_measured() -> None:
    assert set(measured(family_of(unrelated(2, 0, SMALL)), [0, 1]).figures) >= LIKENESS


def test_the_null_is_the_same_every_time() -> None:
    family = family_of(tree([-1, 0, -1], [1.0, 0.5, 5.0]))
    one, other = (measured(family, [0, 0, 1]) for _ in range(2))
    assert one.figures.keys() == other.figures.keys()
    for cue, values in one.figures.items():
        np.testing.assert_array_equal(values, other.figures[cue])


def test_turned_channels_hold_the_same_values_in_other_places() -> None:
    family = family_of(tree([-1, 0], [1.0, 0.1], shapes=((6, 4, 3, 3), (1, 1, 3, 3), (5, 4))))
    (made,) = null._turned(family, 0, 1)
    for tensor, row in zip(family.raw, made, strict=True):
        np.testing.assert_array_equal(np.sort(tensor[1]), np.sort(row))
        assert not np.array_equal(tensor[1], row)
    kernels = family.raw[0][1].reshape(-1, 9)
    assert {tuple(kernel) for kernel in made[0].reshape(-1, 9)} == {tuple(kernel) for kernel in kernels}


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_models_have_a_null_too(value: float) -> None:
    models: list[Values] = [[np.full(shape, value) for shape in SMALL] for _ in range(3)]
    found = measured(family_of(models), [0, 0, 1])
    for cue in found.figures:
        for k in (1, 2):
            strangers = found.null(cue, k)
            assert strangers is not None
            assert np.isfinite([strangers.mean, strangers.sd]).all()
            assert strangers.sd > 0


def test_a_child_alone_has_no_null() -> None:
    assert measured(family_of(unrelated(1, 0, SMALL)), [0]).null("cosine", 0) is None
