"""Quantised matrices in safetensors: any run of their values, against decoders that go value by value."""

from __future__ import annotations

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save
from safetensors.torch import save as save_torch

from hub_lineage.fingerprint import digest, read_fingerprint, values
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.types import Tensor
from tests.read.quantisers import Stored, awq, awq_decoded, gptq, gptq_decoded, pack_quantized
from tests.simulated import Memory
from tests.strategies import SELDOM, seeds

Floats = NDArray[np.float32]
CONFIG = {"quant_method": "gptq"}


def model(parts: dict[str, Stored], config: dict[str, Any] | None = None, **plain: NDArray[Any]) -> Memory:
    tensors = {f"{name}.{part}": value for name, stored in parts.items() for part, value in stored.items()}
    files = {"model.safetensors": save({key: np.ascontiguousarray(value) for key, value in {**tensors, **plain}.items()})}
    return Memory(files | ({"config.json": json.dumps({"quantization_config": config}).encode()} if config else {}))


def run_of(source: Memory, tensor: Tensor, first: int, last: int) -> Floats:
    assert tensor.packing is not None
    ranges = tensor.packing.ranges(first, last)
    return dtypes.decode(tensor.dtype, tensor.packing.values(first, last, source.read(ranges)))


def assert_every_run(source: Memory, tensor: Tensor, expected: Floats, seed: int) -> None:
    """The whole and some runs, each rounded to the tensor's dtype as it must be."""
    flat = dtypes.round_to(tensor.dtype, expected.reshape(-1))
    assert tensor.shape == expected.shape
    random = np.random.default_rng(seed)
    ends = [(0, len(flat)), (0, 0), *(sorted(random.integers(0, len(flat) + 1, 2).tolist()) for _ in range(12))]
    for first, last in ends:
        np.testing.assert_allclose(
            run_of(source, tensor, first, last), flat[first:last], rtol=2e-3 if tensor.dtype != "F32" else 1e-6
        )


