"""Small networks and their export to ONNX, for tests of what is read out of it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import LocalSource
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.types import ByteRange, Reference, Source, Tensor

SMALL: dict[str, Any] = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "attn_implementation": "eager",
}  # fmt: skip
IDS = torch.arange(7)[None]


class First(nn.Module):
    """A transformer that gives its first output only, as exporters want it; its parameters keep their names."""

    def __init__(self, model: nn.Module, **options: Any) -> None:
        super().__init__()
        self.model = model
        self.options = options

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model(given, return_dict=False, **self.options)[0]
        return found


class Tokens(nn.Module):
    """A perceptron over tokens: matrices that an exporter transposes, and two that torch itself multiplies from the right."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(24, 48)
        self.down = nn.Linear(48, 24, bias=False)
        self.mixing = nn.ParameterDict({"table": torch.zeros(24, 24)})
        self.c_fc = Conv1D(40, 24)  # type: ignore[no-untyped-call]

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.c_fc(self.down(self.up(given).relu()) @ self.mixing["table"])
        return found


def mlp() -> tuple[nn.Module, torch.Tensor]:
    return nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Linear(48, 40), nn.ReLU(), nn.Linear(40, 5)), torch.zeros(1, 24)


def cnn() -> tuple[nn.Module, torch.Tensor]:
    layers = nn.Conv2d(3, 16, 3), nn.ReLU(), nn.BatchNorm2d(16), nn.ConvTranspose2d(16, 24, 3), nn.ReLU(), nn.Conv2d(24, 16, 1)
    return nn.Sequential(*layers), torch.zeros(1, 3, 8, 8)


def vit() -> tuple[nn.Module, torch.Tensor]:
    return First(transformers.ViTModel(transformers.ViTConfig(image_size=16, patch_size=8, **SMALL), False)), torch.zeros(
        1, 3, 16, 16
    )


def bert() -> tuple[nn.Module, torch.Tensor]:
    return First(transformers.BertModel(transformers.BertConfig(vocab_size=100, **SMALL), add_pooling_layer=False)), IDS


def llama() -> tuple[nn.Module, torch.Tensor]:
    config = transformers.LlamaConfig(vocab_size=100, num_key_value_heads=1, **SMALL)
    return First(transformers.LlamaForCausalLM(config), use_cache=False), IDS


def tokens() -> tuple[nn.Module, torch.Tensor]:
    return Tokens(), torch.zeros(1, 3, 24)


def exported(module: nn.Module, given: torch.Tensor, folder: Path, dynamo: bool) -> Path:
    """Export a network with weights that all differ, so that none is taken for another."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) * 0.1 + 0.05)
    folder.mkdir()
    path = folder / "model.onnx"
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (given,), path, dynamo=dynamo, verbose=False)
    return path


def values(source: Source, tensor: Tensor, first: int = 0, last: int | None = None) -> NDArray[np.float32]:
    """Some values of a tensor as they come out of its file."""
    last = tensor.elements if last is None else last
    if tensor.packing is not None:
        raw = tensor.packing.values(first, last, source.read(tensor.packing.ranges(first, last)))
    else:
        start, stop = dtypes.byte_span(tensor.dtype, first, last)
        (raw,) = source.read([ByteRange(tensor.path, tensor.start + start, tensor.start + stop)])
    return dtypes.decode(tensor.dtype, raw)


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def weights_of(module: nn.Module) -> Mapping[str, torch.Tensor]:
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items()}


def assert_holds(path: Path, module: nn.Module) -> None:
    """Every matrix and kernel of a network is found under its name, with torch's shape and values, run by run as well."""
    source = local(path.parent)
    found = {tensor.name: tensor for tensor in read_index(source)}
    for name, tensor in weights_of(module).items():
        if tensor.ndim < 2 or name.endswith("cls_token"):  # exporters fold the latter, and rename and share vectors
            continue
        assert found[name].shape == tuple(tensor.shape), name
        np.testing.assert_array_equal(values(source, found[name]), tensor.numpy().reshape(-1))
        first, last = tensor.numel() // 3, tensor.numel() // 2
        np.testing.assert_array_equal(values(source, found[name], first, last), tensor.numpy().reshape(-1)[first:last])


def assert_same_fingerprint(path: Path, module: nn.Module, folder: Path) -> None:
    """The body is sampled as it is out of safetensors; vectors too, as far as they aren't folded or written otherwise."""
    save_file(dict(weights_of(module)), folder / "model.safetensors")
    one, other = read_fingerprint(local(path.parent)), read_fingerprint(local(folder))
    assert (one.architecture, one.blocks) == (other.architecture, other.blocks)
    assert [sample.raw for sample in one.samples] == [sample.raw for sample in other.samples]
    assert {sample.raw for sample in other.vectors} >= {sample.raw for sample in one.vectors if "." in sample.label}
    assert one.vectors
