"""ONNX files as torch's older exporter, which traces, writes them, against the networks that were exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hub_lineage.fingerprint import read_fingerprint
from tests.read import exporting


@pytest.mark.parametrize("make", [exporting.mlp, exporting.tokens, exporting.cnn, exporting.vit, exporting.bert])
def test_an_export_is_read_as_its_network(make: Callable[[], tuple[nn.Module, torch.Tensor]], tmp_path: Path) -> None:
    module, given = make()
    path = exporting.exported(module, given, tmp_path / "onnx", dynamo=False)
    exporting.assert_holds(path, module)
    exporting.assert_same_fingerprint(path, module, tmp_path)


def test_folded_batch_norm_is_another_fingerprint_of_the_same_shapes(tmp_path: Path) -> None:
    """An exporter folds batch norm into the convolution before it: the weights in the file are not the network's own."""
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3))
    path = exporting.exported(module, torch.zeros(1, 3, 8, 8), tmp_path / "onnx", dynamo=False)
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, tmp_path / "model.safetensors")
    one, other = read_fingerprint(exporting.local(path.parent)), read_fingerprint(exporting.local(tmp_path))
    assert one.architecture == other.architecture
    same = {sample.shape: sample.raw for sample in other.samples}
    assert [sample.raw == same[sample.shape] for sample in one.samples] == [sample.shape[0] == 24 for sample in one.samples]
    (folded,) = (sample for sample in one.samples if sample.shape[0] == 16)
    assert folded.label == "0.weight"
