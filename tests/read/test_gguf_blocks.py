"""Laws of blocks and of permuted rows, and the encoders that stand in for a quantiser."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub_lineage.read import dtypes
from hub_lineage.read.gguf_files.kinds import KINDS
from hub_lineage.read.gguf_files.packings import WIDE, Rotary, Stored
from hub_lineage.types import Packing
from tests import gguf_models
from tests.gguf_encoders import ENCODERS, encode
from tests.simulated import Memory
from tests.strategies import OFTEN, SELDOM, seeds

BY_WORD = {kind.word: kind for kind in KINDS.values()}
FIRST = 12
"""Bytes before the tensor in the files made here."""
ERRORS = {"Q2_K": (0.25, 0.42), "Q3_K": (0.1, 0.2), "Q4_K": (0.04, 0.09), "Q5_K": (0.02, 0.045), "Q6_K": (0.01, 0.022),
          "IQ4_NL": (0.05, 0.12), "IQ4_XS": (0.05, 0.12)}  # fmt: skip
"""Between what the root mean square error of Gaussian weights over their own lies: about a third of a step."""


def read(source: Memory, packing: Packing, first: int, last: int) -> bytes:
    return packing.values(first, last, source.read(packing.ranges(first, last)))


@st.composite
def runs(draw: st.DrawFn, elements: int) -> tuple[int, int]:
    first = draw(st.integers(0, elements))
    return first, draw(st.integers(first, elements))


@OFTEN
@given(st.data(), st.sampled_from(sorted(BY_WORD)), st.integers(1, 5), seeds)
def test_a_run_of_blocks_is_part_of_the_whole(data: st.DataObject, word: str, blocks: int, seed: int) -> None:
    kind = BY_WORD[word]
    raw = np.random.default_rng(seed).integers(0, 256, blocks * kind.size, dtype=np.uint8).tobytes()
    source = Memory({"model.gguf": bytes(FIRST) + raw})
    packing = Stored("model.gguf", FIRST, kind)
    whole = kind.decode(raw)
    item = dtypes.FORMATS[kind.dtype].bits // 8
    assert len(whole) == blocks * kind.values * item
    first, last = data.draw(runs(blocks * kind.values))
    assert read(source, packing, first, last) == whole[first * item : last * item]
    assert sum(map(len, source.asked)) <= (-(-(last - first) // kind.values) + 1) * kind.size


@OFTEN
@given(st.data(), st.sampled_from(["F32", "F16", "BF16", "Q8_0", "Q4_0"]), seeds)
def test_rows_are_put_back_whatever_is_read(data: st.DataObject, word: str, seed: int) -> None:
    heads, half = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5))
    width = data.draw(st.sampled_from([32, 64, WIDE])) if word.startswith("Q") else data.draw(st.sampled_from([1, 3, 7, WIDE]))
    weight = np.random.default_rng(seed).standard_normal((heads * half * 2, width)).astype(np.float32)
    file, _ = gguf_models.stored(gguf_models.permuted(weight, heads), word)
    expected, _ = gguf_models.stored(weight, word)
    kind = BY_WORD[word]
    item = dtypes.FORMATS[kind.dtype].bits // 8
    source = Memory({"model.gguf": bytes(FIRST) + file.tobytes()})
    packing = Rotary(Stored("model.gguf", FIRST, kind), half, width)
    first, last = data.draw(runs(weight.size))
    assert read(source, packing, first, last) == kind.decode(expected.tobytes())[first * item : last * item]
    assert packing.bits == kind.bits
    assert hash(packing) == hash(Rotary(Stored("model.gguf", FIRST, kind), half, width))


def test_a_run_in_wide_rows_reads_little_more() -> None:
    kind = BY_WORD["Q4_K"]
    packing = Rotary(Stored("model.gguf", 0, kind), 64, 4096)
    for first in range(0, 4096 * 64, 1024 + 512):
        asked = packing.ranges(first, first + 1024)
        assert sum(map(len, asked)) <= 6 * kind.size


def gaussian(seed: int, shape: tuple[int, ...] = (8, 512)) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def decoded(weight: NDArray[np.float32], word: str) -> Any:
    return gguf.quants.dequantize(encode(weight, word), gguf.GGMLQuantizationType[word])


@pytest.mark.parametrize("word", ENCODERS)
def test_encoders_err_as_little_as_their_bits_allow(word: str) -> None:
    weight = gaussian(0)
    encoded = encode(weight, word)
    assert encoded.shape == (8, 512 // BY_WORD[word].values * BY_WORD[word].size)
    least, most = ERRORS[word]
    assert least < np.linalg.norm(decoded(weight, word) - weight) / np.linalg.norm(weight) < most


@SELDOM
@given(st.sampled_from(sorted(ENCODERS)), seeds, st.floats(-8, 3))
def test_encoding_what_was_decoded_changes_it_little(word: str, seed: int, size: float) -> None:
    weight = gaussian(seed) * np.float32(np.exp(size))
    once = decoded(weight, word)
    twice = decoded(once, word)
    assert np.linalg.norm(twice - once) < np.linalg.norm(once - weight)


@pytest.mark.parametrize("word", ENCODERS)
def test_a_block_of_zeros_stays_so(word: str) -> None:
    assert not decoded(np.zeros((2, 256), np.float32), word).any()


def test_infinite_scales_decode_without_a_warning() -> None:
    for kind in KINDS.values():
        assert len(kind.decode(b"\xff" * kind.size)) == kind.values * dtypes.FORMATS[kind.dtype].bits // 8
        assert len(kind.decode(b"\x00\x7c" * kind.size)) == 2 * kind.values * dtypes.FORMATS[kind.dtype].bits // 8
