"""Laws that hold for every cue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence import SOURCES, SPREAD, measure
from hub_lineage.family import Family, gather
from tests.simulated import Values, family_of, fingerprint_of, orthogonal_tree, tree
from tests.strategies import SELDOM, orders, seeds

PARENTS = [-1, 0, 0, 1, 1, -1, 3]
STEPS = [1.0, 0.5, 0.4, 0.3, 0.2, 1.1, 0.25]


@given(orders(len(PARENTS)), st.sampled_from(["F32", "BF16", "F8_E4M3"]), seeds)
@SELDOM
def test_cues_follow_the_members_wherever_they_stand(order: np.ndarray, dtype: str, seed: int) -> None:
    family = family_of(tree(PARENTS, STEPS, seed), dtype)
    straight, turned = measure(family), measure(family.only(order))
    assert set(straight) == set(turned)
    for name, value in straight.items():
        scale = max(1.0, float(np.abs(value[~np.eye(len(family), dtype=bool)]).max()))
        off = ~np.eye(len(family), dtype=bool)
        np.testing.assert_allclose((turned[name])[off], value[np.ix_(order, order)][off], atol=1e-6 * scale, err_msg=name)


def _families() -> dict[str, Family]:
    model, other, *_ = tree([-1, 0, -1], [1.0, 0.5, 1.0])
    odd: Values = [np.where(np.arange(t.size).reshape(t.shape) % 3, t, np.nan) for t in model]
    vast: Values = [np.where(np.arange(t.size).reshape(t.shape) % 5, t, np.inf) * 1e14 for t in model]
    tiny: Values = [t * 1e-38 for t in model]
    constant: Values = [np.full(t.shape, 2.5) for t in model]
    nothing: Values = [np.zeros(t.shape) for t in model]
    return {
        "one": family_of([model]),
        "two": family_of([model, other]),
        "two that are the same": family_of([model, model]),
        "three that are the same": family_of([model, model, model]),
        "not finite": family_of([model, odd, vast]),
        "tiny": family_of([tiny, model, other]),
        "tiny alone": family_of([tiny, tiny, tiny]),
        "one constant": family_of([model, constant, other]),
        "all constant": family_of([constant, constant, constant]),
        "nothing": family_of([nothing, nothing]),
        "one nothing": family_of([nothing]),
        "a scaled copy": family_of([model, [3 * t for t in model], other]),
        "its negative": family_of([model, [-t for t in model], other]),
        "mixed storage": gather([fingerprint_of(model, word) for word in ("F32", "F16", "BF16", "F8_E5M2")]),
        "one value a tensor": family_of([[t[:1, :1] for t in model], [t[:1, :1] for t in other]]),
    }


FAMILIES = _families()


@pytest.mark.parametrize("case", FAMILIES)
def test_cues_are_finite_whatever_the_values(case: str) -> None:
    family = FAMILIES[case]
    for name, value in measure(family).items():
        assert value.shape == (len(family), len(family)), name
        assert value.dtype == np.float64, name
        assert np.isfinite(value).all(), name


def test_what_arithmetic_leaves_of_a_zero_is_zero() -> None:
    for family in (family_of(tree(PARENTS, STEPS)), family_of(orthogonal_tree(PARENTS, STEPS))):
        for name, value in measure(family).items():
            assert not ((value != 0) & (np.abs(value) < 1e-9)).any(), name


def test_no_two_sources_share_a_name() -> None:
    family = FAMILIES["two"]
    names = [name for source in SOURCES for name in source(family)]
    names += [f"spread_{name}" for source in SPREAD for name in source(family.spread) if not name.endswith("rank")]
    assert len(names) == len(set(names)) == len(measure(family))


def test_cues_of_a_scale_that_all_share_are_the_same() -> None:
    models = tree(PARENTS, STEPS)
    plain, scaled = measure(family_of(models)), measure(family_of([[4.0 * t for t in model] for model in models]))
    for name, value in plain.items():
        np.testing.assert_allclose(scaled[name], value, rtol=1e-6, atol=1e-9, err_msg=name)


def test_every_cue_tells_two_ordered_pairs_apart() -> None:
    family = family_of(tree(PARENTS[:5], [1.0, 0.01, 0.01, 0.01, 0.01]), "BF16")
    gain, bias = np.random.default_rng(0).standard_normal((2, len(family), 16)).astype(np.float32) / 10
    family = replace(family, vectors=(1 + gain, bias))
    off = ~np.eye(len(family), dtype=bool)
    assert [name for name, value in measure(family).items() if np.ptp(value[off]) == 0] == []
