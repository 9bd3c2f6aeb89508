"""ONNX files made by the format's own library, for tests of what is read out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hub_lineage.read.index import read_index
from hub_lineage.types import Source, Tensor
from tests.simulated import Memory


def model(tensors: Sequence[TensorProto], nodes: Sequence[onnx.NodeProto] = ()) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph(list(nodes), "graph", [], [], initializer=list(tensors)))


def source_of(made: onnx.ModelProto, **files: bytes) -> Memory:
    return Memory({"model.onnx": made.SerializeToString(), **files})


def tensor(name: str, array: NDArray[Any]) -> TensorProto:
    return numpy_helper.from_array(array, name)


def drawn(*shape: int, dtype: Any = np.float32, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def index(source: Source) -> dict[str, Tensor]:
    return {found.name: found for found in read_index(source)}
