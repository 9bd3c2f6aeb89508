"""Every dtype of safetensors, as the library itself writes it and as torch and ml_dtypes understand it."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file

from hub_lineage.hub import LocalSource
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.types import ByteRange, Reference, Tensor
from tests.simulated import Memory
from tests.strategies import OFTEN

TORCH = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
}
PACKED = {
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F6_E2M3": ml_dtypes.float6_e2m3fn,
    "F6_E3M2": ml_dtypes.float6_e3m2fn,
    "F4": ml_dtypes.float4_e2m1fn,
}
FOUR_BITS = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]


def raw_bytes(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8)


def stored(folder: Path, tensor: torch.Tensor) -> tuple[Tensor, bytes]:
    """A tensor written by the library, found and read by ours."""
    save_file({"before": torch.zeros(3, dtype=torch.uint8), "it": tensor}, folder / "model.safetensors")
    source = LocalSource(Reference(str(folder), local=True))
    found = next(t for t in read_index(source) if t.name == "it")
    return found, source.read([ByteRange(found.path, found.start, found.stop)])[0]


def by_hand(word: str, elements: int, data: bytes) -> bytes:
    header = f'{{"it":{{"dtype":"{word}","shape":[{elements}],"data_offsets":[0,{len(data)}]}}}}'.encode()
    return len(header).to_bytes(8, "little") + header + data


@pytest.mark.parametrize("word", TORCH)
def test_values_are_torch_s(tmp_path: Path, word: str) -> None:
    written = torch.from_numpy(raw_bytes(4096)).view(TORCH[word]).reshape(2, -1)
    found, raw = stored(tmp_path, written)
    assert (found.dtype, found.shape) == (word, tuple(written.shape))
    np.testing.assert_array_equal(dtypes.decode(word, raw), written.to(torch.float32).numpy().reshape(-1))


def test_booleans_and_real_parts(tmp_path: Path) -> None:
    found, raw = stored(tmp_path, torch.tensor([True, False, True]))
    assert found.dtype == "BOOL"
    assert dtypes.decode("BOOL", raw).tolist() == [1, 0, 1]
    found, raw = stored(tmp_path, torch.tensor([1.5 + 2j, -3 + 0.5j], dtype=torch.complex64))
    assert found.dtype == "C64"
    assert dtypes.decode("C64", raw).tolist() == [1.5, -3]


def test_scales_are_powers_of_two() -> None:
    decoded = dtypes.decode("F8_E8M0", bytes(range(256)))
    np.testing.assert_array_equal(decoded[:255], 2.0 ** (np.arange(255) - 127.0))
    assert np.isnan(decoded[255])


def test_four_bits_as_the_library_packs_them() -> None:
    data = torch.from_numpy(raw_bytes(64))
    spec = safetensors.TensorSpec(dtype="float4_e2m1fn_x2", shape=[64], data_ptr=data.data_ptr(), data_len=64)
    source = Memory({"model.safetensors": bytes(safetensors.serialize({"it": spec}))})
    (found,) = read_index(source)
    assert (found.dtype, found.shape) == ("F4", (128,))
    (raw,) = source.read([ByteRange(found.path, found.start, found.stop)])
    expected = [FOUR_BITS[code] for byte in data.tolist() for code in (byte & 15, byte >> 4)]
    assert dtypes.decode("F4", raw).tolist() == expected


@pytest.mark.parametrize("word", ["F6_E2M3", "F6_E3M2", "F4"])
@given(data=st.binary(max_size=60))
@OFTEN
def test_packed_values_by_slow_shifting(word: str, data: bytes) -> None:
    bits = dtypes.FORMATS[word].bits
    whole = int.from_bytes(data, "little")
    codes = [whole >> (bits * i) & (2**bits - 1) for i in range(len(data) * 8 // bits)]
    expected = np.array(codes, dtype=np.uint8).view(PACKED[word]).astype(np.float32)
    np.testing.assert_array_equal(dtypes.decode(word, data), expected)


@pytest.mark.parametrize("word", dtypes.FORMATS)
def test_every_word_is_the_format_s_and_has_its_width(word: str) -> None:
    data = bytes(dtypes.FORMATS[word].bits)
    ((name, description),) = safetensors.deserialize(by_hand(word, 8, data))  # type: ignore[no-untyped-call]
    assert (name, description["dtype"], description["shape"]) == ("it", word, [8])
    (found,) = read_index(Memory({"model.safetensors": by_hand(word, 8, data)}))
    assert (found.dtype, found.shape, found.stop - found.start) == (word, (8,), len(data))
    assert dtypes.decode(word, data).shape == (8,)


@given(st.sampled_from(sorted(dtypes.FORMATS)), st.integers(0, 1000), st.integers(0, 1000))
@OFTEN
def test_a_span_holds_its_values_and_no_whole_byte_more(word: str, one: int, other: int) -> None:
    first, last = min(one, other), max(one, other)
    start, stop = dtypes.byte_span(word, first, last)
    bits = dtypes.FORMATS[word].bits
    assert start * 8 <= first * bits < (start + 1) * 8
    assert (stop - 1) * 8 < last * bits <= stop * 8


@pytest.mark.parametrize("word", sorted(dtypes.FLOATS - {"F64"}))
def test_rounding_is_storing_and_reading(word: str) -> None:
    values = np.random.default_rng(1).standard_normal(500).astype(np.float32)
    once = dtypes.round_to(word, values)
    assert 0 < np.abs(once - values).max() < 0.6 or word == "F32"
    np.testing.assert_array_equal(dtypes.round_to(word, once), once)
    if dtypes.FORMATS[word].bits >= 8:
        np.testing.assert_array_equal(dtypes.decode(word, dtypes.encode(word, values)), once)
    else:
        with pytest.raises(ValueError, match="packs"):
            dtypes.encode(word, values)


@given(st.sampled_from(sorted(dtypes.FLOATS)), st.sampled_from(sorted(dtypes.FLOATS)))
@OFTEN
def test_the_coarser_has_fewer_bits(one: str, other: str) -> None:
    bits = {word: dtypes.FORMATS[word].significand for word in (one, other)}
    assert bits[dtypes.coarser(one, other)] == min(bits.values())
    assert dtypes.coarser(one, one) == one


def test_scales_whole_numbers_and_complex_are_no_weights() -> None:
    assert not dtypes.FLOATS & {"F8_E8M0", "I8", "U8", "BOOL", "C64"}
    assert {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F4"} <= dtypes.FLOATS
