"""Low-rank adapters as peft writes them: their changes at the places at which their base's weights are sampled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig, get_peft_model
from safetensors.numpy import load_file, save
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from hub_lineage.candidates import away, is_adapter
from hub_lineage.fingerprint import decode, encode, read_fingerprint, values
from hub_lineage.hub import LocalSource
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.sampling import runs_of
from hub_lineage.types import Fingerprint, Reference, Source, Tensor
from tests.simulated import Memory

Floats = NDArray[np.float32]
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {"r": 4, "lora_alpha": 12},
    "of rank-stable scale": {"r": 4, "lora_alpha": 12, "use_rslora": True},
    "of several ranks": {
        "r": 4,
        "lora_alpha": 8,
        "rank_pattern": {"q_proj": 2, "layers.1.mlp.down_proj": 8},
        "alpha_pattern": {"^model.layers.0.self_attn.v_proj$": 32, "down_proj": 3},
    },
}


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def adapted(base: nn.Module, folder: Path, config: dict[str, Any]) -> dict[str, Floats]:
    """Saves a random adapter of a model; gives the changes that peft itself makes, by the names of weights in the base."""
    before = {name: value.detach().clone() for name, value in base.state_dict().items()}
    model = get_peft_model(base, LoraConfig(**config))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    model.save_pretrained(str(folder))
    after = model.merge_and_unload().state_dict()
    return {name: (after[name] - value).numpy() for name, value in before.items() if not torch.equal(after[name], value)}


def whole(source: Source, tensor: Tensor) -> Floats:
    assert tensor.packing is not None
    parts = source.read(tensor.packing.ranges(0, tensor.elements))
    return dtypes.decode(tensor.dtype, tensor.packing.values(0, tensor.elements, parts)).reshape(tensor.shape)


def assert_changes(folder: Path, expected: dict[str, Floats]) -> None:
    source = local(folder)
    found = {tensor.name: tensor for tensor in read_index(source)}
    assert set(found) == set(expected)
    for name, change in expected.items():
        assert found[name].shape == change.shape
        np.testing.assert_allclose(whole(source, found[name]), change, rtol=1e-3, atol=2e-5)


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}
    return LlamaForCausalLM(LlamaConfig(num_hidden_layers=2, vocab_size=80, tie_word_embeddings=False, **sizes))


@pytest.mark.parametrize("kind", CONFIGS)
def test_changes_are_those_that_peft_makes(kind: str, tmp_path: Path) -> None:
    changes = adapted(llama(), tmp_path, CONFIGS[kind] | {"target_modules": ["q_proj", "v_proj", "down_proj"]})
    assert len(changes) == 6
    assert_changes(tmp_path, changes)
    words = {tensor.packing.word for tensor in read_index(local(tmp_path)) if tensor.packing}
    assert words == ({"LORA-2", "LORA-4", "LORA-8"} if kind == "of several ranks" else {"LORA-4"})


def test_matrices_stored_the_other_way_round_are_changed_so(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=50, n_positions=20))
    changes = adapted(base, tmp_path, {"r": 3, "lora_alpha": 6, "target_modules": ["c_attn"], "fan_in_fan_out": True})
    assert {change.shape for change in changes.values()} == {(32, 96)}
    assert_changes(tmp_path, changes)


def test_kernels_are_changed(tmp_path: Path) -> None:
    base = nn.Sequential(nn.Conv2d(8, 16, 3), nn.Conv2d(16, 8, 3))
    changes = adapted(base, tmp_path, {"r": 2, "lora_alpha": 8, "target_modules": ["0", "1"]})
    assert {change.shape for change in changes.values()} == {(16, 8, 3, 3), (8, 16, 3, 3)}
    assert_changes(tmp_path, changes)


def halves(rank: int = 2) -> dict[str, Floats]:
    random = np.random.default_rng(0)
    return {"down": random.standard_normal((rank, 40), np.float32), "up": random.standard_normal((30, rank), np.float32)}


@pytest.mark.parametrize("alpha", [1.0, 0.5, None])
@pytest.mark.parametrize(("down", "up"), [("lora_down.weight", "lora_up.weight"), ("lora.down.weight", "lora.up.weight")])
def test_kohya_s_files_hold_alpha(alpha: float | None, down: str, up: str) -> None:
    half = halves()
    tensors = {f"lora_unet_mid_attn_to_q.{down}": half["down"], f"lora_unet_mid_attn_to_q.{up}": half["up"]}
    if alpha is not None:
        tensors["lora_unet_mid_attn_to_q.alpha"] = np.array(alpha, dtype=np.float32)
    source = Memory({"lora.safetensors": save(tensors)})
    (tensor,) = read_index(source)
    assert (tensor.name, tensor.packing and tensor.packing.bits) == ("lora_unet_mid_attn_to_q.weight", 0)
    expected = half["up"] @ half["down"] * (1.0 if alpha is None else alpha / 2)
    np.testing.assert_allclose(whole(source, tensor), expected, rtol=1e-5)


def test_the_samples_stand_where_the_base_s_stand(tmp_path: Path) -> None:
    base = llama()
    base.save_pretrained(tmp_path / "base")
    changes = adapted(base, tmp_path / "lora", CONFIGS["plain"] | {"target_modules": "all-linear"})
    its, found = read_fingerprint(local(tmp_path / "base")), read_fingerprint(local(tmp_path / "lora"))
    assert is_adapter(found)
    assert not is_adapter(its)
    assert is_adapter(decode(encode(found)))
    assert found.architecture != its.architecture, "changes are no weights"
    assert [(block.key, block.count, block.samples) for block in found.blocks] == [(b.key, b.count, ()) for b in its.blocks]
    assert away(found, its.blocks) == 0
    assert [(one.shape, one.label) for one in found.samples] == [(one.shape, one.label) for one in its.samples]
    for sample in found.samples:
        flat = changes[sample.label].reshape(-1)
        assert len(values(sample)) == len(flat), "all of a small network"
        np.testing.assert_allclose(values(sample), flat, rtol=1e-3, atol=2e-5)


def test_runs_of_wide_changes_lie_where_the_shape_says() -> None:
    random = np.random.default_rng(0)
    up, down = (random.standard_normal(shape, np.float32) for shape in ((3000, 4), (4, 2500)))
    source = Memory({"adapter_model.safetensors": save({"a.lora_A.weight": down, "a.lora_B.weight": up})})
    ((tensor,), expected) = read_index(source), (up @ down).reshape(-1)
    assert tensor.packing is not None
    for first, last in [*runs_of((3000, 2500), 20), (2400, 2600), (0, 8000), (7_499_999, 7_500_000)]:
        raw = tensor.packing.values(first, last, source.read(tensor.packing.ranges(first, last)))
        np.testing.assert_allclose(dtypes.decode("F32", raw), expected[first:last], rtol=1e-3, atol=1e-5)


def test_a_whole_model_with_an_adapter_beside_it_is_none() -> None:
    half = halves()
    tensors = {f"h.{i}.q.{name}": value for i in range(4) for name, value in [
        ("base_layer.weight", np.random.default_rng(i).standard_normal((30, 40), np.float32)),
        ("lora_A.speech.weight", half["down"]), ("lora_B.speech.weight", half["up"]),
    ]}  # fmt: skip
    found = read_fingerprint(Memory({"model.safetensors": save(tensors)}))
    assert not is_adapter(found)
    assert {sample.label for sample in found.samples} == {f"h.{i}.q.base_layer.weight" for i in range(4)}


def test_what_is_trained_beside_the_changes_is_no_part_of_the_body(tmp_path: Path) -> None:
    adapted(llama(), tmp_path, CONFIGS["plain"] | {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]})
    assert any("lm_head" in name for name in load_file(tmp_path / "adapter_model.safetensors"))
    found = read_fingerprint(local(tmp_path))
    assert {sample.packed for sample in found.samples} == {"LORA-4"}


ODD: dict[str, Any] = {
    "nothing": {},
    "an endless alpha": {"lora_alpha": float("inf")},
    "a great alpha": {"lora_alpha": 10**300},
    "a greater alpha": {"lora_alpha": 10**400},
    "no number": {"lora_alpha": "4"},
    "yes": {"lora_alpha": True},
    "patterns that are none": {"alpha_pattern": [1], "lora_alpha": None},
    "an expression": {"alpha_pattern": {"(a+)+$": "x"}},
    "a list": [1],
}


@pytest.mark.parametrize("kind", ODD)
def test_settings_that_make_no_sense_count_as_none(kind: str) -> None:
    half = halves()
    tensors = save({"a.lora_A.weight": half["down"], "a.lora_B.weight": half["up"]})
    source = Memory({"adapter_model.safetensors": tensors, "adapter_config.json": json.dumps(ODD[kind]).encode()})
    (tensor,) = read_index(source)
    np.testing.assert_allclose(whole(source, tensor), half["up"] @ half["down"], rtol=1e-5)


def test_halves_that_do_not_fit_stay_as_they_are() -> None:
    half = halves()
    source = Memory(
        {"adapter_model.safetensors": save({"a.lora_A.weight": half["down"], "a.lora_B.weight": half["up"].T.copy()})}
    )
    assert {tensor.packing for tensor in read_index(source)} == {None}
    found: Fingerprint = read_fingerprint(source)
    assert not is_adapter(found)
