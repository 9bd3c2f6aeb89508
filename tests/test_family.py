"""Families against slow loops over their values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.family import Family, gather, ranks
from hub_lineage.types import Fingerprint, Sample
from tests.simulated import Values, family_of, fingerprint_of, tree
from tests.strategies import OFTEN, SELDOM, orders, seeds

MIXED = ((6, 5), (4, 3, 3, 3), (9, 7))


def slow(models: list[Values]) -> tuple[list[list[list[float]]], list[list[float]], list[list[float]]]:
    """Cosines by tensor, then pooled Gram matrix and pooled squared distance, one pair of numbers at a time."""
    count, kinds = len(models), range(len(models[0]))
    flat = [[tensor.astype(np.float32).astype(float).reshape(-1).tolist() for tensor in model] for model in models]
    centred = [[[x - sum(v) / len(v) for x in v] for v in model] for model in flat]
    dot = [
        [[sum(a * b for a, b in zip(centred[i][t], centred[j][t], strict=True)) for j in range(count)] for i in range(count)]
        for t in kinds
    ]
    cosines = [[[dot[t][i][j] / (dot[t][i][i] * dot[t][j][j]) ** 0.5 for j in range(count)] for i in range(count)] for t in kinds]
    total = sum(len(v) for v in flat[0])
    scale = [sum(dot[t][k][k] for k in range(count)) / (count * len(flat[0][t])) for t in kinds]
    gram = [[sum(dot[t][i][j] / scale[t] for t in kinds) / total for j in range(count)] for i in range(count)]
    distance = [[gram[i][i] + gram[j][j] - 2 * gram[i][j] for j in range(count)] for i in range(count)]
    return cosines, gram, distance


@given(seeds)
@SELDOM
def test_products_are_those_of_slow_loops(seed: int) -> None:
    models = tree([-1, 0, 0, 1, -1], [1.0, 0.5, 0.1, 2.0, 3.0], seed, MIXED)
    family = family_of(models)
    cosines, gram, distance = slow(models)
    np.testing.assert_allclose(family.cosines, cosines, atol=1e-5)
    np.testing.assert_allclose(family.gram, gram, atol=1e-5)
    np.testing.assert_allclose(family.distance, distance, atol=1e-5)
    norms = np.sqrt(np.diagonal(gram))
    np.testing.assert_allclose(family.cosine, np.array(gram) / norms[:, None] / norms[None, :], atol=1e-5)
    assert np.mean(np.diagonal(family.gram)) == pytest.approx(1.0)


def test_kernels_and_sizes_are_those_of_the_shapes() -> None:
    family = family_of(tree([-1], [1.0], shapes=MIXED))
    assert family.kernels == (1, 9, 1)
    assert family.sizes.tolist() == [30, 108, 63]
    assert len(family) == 1


def test_a_constant_tensor_counts_for_nothing() -> None:
    models = tree([-1, 0], [1.0, 0.5], shapes=MIXED)
    constant = [[*model[:2], np.full((9, 7), 3.0)] for model in models]
    family = family_of(constant)
    assert not family.cosines[2].any()
    assert np.isfinite(family.gram).all()
    np.testing.assert_allclose(family.cosine, family_of([model[:2] for model in models]).cosine, atol=1e-6)


def reordered(fingerprint: Fingerprint, order: list[int]) -> Fingerprint:
    return replace(fingerprint, samples=tuple(fingerprint.samples[i] for i in order))


@given(st.permutations(range(6)), st.floats(0.0, 1.0), seeds)
@OFTEN
def test_tensors_of_one_shape_find_one_another_in_any_order(order: list[int], step: float, seed: int) -> None:
    shapes = [(20, 20)] * 6
    parent, child = tree([-1, 0], [1.0, step], seed, shapes)
    straight = gather([fingerprint_of(parent), fingerprint_of(child)])
    turned = gather([fingerprint_of(parent), reordered(fingerprint_of(child), order)])
    for one, other in zip(straight.raw, turned.raw, strict=True):
        np.testing.assert_array_equal(one, other)


def with_vectors(fingerprint: Fingerprint, vectors: Values) -> Fingerprint:
    held = [Sample(v.shape, "F32", v.astype(np.float32).tobytes(), f"vector.{i}") for i, v in enumerate(vectors)]
    return replace(fingerprint, vectors=tuple(held))


@given(st.permutations(range(5)), seeds)
@OFTEN
def test_vectors_stand_side_by_side_in_any_order(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    gains = [1 + 0.1 * random.standard_normal(64) for _ in range(5)] + [np.zeros(16)]
    moved = [gain + 0.01 * random.standard_normal(gain.shape) for gain in gains]
    parent, child = (fingerprint_of(model) for model in tree([-1, 0], [1.0, 0.1], seed))
    turned = with_vectors(child, [*(moved[i] for i in order), moved[5]])
    family = gather([with_vectors(parent, gains), turned])
    assert [vector.shape for vector in family.vectors] == [(2, 64)] * 5 + [(2, 16)]
    for vector, one, other in zip(family.vectors, gains, moved, strict=True):
        np.testing.assert_allclose(vector, [one, other], rtol=1e-6)
    np.testing.assert_array_equal(family.only(np.array([1])).vectors[2], family.vectors[2][[1]])
    assert len(family.raw) == len(parent.samples), "vectors are no weights"


def test_a_vector_that_a_model_lacks_is_left_out() -> None:
    random = np.random.default_rng(0)
    gains = [1 + 0.1 * random.standard_normal(64) for _ in range(4)]
    parent, child = (fingerprint_of(model) for model in tree([-1, 0], [1.0, 0.1]))
    whole, fewer = with_vectors(parent, [*gains, np.ones(9)]), with_vectors(child, [gains[3], gains[0]])
    found = gather([whole, fewer]).vectors
    assert [vector[0].tobytes() for vector in found] == [gains[i].astype(np.float32).tobytes() for i in (0, 3)]
    assert all(vector[0].tobytes() == vector[1].tobytes() for vector in found)
    strange = with_vectors(child, [1 + 0.1 * random.standard_normal(64)])
    for other in (child, strange):
        assert gather([whole, other]).vectors == ()
        assert gather([other, whole]).vectors == ()
        assert len(gather([whole, fewer, other]).raw) == len(parent.samples)


def test_strangers_keep_the_order_they_have() -> None:
    one, other = (fingerprint_of(model) for model in tree([-1, -1], [1.0, 1.0], shapes=[(30, 30)] * 8))
    family = gather([one, other])
    assert all(np.array_equal(tensor[1].tobytes(), sample.raw) for tensor, sample in zip(family.raw, other.samples, strict=True))


@given(seeds)
@SELDOM
def test_a_spread_family_is_its_deviations_each_over_its_own_spread(seed: int) -> None:
    family = family_of(tree([-1, 0, 0, 1], [1.0, 0.5, 0.01, 0.5], seed, MIXED))
    for spread, tensor in zip(family.spread.raw, family.raw, strict=True):
        columns = [[float(x) for x in column] for column in tensor.T]
        away = [[x - sum(column) / 4 for x in column] for column in columns]
        variances = [sum(x * x for x in column) / 4 for column in away]
        common = sum(variances) / len(variances)
        expected = [[x / (v + 0.3 * common) ** 0.5 for x in column] for column, v in zip(away, variances, strict=True)]
        np.testing.assert_allclose(spread, np.transpose(expected), rtol=1e-5, atol=1e-6)
    assert all((tensor == 0).all() for tensor in family.only(np.array([2])).spread.raw)


def test_shapes_stand_beside_the_tensors_they_belong_to() -> None:
    models = tree([-1, 0], [1.0, 0.1], shapes=[*MIXED, (6, 5)])
    swapped = [models[1][3], models[1][1], models[1][2], models[1][0]]
    family = gather([fingerprint_of(models[0]), fingerprint_of(swapped)])
    assert family.shapes == (*MIXED, (6, 5))
    assert family.only(np.array([1])).shapes == family.shapes


def test_some_of_a_family_are_the_rows_asked_for() -> None:
    family = family_of(tree([-1, 0, 0, 1], [1.0, 0.5, 0.5, 0.5]))
    part = family.only(np.array([3, 0]))
    assert len(part) == 2
    np.testing.assert_array_equal(part.raw[1], family.raw[1][[3, 0]])


def _other(**changes: Any) -> Fingerprint:
    return replace(fingerprint_of(tree([-1], [1.0])[0]), **changes)


@pytest.mark.parametrize("other", [_other(architecture="another"), _other(scheme="hl1")])
def test_what_cannot_be_compared_is_refused(other: Fingerprint) -> None:
    with pytest.raises(ValueError, match="can't be compared"):
        gather([_other(), other])
    with pytest.raises(ValueError, match="can't be compared"):
        gather([])


@given(st.lists(st.integers(0, 4) | st.just(float("inf")), min_size=1, max_size=9), st.data())
@OFTEN
def test_ranks_count_the_smaller_ones_whatever_their_order(figures: list[float], data: st.DataObject) -> None:
    found = ranks(np.array([figures, figures[::-1]], dtype=np.float64))
    expected = [sum(other < one for other in figures) for one in figures]
    assert found.tolist() == [expected, expected[::-1]]
    order = data.draw(orders(len(figures)))
    np.testing.assert_array_equal(ranks(np.array(figures)[order]), found[0][order])


def test_storage_is_the_dtype_of_most_values() -> None:
    assert family_of(tree([-1, 0], [1.0, 0.1]), "BF16").storage == ("BF16", "BF16")
    assert isinstance(family_of(tree([-1], [1.0])), Family)
