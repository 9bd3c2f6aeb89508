"""Ranked candidates: every figure beside what strangers give, p-values corrected, soft evidence apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage import phylogeny, report
from hub_lineage.evidence import null
from hub_lineage.family import gather
from hub_lineage.judge import judge
from hub_lineage.types import Candidate, Evidence, Fingerprint, Kinship, Model
from hub_lineage.words import KINSHIPS, SOURCES, meaning
from tests.simulated import Values, fingerprint_of, model_of, tree
from tests.strategies import SELDOM, seeds

PARENTS = [-1, 0, 0, 1, *[-1] * 12]  # the child is 3
GROWN = tree(PARENTS, [1.0, 0.3, 0.3, 0.3, *[1.0] * 12])
ORDER = [3, 0, 1, 2, *range(4, 16)]
FAMILY = ("m0", "m1", "m2")


def candidates(
    models: list[Model],
    *,
    strangers: Sequence[Fingerprint] = (),
    ruled_out: int = 0,
    soft: Sequence[Sequence[Evidence]] = (),
) -> dict[str, Candidate]:
    family = gather([model.fingerprint for model in models])
    judgement = judge(family)
    found = report.candidates(
        models,
        family,
        judgement,
        phylogeny.forest(judgement),
        100,
        strangers=strangers,
        ruled_out=ruled_out,
        soft=soft,
    )
    return {candidate.id: candidate for candidate in found}


def named(places: list[int], dtype: str = "F32", grown: list[Values] | None = None) -> list[Model]:
    return [model_of(f"m{k}", (grown or GROWN)[k], dtype) for k in places]


def of(candidate: Candidate, source: str) -> Evidence:
    return next(each for each in candidate.evidence if each.source == source)


def test_every_figure_stands_beside_what_strangers_give() -> None:
    found = candidates(named(ORDER, "BF16"))
    for name in FAMILY:
        assert {each.source for each in found[name].evidence} == set(report.SHOWN)
    for candidate in found.values():
        for each in candidate.evidence:
            assert each.null is not None
            assert each.null.source.endswith("unrelated models of this shape")
            assert each.null.n == 12 - (candidate.kinship == "unrelated")
            assert (each.p_value is not None) == (report.SHOWN[each.source] in null.LIKENESS)
            assert each.tensors == 4
            assert each.source in SOURCES
    separation = of(found["m1"], "separation")
    assert separation.null is not None
    assert separation.value < 0.2 < separation.null.mean


def test_strangers_from_elsewhere_stand_in_where_all_candidates_are_kin() -> None:
    models = named([3, 0, 1, 2])
    alone = candidates(models)
    further = tuple(fingerprint_of(GROWN[k]) for k in range(4, 14))
    beside = candidates(models, strangers=further)
    for name in FAMILY:
        one, other = of(alone[name], "correlation"), of(beside[name], "correlation")
        assert one.null is not None
        assert other.null is not None
        assert (one.null.source, one.null.n) == ("8 models with turned channels", 8)
        assert (other.null.source, other.null.n) == ("10 unrelated models of this shape", 10)
        assert one.value == other.value
        assert alone[name].probability == beside[name].probability
    assert list(alone) == list(beside)


def test_strangers_that_cannot_be_compared_are_passed_over() -> None:
    models = named([3, 0, 1])
    other_key = fingerprint_of(GROWN[4], key="another")
    other_scheme = replace(fingerprint_of(GROWN[4]), scheme="hl0")
    assert candidates(models, strangers=(other_key, other_scheme)) == candidates(models)
    nameless = [replace(sample, label="same") for sample in models[0].fingerprint.samples]
    blind = [replace(models[0], fingerprint=replace(models[0].fingerprint, samples=tuple(nameless))), *models[1:]]
    assert candidates(blind, strangers=(fingerprint_of(GROWN[4]),)) == candidates(blind)


def test_tensors_of_strangers_are_put_in_the_family_s_order() -> None:
    models = named([3, 0, 1])
    further = [fingerprint_of(GROWN[k]) for k in range(4, 14)]
    turned = tuple(replace(f, samples=tuple(reversed(f.samples))) for f in further)
    back = candidates(models, strangers=tuple(further))["m0"]
    # shapes differ, so that each tensor has one place only, whatever the order of storage
    assert of(candidates(models, strangers=turned)["m0"], "correlation").null == of(back, "correlation").null


def test_p_values_are_corrected_for_all_that_was_compared() -> None:
    models = named(ORDER)
    plain, many = candidates(models), candidates(models, ruled_out=10_000)
    for name, candidate in plain.items():
        one, other = of(candidate, "correlation"), of(many[name], "correlation")
        assert one.null == other.null
        assert one.p_value is not None
        assert other.p_value is not None
        assert one.p_value <= other.p_value <= 1
        assert candidate.family_probability == pytest.approx(1 - one.p_value, abs=1e-4)
    assert of(many["m1"], "correlation").p_value == pytest.approx((of(plain["m1"], "correlation").p_value or 0) * 10_015 / 15)
    strangers = [c for c in plain.values() if c.kinship == "unrelated"]
    assert len(strangers) == 12
    assert max(c.family_probability for c in strangers) < 0.95


def test_copies_of_a_stranger_make_nothing_surer_or_less_sure() -> None:
    models = named(ORDER)
    copies = [replace(models[4], id=f"copy{k}") for k in range(5)]
    one, other = candidates(models), candidates([*models, *copies])
    for name in one:
        assert of(one[name], "correlation").p_value == pytest.approx(of(other[name], "correlation").p_value, rel=0.2)


def test_soft_evidence_stands_last_and_apart() -> None:
    models = named([3, 0, 1, 2])
    lines = [(Evidence("dates", 0.04), Evidence("weights_alone", k / 10)) for k in range(4)]
    plain, found = candidates(models), candidates(models, soft=lines)
    for place, name in enumerate(["m0", "m1", "m2"], 1):
        assert found[name].evidence == (*plain[name].evidence, *lines[place])


@given(seeds, st.permutations(range(1, 9)))
@SELDOM
def test_the_order_of_strangers_changes_hardly_anything(seed: int, order: list[int]) -> None:
    grown = tree([-1, 0, *[-1] * 9], [1.0, 0.4, *[1.0] * 9], seed, ((60, 50), (40, 60)))
    models = [model_of("child", grown[1]), model_of("parent", grown[0])]
    further = [fingerprint_of(model) for model in grown[2:]]
    one, other = (candidates(models, strangers=tuple(f))["parent"] for f in (further, [further[0], *(further[k] for k in order)]))
    for a, b in zip(one.evidence, other.evidence, strict=True):
        assert (a.source, a.value) == (b.source, b.value)
        assert a.null is not None
        assert b.null is not None
        assert (a.null.mean, a.null.sd) == pytest.approx((b.null.mean, b.null.sd), abs=2e-5)


@pytest.mark.parametrize("broken", [0.0, np.nan, np.inf, 1.0])
def test_models_without_meaning_break_nothing(broken: float) -> None:
    grown = [*GROWN[:2], [np.full(tensor.shape, broken) for tensor in GROWN[0]]]
    for child in range(3):
        order = [child, *(k for k in range(3) if k != child)]
        for candidate in candidates(named(order, grown=grown)).values():
            for each in candidate.evidence:
                assert np.isfinite([each.value, each.p_value or 0.0]).all()
                assert each.null is not None
                assert np.isfinite([each.null.mean, each.null.sd]).all()


def test_every_kinship_has_a_word_and_a_meaning() -> None:
    kinships = get_args(Kinship)
    assert set(KINSHIPS) == set(kinships)
    for word in kinships:
        assert meaning(word).endswith(".")
    assert meaning("anything else") == ""