def weight(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def only(source: Memory) -> Tensor:
    (tensor,) = (tensor for tensor in read_index(source) if tensor.packing is not None)
    return tensor


@given(seeds, st.sampled_from([2, 3, 4, 8]), st.booleans(), st.booleans(), st.sampled_from([(32, 64), (64, 96), (32, 32)]))
@SELDOM
def test_gptq_of_any_bits_order_and_version(seed: int, bits: int, shuffled: bool, second: bool, shape: tuple[int, int]) -> None:
    out, into = shape
    groups = np.arange(into) // 32
    groups = np.random.default_rng(seed).permutation(groups) if shuffled else groups
    above = 0 if second else 1
    stored = gptq(weight(seed, out, into), bits, groups, above=above)
    config = {
        **CONFIG,
        "group_size": 32,
        "desc_act": shuffled,
        "bits": bits,
        "checkpoint_format": "gptq_v2" if second else "gptq",
    }
    source = model({"layer.0.q_proj": stored}, config)
    tensor = only(source)
    assert (tensor.name, tensor.dtype) == ("layer.0.q_proj.weight", "F16")
    assert tensor.packing is not None
    assert (tensor.packing.word, tensor.packing.bits) == (f"GPTQ-{bits}", bits)
    assert_every_run(source, tensor, gptq_decoded(stored, bits, above), seed)


def test_gptq_needs_no_settings_and_no_order() -> None:
    original = weight(1, 32, 64)
    stored = gptq(original, 4, np.arange(64) // 16)
    expected = gptq_decoded(stored, 4)
    assert np.abs(expected - original).max() < 0.3
    assert_every_run(model({"a": stored}), only(model({"a": stored})), expected, 1)
    del stored["g_idx"]
    assert_every_run(model({"a": stored}), only(model({"a": stored})), expected, 2)


@given(seeds, st.sampled_from([(8, 32), (40, 64), (64, 48)]), st.sampled_from([16, 8]))
@SELDOM
def test_awq(seed: int, shape: tuple[int, int], group: int) -> None:
    stored = awq(weight(seed, *shape), group)
    source = model({"layer.0.q_proj": stored}, {"quant_method": "awq"})
    tensor = only(source)
    assert (tensor.name, tensor.dtype, tensor.packing and tensor.packing.word) == ("layer.0.q_proj.weight", "F16", "AWQ-4")
    assert_every_run(source, tensor, awq_decoded(stored, group), seed)


@given(seeds, st.sampled_from([4, 8]), st.sampled_from([(3, 64), (40, 32)]), st.sampled_from([8, 32]))
@SELDOM
def test_pack_quantized(seed: int, bits: int, shape: tuple[int, int], group: int) -> None:
    stored, expected = pack_quantized(weight(seed, *shape), bits, group)
    source = model({"a": stored}, {"config_groups": {"group_0": {"weights": {"num_bits": bits}}}})
    tensor = only(source)
    assert (tensor.packing and tensor.packing.word, tensor.name) == (f"INT{bits}", "a.weight")
    assert_every_run(source, tensor, expected, seed)


SCALES = {"one": (), "one in a list": (1,), "a row": (200,), "a row in a column": (200, 1), "a block": (2, 3)}


@pytest.mark.parametrize("kind", SCALES)
@pytest.mark.parametrize("word", ["weight_scale", "weight_scale_inv"])
@pytest.mark.parametrize(("dtype", "scale"), [(torch.float8_e4m3fn, torch.float32), (torch.float8_e5m2, torch.bfloat16)])
def test_fp8_with_its_scales(kind: str, word: str, dtype: torch.dtype, scale: torch.dtype) -> None:
    out, into = 200, 300
    torch.manual_seed(0)
    stored = torch.randn(out, into).to(dtype)
    shape = SCALES[kind]
    scales = (torch.rand(shape) + 0.5).to(scale)
    source = Memory({"model.safetensors": save_torch({"a.weight": stored, f"a.{word}": scales})})
    full = scales.float()
    if kind == "a block":
        full = full.repeat_interleave(128, 0)[:out].repeat_interleave(128, 1)[:, :into]
    expected = (stored.float() * (full[:, None] if kind == "a row" else full)).numpy()
    tensor = only(source)
    assert (tensor.packing and tensor.packing.word, tensor.dtype) == ("FP8", {torch.float32: "F32"}.get(scale, "BF16"))
    flat = dtypes.round_to(tensor.dtype, expected.reshape(-1))
    for first, last in [(0, out * into), (299, 301), (150, 1174), (38_400, 38_401), (29_000, 31_000)]:
        np.testing.assert_allclose(
            run_of(source, tensor, first, last), flat[first:last], rtol=8e-3 if tensor.dtype == "BF16" else 1e-6
        )


def test_fp8_without_scales_stays_as_it_is() -> None:
    stored = weight(3, 40, 30).astype(ml_dtypes.float8_e4m3fn)
    (tensor,) = read_index(Memory({"model.safetensors": save({"a.weight": stored})}))
    assert (tensor.dtype, tensor.packing) == ("F8_E4M3", None)


def test_a_quantised_copy_has_its_source_s_architecture_and_places() -> None:
    """Its fingerprint holds, at the same places, the same weights to within rounding; and counts as many parameters."""
    bodies = {
        f"layers.{i}.{name}": weight(i * 9 + k, 64, 64 if name == "q" else 128) for i in range(4) for k, name in enumerate("qv")
    }
    norm: dict[str, Any] = {f"layers.{i}.norm.weight": weight(i, 64) for i in range(4)}
    original = read_fingerprint(Memory({"model.safetensors": save({f"{k}.weight": v for k, v in bodies.items()} | norm)}))
    for made in (
        model({k: gptq(v, 4, np.arange(v.shape[1]) // 32) for k, v in bodies.items()}, CONFIG, **norm),
        model({k: awq(v, 32) for k, v in bodies.items()}, None, **norm),
    ):
        copy = read_fingerprint(made)
        assert copy.architecture == original.architecture
        assert copy.blocks == original.blocks
        for one, other in zip(copy.samples, original.samples, strict=True):
            assert (one.label, one.shape) == (other.label, other.shape)
            assert np.corrcoef(values(one), values(other))[0, 1] > 0.99
        assert {tensor.name.rpartition(".")[2] for tensor in read_index(made)} == {"weight"}


def test_gptq_and_shards_in_any_order_give_one_fingerprint() -> None:
    stored = {f"h.{i}.a": gptq(weight(i, 32, 64), 4, np.arange(64) // 32) for i in range(2)}
    whole = model(stored)
    tensors = {f"{name}.{part}": value for name, one in stored.items() for part, value in one.items()}
    names = sorted(tensors)
    halves = [{name: tensors[name] for name in names[i::2]} for i in range(2)]
    shards = Memory({f"model-0000{2 - i}-of-00002.safetensors": save(half) for i, half in enumerate(halves)})
    assert digest(read_fingerprint(whole)) == digest(read_fingerprint(shards))


def test_what_is_not_packed_costs_nothing_more() -> None:
    plain = Memory(
        {"model.safetensors": save({"a.weight": weight(0, 40, 30), "a.scales": weight(1, 40, 20)}), "config.json": b"{}"}
    )
    tensors = read_index(plain)
    assert {tensor.name for tensor in tensors} == {"a.weight", "a.scales"}
    assert {one.path for one in plain.asked} == {"model.safetensors"}
