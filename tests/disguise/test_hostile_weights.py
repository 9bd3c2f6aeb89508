"""Weights that are no numbers, empty, odd or too large: nothing is claimed of them and nothing breaks."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from hub_lineage.disguise import find
from hub_lineage.errors import BadWeights
from hub_lineage.read.whole import MOST_TENSORS, read_weights
from tests.simulated import Memory
from tests.strategies import SELDOM, seeds

Pairs = list[tuple[str, NDArray[np.float32]]]
ODD: dict[str, Pairs] = {
    "nothing": [],
    "a number": [("a", np.full((), 3.0, np.float32))],
    "vectors": [("a", np.ones(5, np.float32)), ("b", np.zeros(0, np.float32))],
    "no rows": [("a", np.zeros((0, 4), np.float32)), ("b", np.zeros((4, 0, 3), np.float32))],
    "one row": [("a", np.ones((1, 64), np.float32)), ("b", np.ones((64, 1), np.float32))],
    "constant": [("a", np.full((16, 16), 0.5, np.float32))],
    "zeros": [("a", np.zeros((16, 16), np.float32)), ("b", np.zeros((16, 16, 3, 3), np.float32))],
    "no numbers": [("a", np.full((16, 16), np.nan, np.float32)), ("b", np.full((16, 16), np.inf, np.float32))],
    "huge values": [("a", np.full((16, 16), 3e38, np.float32)), ("b", np.full((16, 16), 1e-38, np.float32))],
    "many axes": [("a", np.ones((2, 2, 2, 2, 2, 2, 2), np.float32))],
    "one name": [("a", np.eye(16, dtype=np.float32)), ("a", np.eye(16, dtype=np.float32))],
}


@pytest.mark.parametrize("one", ODD)
@pytest.mark.parametrize("other", ODD)
def test_odd_weights_are_nobody_s_kin(one: str, other: str) -> None:
    found = find(ODD[one], ODD[other])
    assert found is None or one == other == "one name"


@SELDOM
@given(seeds, st.lists(st.lists(st.integers(0, 9), max_size=5).map(tuple), max_size=6))
def test_any_shapes_are_compared_without_a_break(seed: int, shapes: list[tuple[int, ...]]) -> None:
    random = np.random.default_rng(seed)
    drawn = [(str(i), np.asarray(random.standard_normal(shape), np.float32)) for i, shape in enumerate(shapes)]
    held = [(name, np.where(random.random(value.shape) < 0.1, np.float32(np.nan), value)) for name, value in drawn]
    laid = find(held, drawn)
    assert laid is None or (np.isfinite(laid.correlation) and laid.p_value < 1e-3)


def test_broken_values_count_as_nothing() -> None:
    held = np.array([[1.0, np.nan], [np.inf, -2.0], [1e30, 0.5]], np.float32)
    ((_, read),) = read_weights(Memory({"model.safetensors": save({"a": held})}))
    assert read.tolist() == [[1.0, 0.0], [0.0, -2.0], [0.0, 0.5]]


def test_of_a_large_model_the_small_tensors_are_read_and_no_byte_of_the_rest() -> None:
    held = {f"{i}": np.full((8, 8), i, np.float32) for i in range(4)} | {"large": np.zeros((64, 64), np.float32)}
    source = Memory({"model.safetensors": save(held)})
    assert {name for name, _ in read_weights(source, most_bytes=4 * 8 * 8 * 4)} == {"0", "1", "2", "3"}
    assert read_weights(source, most_bytes=4 * 8 * 8 * 3) == []  # all of one size, or none
    assert {name for name, _ in read_weights(source)} == set(held)


def test_a_model_of_very_many_tensors_is_read_as_far_as_is_allowed() -> None:
    held = {f"{i}": np.zeros(2 if i % 2 else 3, np.float32) for i in range(MOST_TENSORS + 2)}
    assert len(read_weights(Memory({"model.safetensors": save(held)}))) == MOST_TENSORS // 2 + 1


def test_a_shape_that_no_file_can_hold_is_refused_before_memory_is_taken() -> None:
    head = {"a": {"dtype": "F32", "shape": [2**30, 2**30], "data_offsets": [0, 64]}}
    packed = json.dumps(head).encode()
    with pytest.raises(BadWeights):
        read_weights(Memory({"model.safetensors": struct.pack("<Q", len(packed)) + packed + bytes(64)}))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_any_precision_is_read_as_float32(dtype: type[np.floating]) -> None:
    held = np.arange(12).reshape(3, 4).astype(dtype)
    ((name, read),) = read_weights(Memory({"model.safetensors": save({"a": held})}))
    assert (name, read.dtype.name, read.tolist()) == ("a", "float32", held.tolist())
