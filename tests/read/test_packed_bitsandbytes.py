"""Models that transformers and bitsandbytes really quantised and saved, against what bitsandbytes itself dequantises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes import functional
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

from hub_lineage.fingerprint import read_fingerprint, values
from hub_lineage.hub import LocalSource
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.types import Reference, Tensor

KINDS: dict[str, dict[str, Any]] = {
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    "nf4 nested": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
    "int8": {"load_in_8bit": True},
}
WORDS = {"nf4": "NF4", "nf4 nested": "NF4", "fp4": "FP4", "int8": "INT8"}


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=96,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=50,
    )
    folder = tmp_path_factory.mktemp("original")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def quantised(request: pytest.FixtureRequest, original: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("quantised")
    config = BitsAndBytesConfig(**KINDS[request.param])  # type: ignore[no-untyped-call]
    LlamaForCausalLM.from_pretrained(original, quantization_config=config, device_map="cpu").save_pretrained(folder)
    return request.param, folder


def dequantised(stored: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """What bitsandbytes makes of one weight in a file."""
    if (scales := stored.get(f"{name.removesuffix('.weight')}.SCB")) is not None:
        return stored[name].float() * scales[:, None] / 127
    parts = {key: value for key, value in stored.items() if key.startswith(f"{name}.")}
    state = functional.QuantState.from_dict(parts, device=torch.device("cpu"))
    shape, state.shape = state.shape, torch.Size([1, state.shape.numel()])
    # Blocks run over rows, but of rows that aren't whole blocks its kernel for CPUs makes another sense; of one row it can't.
    return functional.dequantize_4bit(stored[name].reshape(-1, 1), state).reshape(shape)


def test_every_weight_is_what_bitsandbytes_makes_of_it(quantised: tuple[str, Path]) -> None:
    kind, folder = quantised
    source, stored = local(folder), load_file(folder / "model.safetensors")
    packed = [tensor for tensor in read_index(source) if tensor.packing is not None]
    assert len(packed) == 14
    for tensor in packed:
        assert tensor.packing is not None
        assert tensor.packing.word == WORDS[kind]
        expected = dequantised(stored, tensor.name)
        assert tensor.shape == tuple(expected.shape)
        flat = expected.float().numpy().reshape(-1)
        for first, last in [(0, len(flat)), (1, 2), (63, 1087), (777, 778), (64, 128), (5, 5)]:
            np.testing.assert_allclose(part(source, tensor, first, last), flat[first:last], rtol=1e-5, atol=1e-8)


def part(source: LocalSource, tensor: Tensor, first: int, last: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    assert tensor.packing is not None
    return dtypes.decode(tensor.dtype, tensor.packing.values(first, last, source.read(tensor.packing.ranges(first, last))))


def test_its_fingerprint_stands_beside_its_source_s(quantised: tuple[str, Path], original: Path) -> None:
    kind, folder = quantised
    copy, whole = read_fingerprint(local(folder)), read_fingerprint(local(original))
    assert (copy.architecture, copy.parameters, copy.partial) == (whole.architecture, whole.parameters, ())
    for one, other in zip(copy.samples, whole.samples, strict=True):
        assert (one.label, one.packed) == (other.label, WORDS[kind])
        assert np.corrcoef(values(one), values(other))[0, 1] > 0.98
