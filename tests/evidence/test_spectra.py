"""Spectral figures against singular values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence import spectra
from hub_lineage.family import Family
from tests.simulated import SHAPES, family_of, tree
from tests.strategies import SELDOM, seeds


def slow_figures(tensor: np.ndarray) -> list[float]:
    matrix = tensor.reshape(len(tensor), -1).astype(np.float64)
    s = np.linalg.svd(matrix, compute_uv=False) ** 2
    rows = np.array([sum(x * x for x in row) for row in matrix])
    spread = np.log((rows**2).mean() / rows.mean() ** 2)
    figures = [np.log(s.sum() ** 2 / (s**2).sum()), np.log(s.sum() / (s**4).sum() ** 0.25), spread]
    if tensor.ndim == 2:
        return [*figures, 0.0]
    kernels = matrix.reshape(-1, int(np.prod(tensor.shape[2:]))).tolist()
    steps = sum((after - before) ** 2 for kernel in kernels for before, after in pairwise(kernel))
    return [*figures, np.log((matrix**2).sum() / steps)]


@given(seeds, st.sampled_from([SHAPES, ((5, 9),), ((9, 5), (3, 2, 1, 5)), ((7, 1),)]))
@SELDOM
def test_figures_are_those_of_singular_values_pooled_by_size(seed: int, shapes: tuple[tuple[int, ...], ...]) -> None:
    models = tree([-1, 0, -1], [1.0, 0.5, 1.0], seed, shapes)
    sizes = np.array([np.prod(shape) for shape in shapes], dtype=float)
    told = np.array([np.average([slow_figures(t.astype(np.float32)) for t in m], axis=0, weights=sizes) for m in models])
    for place, value in enumerate(spectra.cues(family_of(models)).values()):
        np.testing.assert_allclose(value, told[:, None, place] - told[None, :, place], atol=1e-9)


def test_a_larger_rank_a_louder_row_and_a_smoother_kernel_are_told() -> None:
    random = np.random.default_rng(0)
    one = np.outer(random.standard_normal(12), random.standard_normal(18))
    many = random.standard_normal((12, 18))
    loud = np.where(np.arange(12)[:, None] == 3, 5.0, 1.0) * many
    smooth = np.repeat(random.standard_normal((12, 2, 1)), 9, axis=2) + 0.1 * many.reshape(12, 2, 9)
    found = spectra.cues(family_of([[t.reshape(12, 2, 3, 3)] for t in (one, many, loud, smooth)]))
    assert found["rank_growth"][1, 0] > 1
    assert found["stable_rank_growth"][1, 0] > 0.5
    assert found["row_spread_growth"][2, 1] > 0.5
    assert found["smoothness_growth"][3, 1] > 1


def test_a_sample_in_part_and_a_tensor_of_unknown_shape_have_no_spectrum() -> None:
    raw = (np.random.default_rng(0).standard_normal((3, 1024)).astype(np.float32),)
    for shapes in ((), ((64, 64),)):
        found = spectra.cues(Family(raw, ("F32",) * 3, (1,), shapes=shapes))
        assert all(np.array_equal(value, np.zeros((3, 3))) for value in found.values())
    whole = spectra.cues(Family(raw, ("F32",) * 3, (1,), shapes=((32, 32),)))
    assert whole["rank_growth"][0, 1] != 0
    assert whole["smoothness_growth"][0, 1] == 0


@pytest.mark.parametrize("scale", [1e-12, 1e4])
def test_scale_tells_nothing(scale: float) -> None:
    model, *_ = tree([-1], [1.0])
    for name, value in spectra.cues(family_of([model, [scale * t for t in model]])).items():
        np.testing.assert_allclose(value, 0.0, atol=1e-5, err_msg=name)
