"""What holds of every merge: laws of the fits and of the interval that lies in most, against slow and obvious code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.derivation.merge import explain
from hub_lineage.derivation.merge.coordinates import stabbed
from hub_lineage.derivation.merge.fitting import by_tensor, over_all
from hub_lineage.derivation.merge.pool import Pool, held_in, pool, steps
from hub_lineage.derivation.merge.selection import _gains, select
from hub_lineage.read.dtypes import encode, round_to
from hub_lineage.types import Fingerprint, Model, Sample
from tests.strategies import OFTEN, SELDOM, seeds

SHAPES = ((24, 40), (32, 32), (16, 50))


def drawn(seed: int, count: int) -> list[list[np.ndarray]]:
    """Kin: a common part and a tenth as much of each one's own."""
    random = np.random.default_rng(seed)
    common = [random.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    return [[part + 0.1 * random.standard_normal(part.shape).astype(np.float32) for part in common] for _ in range(count)]


def model(name: str, parts: list[np.ndarray], dtype: str = "F32") -> Model:
    samples = tuple(
        Sample(part.shape, dtype, encode(dtype, part.ravel().astype(np.float32)), f"t{k}") for k, part in enumerate(parts)
    )
    return Model(name, None, Fingerprint("hl2", "arch", 3000, samples))


def pooled(child: Model, known: list[Model]) -> Pool:
    found = pool(child, known)
    assert found is not None
    return found


@SELDOM
@given(seeds, st.integers(2, 4), st.sampled_from(["F32", "BF16", "F16"]))
def test_a_known_merge_comes_back_whatever_the_order(seed: int, count: int, dtype: str) -> None:
    random = np.random.default_rng(seed)
    parts = drawn(seed, 9)
    weights = 0.15 + 0.85 * random.dirichlet(np.ones(count))
    weights /= weights.sum()
    chosen = random.permutation(9)[:count]
    child = model("child", [sum(w * parts[k][t] for w, k in zip(weights, chosen, strict=True)) for t in range(3)], dtype)
    known = [model(f"m{k}", parts[k]) for k in random.permutation(9)]
    found = explain(child, known)
    assert found is not None
    wanted = {f"m{k}": float(w) for k, w in zip(chosen, weights, strict=True)}
    assert {p.id: p.coefficient for p in found.parents} == pytest.approx(wanted, abs=0.01)
    assert [p.coefficient for p in found.parents] == sorted((p.coefficient or 0 for p in found.parents), reverse=True)


@SELDOM
@given(seeds)
def test_independent_kin_are_no_merge(seed: int) -> None:
    parts = drawn(seed, 8)
    for dtype in ("F32", "BF16"):
        assert explain(model("child", parts[0], dtype), [model(f"m{k}", part) for k, part in enumerate(parts[1:])]) is None


@SELDOM
@given(seeds)
def test_fits_are_those_of_plain_least_squares(seed: int) -> None:
    parts = drawn(seed, 5)
    found = pooled(model("child", parts[0]), [model(f"m{k}", part) for k, part in enumerate(parts[1:])])
    members = (2, 0, 3)
    rows, goal = found.others[list(members)].astype(float) / found.noise, found.own / found.noise
    plain = np.linalg.lstsq(rows.T, goal, rcond=None)[0]
    np.testing.assert_allclose(over_all(found, members).weights[0], plain, atol=1e-5)
    for span, weights in zip(found.spans, by_tensor(found, members).weights, strict=True):
        np.testing.assert_allclose(weights, np.linalg.lstsq(rows[:, span].T, goal[span], rcond=None)[0], atol=1e-5)
    held = over_all(found, members, exact=True)
    assert held.weights[0].sum() == pytest.approx(1.0)
    assert held.left >= over_all(found, members).left * 0.99 >= by_tensor(found, members).left * 0.98


@SELDOM
@given(seeds)
def test_gains_are_what_each_candidate_would_lower(seed: int) -> None:
    parts = drawn(seed, 6)
    found = pooled(model("child", parts[0]), [model(f"m{k}", part) for k, part in enumerate(parts[1:])])
    before = by_tensor(found, [1])
    gains = _gains(found, before)[0]
    for k in (0, 2, 3, 4):
        lower = np.square(before.rest).sum() - np.square(by_tensor(found, [1, k]).rest).sum()
        assert gains[k] == pytest.approx(lower, rel=1e-3)


@SELDOM
@given(seeds)
def test_selection_is_that_of_all_subsets(seed: int) -> None:
    parts = drawn(seed, 6)
    child = model("child", [0.5 * parts[1][t] + 0.5 * parts[4][t] for t in range(3)], "BF16")
    found = pooled(child, [model(f"m{k}", part) for k, part in enumerate(parts)])
    pairs = [(i, j) for i in range(6) for j in range(i)]
    best = min(pairs, key=lambda pair: by_tensor(found, pair).left)
    assert set(select(found).members) == set(best)


@OFTEN
@given(seeds, st.integers(1, 12), st.booleans())
def test_the_number_in_most_intervals_is_in_most(seed: int, count: int, several: bool) -> None:
    random = np.random.default_rng(seed)
    delta = random.standard_normal(count)
    goals = random.uniform(0.5, 2.0, (2 if several else 1, count)) * delta
    slacks = np.abs(goals) * random.uniform(0.01, 0.2, goals.shape)
    hits, number = stabbed(goals, slacks, delta)
    low, high = (goals - slacks) / delta, (goals + slacks) / delta
    low, high = np.minimum(low, high), np.maximum(low, high)
    tried = [int(((low <= x) & (x <= high)).sum()) for x in (*low.ravel(), *high.ravel())]
    assert hits == max(tried)
    assert ((low - 1e-12 <= number) & (number <= high + 1e-12)).sum() == hits


@OFTEN
@given(seeds, st.sampled_from(["BF16", "F16", "F32"]))
def test_a_step_is_the_distance_to_the_next_value(seed: int, dtype: str) -> None:
    random = np.random.default_rng(seed)
    values = round_to(dtype, (random.standard_normal(64) * 10.0 ** random.integers(-3, 3, 64)).astype(np.float32))
    step = steps(values, dtype)
    beyond = (np.abs(values).astype(np.float64) + step).astype(np.float32)
    assert (round_to(dtype, beyond) == beyond).all()  # the next value is there, and none between
    quarter = (np.abs(values).astype(np.float64) + step / 4).astype(np.float32)
    if dtype != "F32":
        assert (round_to(dtype, quarter) == np.abs(values)).all()
    assert held_in(values, "F32") in {dtype, "BF16"}


def test_names_that_lie_are_seen_through() -> None:
    parts = drawn(1, 5)
    square = [[part[1], part[1].T.copy()] for part in parts]  # two tensors of one shape
    known = [model(f"m{k}", part) for k, part in enumerate(square)]
    child = model("child", [0.6 * square[0][t] + 0.4 * square[3][t] for t in range(2)])
    samples = child.fingerprint.samples
    turned = tuple(replace(sample, label=f"layer.{k}") for k, sample in enumerate(samples))
    found = explain(replace(child, fingerprint=replace(child.fingerprint, samples=turned)), known)
    assert found is not None
    assert {p.id for p in found.parents} == {"m0", "m3"}
