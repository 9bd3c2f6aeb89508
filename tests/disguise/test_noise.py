"""Noise is told from training: by its shape, its size and that it is of one share everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.derivatives.disguised import DISGUISES, Subject
from hub_lineage.disguise import find, is_noise
from tests.disguise.nets import NETS, family
from tests.strategies import SELDOM, seeds

SHAPES = ((40, 30), (30, 60), (8, 8))


@SELDOM
@given(seeds, st.floats(0.001, 0.08))
def test_gaussian_noise_of_one_share_is_noise(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    scales = np.exp(random.uniform(-2, 2, len(SHAPES)))
    drawn = [(share * scale * random.standard_normal(shape), float(scale)) for shape, scale in zip(SHAPES, scales, strict=True)]
    assert is_noise((added.astype(np.float32), scale) for added, scale in drawn)


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.5])
def test_what_is_rounding_or_no_mere_noise_is_none(share: float) -> None:
    random = np.random.default_rng(1)
    assert not is_noise((np.asarray(share * random.standard_normal(shape), np.float32), 1.0) for shape in SHAPES)


def test_what_differs_in_size_or_shape_is_none() -> None:
    random = np.random.default_rng(2)
    uneven = [(np.asarray(share * random.standard_normal((40, 40)), np.float32), 1.0) for share in (0.01, 0.02, 0.04)]
    heavy = [(np.asarray(0.01 * random.standard_t(3, (40, 40)), np.float32), 1.0) for _ in range(3)]
    signs = [(np.asarray(0.01 * np.sign(random.standard_normal((40, 40))), np.float32), 1.0) for _ in range(3)]
    assert not any(map(is_noise, (uneven, heavy, signs, [])))
    assert not is_noise([(np.ones((4, 4), np.float32), 1.0)])


@pytest.mark.parametrize("net", NETS)
def test_on_trained_networks_noise_is_told_and_training_isn_t(net: str) -> None:
    trained = family(net)
    held = dict(trained.held["parent"])
    subject = Subject(held, trained.heads, rectified=trained.rectified, seed=1)
    DISGUISES["noisy"](subject)
    noised, tuned = (
        find(list(subject.weights.items()), list(held.items())),
        find(list(trained.held["child"].items()), list(held.items())),
    )
    assert noised is not None
    assert tuned is not None
    assert noised.disguises == ("noisy",)
    assert tuned.disguises == ()
