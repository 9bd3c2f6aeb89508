"""One small network in every format that is read, by the formats' own writers where they have one: a folder for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from bitsandbytes import functional
from numpy.typing import NDArray
from onnx import helper
from safetensors.torch import save_file

from tests import gguf_models
from tests.read import quantisers
from tests.read.onnx_models import model, tensor
from tests.stacks import LANGUAGE, adapter, stack

Weights = dict[str, NDArray[np.float32]]
Tensors = Mapping[str, torch.Tensor]
Writer = Callable[[Path, int], None]
_SHAPES = {"q": (64, 64), "up": (128, 64), "down": (64, 128)}


def network(seed: int) -> Weights:
    """Two blocks of three matrices with a norm each, and a vocabulary."""
    random = np.random.default_rng(seed)
    weights = {"embed.weight": random.standard_normal((500, 64), np.float32)}
    for layer in range(2):
        weights |= {f"layers.{layer}.{name}.weight": random.standard_normal(shape, np.float32) for name, shape in _SHAPES.items()}
        weights[f"layers.{layer}.norm.weight"] = random.standard_normal(64, np.float32)
    return weights


def _torch(seed: int) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in network(seed).items()}


def _safetensors(folder: Path, seed: int) -> None:
    save_file(_torch(seed), folder / "model.safetensors")


def _pickled(folder: Path, seed: int, *, zipped: bool = True) -> None:
    torch.save(_torch(seed), folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)


def sharded(folder: Path, seed: int) -> None:
    """Two shards of torch's with their index, as transformers saved them."""
    where: dict[str, str] = {}
    for part, names in enumerate(np.array_split(sorted(network(seed)), 2), 1):
        file = f"pytorch_model-{part:05}-of-00002.bin"
        held = _torch(seed)
        torch.save({str(name): held[name] for name in names}, folder / file)
        where |= {str(name): file for name in names}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": where}))


def _gguf(word: str) -> Writer:
    return lambda folder, seed: gguf_models.write(gguf_models.llama(seed), folder / "model.gguf", word)


def _onnx(folder: Path, seed: int, *, apart: bool = False) -> None:
    stored, nodes = [], []
    for place, (name, array) in enumerate(network(seed).items()):
        turned = array.ndim == 2 and "embed" not in name
        stored.append(tensor(f"onnx::MatMul_{place}" if turned else name, np.ascontiguousarray(array.T) if turned else array))
        if turned:
            scope = "/" + name.removesuffix(".weight").replace(".", "/") + "/MatMul"
            nodes.append(helper.make_node("MatMul", ["x", stored[-1].name], [f"y{place}"], scope))
    options: dict[str, Any] = {"location": "model.onnx_data", "size_threshold": 0} if apart else {}
    onnx.save(model(stored, nodes), folder / "model.onnx", save_as_external_data=apart, **options)


def _packed(pack: Callable[[NDArray[np.float32]], Mapping[str, Any]], config: Mapping[str, Any] | None = None) -> Writer:
    """safetensors with matrices packed in several tensors each; ``pack`` gives them by what follows the matrix's stem."""

    def write(folder: Path, seed: int) -> None:
        held: dict[str, torch.Tensor] = {}
        for name, array in network(seed).items():
            if array.ndim == 1 or "embed" in name:
                held[name] = torch.from_numpy(array)
                continue
            for part, value in pack(array).items():
                stored = value if isinstance(value, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(value))
                held[f"{name.removesuffix('.weight')}.{part}"] = stored
        save_file(held, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"quantization_config": dict(config or {})}))

    return write


def _gptq(array: NDArray[np.float32]) -> Mapping[str, Any]:
    return quantisers.gptq(array, 4, np.arange(array.shape[1]) // 32)


def _four_bits(array: NDArray[np.float32]) -> Mapping[str, Any]:
    packed, state = functional.quantize_4bit(torch.from_numpy(array), quant_type="nf4", compress_statistics=True)
    parts: Mapping[str, Any] = state.as_dict(packed=True)
    return {"weight": packed, **{f"weight.{name}": part for name, part in parts.items()}}


def _eight_bits(array: NDArray[np.float32]) -> Mapping[str, Any]:
    largest = np.abs(array).max(axis=1)
    return {"weight": np.rint(array / largest[:, None] * 127).astype(np.int8), "SCB": largest}


def _fp8(array: NDArray[np.float32]) -> Mapping[str, Any]:
    scale = float(np.abs(array).max()) / 448
    return {"weight": torch.from_numpy(array / scale).to(torch.float8_e4m3fn), "weight_scale": torch.tensor([scale])}


def _adapter(folder: Path, seed: int) -> None:
    held = adapter(stack(seed, range(2), LANGUAGE), ["q_proj"])
    save_file({name: torch.from_numpy(array) for name, array in held.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8, "lora_alpha": 16}))


FORMATS: Mapping[str, Writer] = {
    "safetensors": _safetensors,
    "torch zip": _pickled,
    "torch legacy": lambda folder, seed: _pickled(folder, seed, zipped=False),
    "torch shards": sharded,
    "GGUF F16": _gguf("F16"),
    "GGUF Q8_0": _gguf("Q8_0"),
    "GGUF Q4_K": _gguf("Q4_K"),
    "ONNX": _onnx,
    "ONNX, data beside it": lambda folder, seed: _onnx(folder, seed, apart=True),
    "GPTQ": _packed(_gptq, {"quant_method": "gptq", "bits": 4, "group_size": 32}),
    "AWQ": _packed(lambda array: quantisers.awq(array, 32)),
    "bitsandbytes of 4 bits": _packed(_four_bits),
    "bitsandbytes of 8 bits": _packed(_eight_bits),
    "FP8": _packed(_fp8),
    "adapter": _adapter,
}
"""What writes a network of a seed into a folder, by the format's name."""

PLAIN = ("torch zip", "torch legacy", "torch shards", "ONNX", "ONNX, data beside it")
"""The formats that hold :func:`network` as safetensors do, value by value."""


def written(folder: Path, form: str, seed: int = 0) -> Path:
    """The folder, made, with the network of a seed in a format."""
    folder.mkdir(parents=True)
    FORMATS[form](folder, seed)
    return folder
