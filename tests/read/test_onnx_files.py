"""ONNX files made by the format's own library: every way in which they hold weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hub_lineage.errors import NoWeights
from hub_lineage.hub import LocalSource
from hub_lineage.read import onnx_files
from hub_lineage.read.index import read_index
from hub_lineage.read.weights import WeightSet
from hub_lineage.types import Reference, RepoFile
from tests.read.exporting import values as read
from tests.read.onnx_models import drawn, index, model, source_of, tensor
from tests.simulated import Memory
from tests.strategies import SELDOM, seeds

CODES: dict[int, str] = {
    TensorProto.FLOAT: "F32",
    TensorProto.DOUBLE: "F64",
    TensorProto.FLOAT16: "F16",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.FLOAT8E4M3FN: "F8_E4M3",
    TensorProto.FLOAT8E5M2: "F8_E5M2",
}
KINDS = st.sampled_from([np.float32, np.float16, ml_dtypes.bfloat16])
SIZES = st.integers(1, 90)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("code", CODES)
def test_values_are_those_of_the_formats_own_library(code: int, raw: bool) -> None:
    array = drawn(5, 7)
    kind = helper.tensor_dtype_to_np_dtype(code)
    made = helper.make_tensor("a.weight", code, array.shape, array.astype(kind).tobytes() if raw else array.reshape(-1), raw=raw)
    (found,) = read_index(source_of(model([made])))
    assert (found.name, found.dtype, found.shape) == ("a.weight", CODES[code], (5, 7))
    expected = numpy_helper.to_array(made).astype(np.float32).reshape(-1)
    np.testing.assert_array_equal(read(source_of(model([made])), found), expected)
    np.testing.assert_array_equal(read(source_of(model([made])), found, 3, 17), expected[3:17])


@SELDOM
@given(
    seeds, st.integers(1, 90), st.integers(1, 90), st.sampled_from([np.float32, np.float16, ml_dtypes.bfloat16]), st.booleans()
)
def test_a_matrix_multiplied_from_the_right_is_turned_run_by_run(
    seed: int, rows: int, columns: int, kind: Any, raw: bool
) -> None:
    array = drawn(columns, rows, dtype=kind, seed=seed)
    made = tensor("onnx::MatMul_1", array)
    if not raw:
        code = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        made = helper.make_tensor("onnx::MatMul_1", code, array.shape, array.astype(np.float32).reshape(-1))
    source = source_of(model([made], [helper.make_node("MatMul", ["x", made.name], ["y"], name="/layers.3/q_proj/MatMul")]))
    (found,) = read_index(source)
    assert (found.name, found.shape) == ("layers.3.q_proj.weight", (rows, columns))
    whole = array.astype(np.float32).T.reshape(-1)
    first, last = sorted(np.random.default_rng(seed).integers(0, whole.size + 1, 2).tolist())
    np.testing.assert_array_equal(read(source, found), whole)
    np.testing.assert_array_equal(read(source, found, first, last), whole[first:last])


def test_a_turned_matrix_with_long_rows_is_read_by_pieces() -> None:
    array = drawn(6, 20_000)
    source = source_of(model([tensor("w", array)], [helper.make_node("MatMul", ["x", "w"], ["y"])]))
    (found,) = read_index(source)
    assert found.packing is not None
    assert (found.packing.word, found.packing.bits) == ("transposed", 0)
    assert sum(map(len, found.packing.ranges(0, 6))) == 6 * 4
    np.testing.assert_array_equal(read(source, found, 9, 31), array.T.reshape(-1)[9:31])


@pytest.mark.parametrize(
    ("name", "nodes", "turned"),
    [
        ("w", [("MatMul", ["x", "w"], {})], True),
        ("w", [("MatMul", ["w", "x"], {})], False),
        ("w", [("Gemm", ["x", "w"], {"transB": 1})], False),
        ("w", [("Gemm", ["x", "w"], {})], True),
        ("w", [("Transpose", ["w"], {"perm": [1, 0]}), ("MatMul", ["x", "0"], {})], False),
        ("w", [("Transpose", ["w"], {}), ("Gemm", ["x", "0"], {"transB": 1})], True),
        ("w", [("Identity", ["w"], {}), ("Cast", ["0"], {"to": 1}), ("MatMul", ["x", "1"], {})], True),
        ("w", [("Gather", ["w", "x"], {}), ("Transpose", ["w"], {}), ("MatMul", ["x", "1"], {})], False),
        ("h.0.attn.c_attn.weight", [("Gemm", ["x", "h.0.attn.c_attn.weight"], {})], False),
        ("h.0.attn.q_proj.MatMul.weight", [("MatMul", ["x", "h.0.attn.q_proj.MatMul.weight"], {})], True),
    ],
)
def test_nodes_tell_which_way_round_a_matrix_stands(name: str, nodes: list[tuple[str, list[str], Any]], turned: bool) -> None:
    made = [helper.make_node(op, inputs, [str(i)], **options) for i, (op, inputs, options) in enumerate(nodes)]
    (found,) = read_index(source_of(model([tensor(name, drawn(6, 4))], made)))
    assert found.shape == ((4, 6) if turned else (6, 4))


def test_what_inner_graphs_use_and_hold_and_constants_are_found() -> None:
    inner = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "inner", [], [], initializer=[tensor("b.weight", drawn(3, 3))]
    )
    nodes = [
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner),
        helper.make_node("Constant", [], ["k"], value=tensor("", drawn(9, 8))),
    ]
    found = index(source_of(model([tensor("w", drawn(6, 4))], nodes)))
    assert {name: found[name].shape for name in ("w", "b.weight", "k")} == {"w": (4, 6), "b.weight": (3, 3), "k": (9, 8)}


def test_whole_numbers_without_scales_are_no_weights() -> None:
    with pytest.raises(NoWeights):
        read_index(source_of(model([tensor("shape", np.array([2, 3]))])))


def quantised(array: NDArray[Any], axis: int | None, kind: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    across = tuple(i for i in range(array.ndim) if i != axis) if axis is not None else None
    scale = (np.abs(array).max(axis=across) / 127).astype(np.float32)
    zero = np.full(scale.shape, 128 if kind is np.uint8 else 0, kind)
    if axis is None:
        return (np.round(array / scale) + zero.astype(float)).clip(0 if kind is np.uint8 else -128, 255).astype(kind), scale, zero
    shape = [-1 if i == axis else 1 for i in range(array.ndim)]
    numbers = np.round(array / scale.reshape(shape)) + zero.astype(float).reshape(shape)
    return numbers.clip(0 if kind is np.uint8 else -128, 255).astype(kind), scale, zero


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("op", ["DequantizeLinear", "MatMulInteger", "DynamicQuantizeMatMul"])
def test_quantised_matrices_are_one_tensor(op: str, axis: int | None, kind: Any, listed: bool) -> None:
    if op != "DequantizeLinear" and axis == 0:
        axis = 1  # these know no other
    array = drawn(24, 10)
    numbers, scale, zero = quantised(array, axis, kind)
    stem = "/l.0/fc/Transpose_output_0"
    parts = [tensor(f"{stem}_quantized", numbers), tensor(f"{stem}_scale", scale), tensor(f"{stem}_zero_point", zero)]
    if listed:
        parts[2] = helper.make_tensor(parts[2].name, parts[2].data_type, zero.shape, zero.reshape(-1).tolist())
        parts[1] = helper.make_tensor(parts[1].name, TensorProto.FLOAT, scale.shape, scale.reshape(-1).tolist())
    names = [part.name for part in parts]
    nodes = {
        "DequantizeLinear": [
            helper.make_node("DequantizeLinear", names, ["w"], axis=1 if axis is None else axis),
            helper.make_node("MatMul", ["x", "w"], ["y"], name="/l.0/fc/MatMul"),
        ],
        "MatMulInteger": [helper.make_node("MatMulInteger", ["x", names[0], "z", names[2]], ["y"], name="/l.0/fc/MatMul_quant")],
        "DynamicQuantizeMatMul": [helper.make_node("DynamicQuantizeMatMul", ["x", *names], ["y"], name="/l.0/fc/MatMul")],
    }[op]
    source = source_of(model(parts, nodes))
    (found,) = read_index(source)
    assert (found.name, found.shape, found.dtype) == ("l.0.fc.weight", (10, 24), "F32")
    assert found.packing is not None
    assert (found.packing.word, found.packing.bits) == ("INT8", 8)
    along = scale if axis is None else np.expand_dims(scale, 1 - axis)
    expected = ((numbers.astype(np.float32) - (128 if kind is np.uint8 else 0)) * along).T.reshape(-1)
    np.testing.assert_allclose(read(source, found), expected, rtol=1e-6)
    np.testing.assert_array_equal(read(source, found, 31, 77), read(source, found)[31:77])
    hash(found.packing)


def test_a_quantised_kernel_has_a_scale_for_each_channel() -> None:
    array = drawn(6, 3, 3, 3)
    numbers, scale, _ = quantised(array, 0, np.int8)
    parts = [tensor("conv.weight_quantized", numbers), tensor("conv.weight_scale", scale)]
    nodes = [
        helper.make_node("DequantizeLinear", [part.name for part in parts], ["w"], axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]
    source = source_of(model(parts, nodes))
    (found,) = read_index(source)
    assert (found.name, found.shape) == ("conv.weight", array.shape)
    np.testing.assert_allclose(read(source, found), (numbers * scale.reshape(-1, 1, 1, 1)).reshape(-1), rtol=1e-6)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zeros", [True, False])
def test_matrices_quantised_in_blocks_are_one_tensor(bits: int, zeros: bool) -> None:
    rows, columns, size = 6, 70, 16
    count = -(-columns // size)
    random = np.random.default_rng(bits)
    numbers = random.integers(0, 2**bits, (rows, count, size), dtype=np.uint8)
    zero = random.integers(0, 2**bits, (rows, count + count % 2), dtype=np.uint8)
    scale = random.random((rows, count)).astype(np.float32)

    def packed(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return (values[..., ::2] | values[..., 1::2] << 4).astype(np.uint8) if bits == 4 else values

    parts = [
        tensor("onnx::MatMul_9_Q4", packed(numbers)),
        tensor("onnx::MatMul_9_scales", scale.reshape(-1)),
        tensor("onnx::MatMul_9_zero_points", packed(zero if bits == 4 else zero[:, :count]).reshape(-1)),
    ][: 3 if zeros else 2]
    options: dict[str, Any] = {"K": columns, "N": rows, "bits": bits, "block_size": size}
    names = [part.name for part in parts]
    node = helper.make_node("MatMulNBits", ["x", *names], ["y"], "/layers.1/up_proj/MatMul_Q4", domain="com.microsoft", **options)
    source = source_of(model(parts, [node]))
    (found,) = read_index(source)
    assert (found.name, found.shape, found.dtype) == ("layers.1.up_proj.weight", (rows, columns), "F32")
    assert found.packing is not None
    assert (found.packing.word, found.packing.bits) == (f"INT{bits}", bits)
    middle = zero[:, :count, None].astype(np.float32) if zeros else np.float32(2 ** (bits - 1))
    expected = ((numbers - middle) * scale[:, :, None]).reshape(rows, -1)[:, :columns].astype(np.float32).reshape(-1)
    np.testing.assert_allclose(read(source, found), expected, rtol=1e-6)
    for first, last in ((0, 1), (3, 5), (69, 211), (211, 420)):
        np.testing.assert_array_equal(read(source, found, first, last), read(source, found)[first:last])


def saved_apart(folder: Path, location: str = "model.onnx_data", **options: Any) -> dict[str, NDArray[Any]]:
    arrays = {f"layers.{i}.weight": drawn(40, 30 + i, seed=i) for i in range(5)}
    made = model([tensor(name, array) for name, array in arrays.items()])
    onnx.save(made, folder / "model.onnx", save_as_external_data=True, location=location, size_threshold=0, **options)
    return arrays


@pytest.mark.parametrize("together", [True, False])
def test_data_beside_the_model_is_read(tmp_path: Path, together: bool) -> None:
    inner = tmp_path / "onnx"
    inner.mkdir()
    arrays = saved_apart(inner, all_tensors_to_one_file=together)
    source = LocalSource(Reference(str(tmp_path), local=True))
    for found in read_index(source):
        np.testing.assert_array_equal(read(source, found), arrays[found.name].reshape(-1))


def test_weights_are_stepped_over() -> None:
    """The heads of tensors are found behind their data, at about a hundredth of its size."""
    arrays = {f"layers.{i}.weight": np.full((1000, 3000), i, np.float32) for i in range(6)}
    source = source_of(model([tensor(name, array) for name, array in arrays.items()]))
    found = read_index(source)
    assert [one.shape for one in found] == [(1000, 3000)] * 6
    assert len(source.asked) <= 8
    assert source.cost().bytes_read < 0.01 * len(source.contents["model.onnx"])
    for one, array in zip(found, arrays.values(), strict=True):
        np.testing.assert_array_equal(read(source, one, 5, 900), array.reshape(-1)[5:900])


@pytest.mark.parametrize(
    ("paths", "chosen"),
    [
        ("onnx/model_quantized.onnx onnx/model_fp16.onnx onnx/model.onnx", "onnx/model.onnx"),
        ("model_q4.onnx model_fp16.onnx model_fp16.onnx_data", "model_fp16.onnx model_fp16.onnx_data"),
        ("other.onnx model.onnx model.onnx.data model.onnx_data_1", "model.onnx model.onnx.data model.onnx_data_1"),
        ("encoder_model.onnx decoder_model.onnx decoder_with_past_model.onnx", "decoder_model.onnx encoder_model.onnx"),
        ("encoder_model_fp16.onnx decoder_model_fp16.onnx", "decoder_model_fp16.onnx encoder_model_fp16.onnx"),
        ("onnx/model.onnx odd.onnx", "odd.onnx"),
    ],
)
def test_of_several_files_the_most_precise_is_taken(paths: str, chosen: str) -> None:
    found = onnx_files.weight_set([RepoFile(path, 9) for path in paths.split()])
    assert found == WeightSet(chosen.partition(".")[0], tuple(RepoFile(path, 9) for path in chosen.split()))


def test_other_formats_are_none_of_its_business() -> None:
    assert onnx_files.weight_set([RepoFile("model.bin", 9)]) is None


def test_an_encoder_and_its_decoder_are_one_model() -> None:
    shared = tensor("shared.weight", drawn(20, 8))
    files = {
        "encoder_model.onnx": model([shared, tensor("block.0.weight", drawn(8, 8))]).SerializeToString(),
        "decoder_model.onnx": model([shared, tensor("block.0.weight", drawn(9, 8))]).SerializeToString(),
    }
    found = {one.name: one.shape for one in read_index(Memory(files))}
    assert found == {"shared.weight": (20, 8), "block.0.weight": (9, 8), "encoder_model.block.0.weight": (8, 8)}
