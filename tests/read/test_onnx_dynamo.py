"""ONNX files as torch's newer exporter writes them, with the weights beside, against the networks that were exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.read import exporting


@pytest.mark.parametrize("make", [exporting.tokens, exporting.cnn, exporting.llama])
def test_an_export_is_read_as_its_network(make: Callable[[], tuple[nn.Module, torch.Tensor]], tmp_path: Path) -> None:
    module, given = make()
    path = exporting.exported(module, given, tmp_path / "onnx", dynamo=True)
    exporting.assert_holds(path, module)
    exporting.assert_same_fingerprint(path, module, tmp_path)
