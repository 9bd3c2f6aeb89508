"""ONNX files that lie: data elsewhere, lengths, counts and nesting without end."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from hub_lineage.errors import BadWeights, LineageError
from hub_lineage.hub import LocalSource
from hub_lineage.read.index import read_index
from hub_lineage.read.onnx_files import wire
from hub_lineage.read.onnx_files.graph import MOST_NESTED
from hub_lineage.types import Reference
from tests.read.exporting import values as read
from tests.read.onnx_models import drawn, model, source_of, tensor
from tests.simulated import Memory
from tests.strategies import OFTEN

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


def apart(location: str, **words: str) -> onnx.ModelProto:
    made = tensor("a.weight", drawn(4, 4))
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **words}.items():
        entry = made.external_data.add()
        entry.key, entry.value = key, value
    return model([made])


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../secret", {}), ("a/../../secret", {}), ("/etc/passwd", {}), ("\\secret", {}), ("..\\secret", {}), ("c:/secret", {}),
        ("", {}), ("missing", {}), ("data\0", {}), ("data", {"offset": "1"}), ("data", {"offset": "-64"}),
        ("data", {"offset": "9" * 30}), ("data", {"length": "63"}), ("data", {"length": "x"}), ("data", {"offset": "٣"}),
    ],
)  # fmt: skip
def test_data_elsewhere_or_beyond_its_file_is_refused(location: str, words: dict[str, str]) -> None:
    source = source_of(apart(location, **words), data=bytes(64), secret=bytes(64))
    with pytest.raises(BadWeights):
        read_index(source)


def test_data_in_a_linked_folder_is_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "data").write_bytes(bytes(64))
    (inside / "way").symlink_to(outside)
    (inside / "model.onnx").write_bytes(apart("way/data").SerializeToString())
    with pytest.raises(BadWeights, match="isn't there"):
        read_index(LocalSource(Reference(str(inside), local=True)))


def varint(value: int) -> bytes:
    octets = bytearray()
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])


def message(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def stored(*dims: int, data: bytes = bytes(16), name: bytes = b"w", code: int = 1) -> bytes:
    return message(5, b"".join(number(1, size) for size in dims) + number(2, code) + message(8, name) + message(9, data))


def nested(depth: int) -> bytes:
    within = stored(2, 2)
    for _ in range(depth):
        within = message(1, message(5, message(6, within)))
    return within


LIES = {
    "nothing": b"",
    "words": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "a page": b"<!DOCTYPE html><html></html>",
    "no graph": number(1, 8),
    "a graph that is a number": number(7, 8),
    "a varint without end": b"\xff" * 40,
    "a tag alone": b"\x3a",
    "a length beyond the file": varint(7 << 3 | 2) + varint(2**40) + bytes(30),
    "a length of all bits": varint(7 << 3 | 2) + varint(2**64 - 1),
    "a field of number 0": b"\x02\x00",
    "a group": message(7, b"\x0b\x0c"),
    "a tensor longer than its graph": message(7, varint(5 << 3 | 2) + varint(99)),
    "data longer than its tensor": message(7, message(5, number(1, 4) + number(2, 1) + varint(9 << 3 | 2) + varint(99))),
    "a negative size": message(7, stored(2**64 - 2, 2)),
    "sizes beyond all numbers": message(7, stored(*[2**52] * 30)),
    "many dimensions": message(7, stored(*[1] * 33, data=bytes(4))),
    "packed sizes without end": message(7, message(5, message(1, b"\xff" * 300) + number(2, 1))),
    "less data than its shape": message(7, stored(3, 3)),
    "more data than its shape": message(7, stored(1, 2)),
    "no data": message(7, message(5, number(1, 4) + number(2, 1) + message(8, b"w"))),
    "a name twice": message(7, stored(2, 2) + stored(2, 2)),
    "data twice": message(7, message(5, number(1, 4) + number(2, 1) + message(9, bytes(16)) + message(9, bytes(16)))),
    "floats one by one": message(7, message(5, number(1, 1) + number(2, 1) + varint(4 << 3 | 5) + bytes(4))),
    "floats of another type": message(7, message(5, number(1, 4) + number(2, 10) + message(4, bytes(8)))),
    "half precision too short": message(7, message(5, number(1, 4) + number(2, 10) + message(5, bytes(3)))),
    "graphs without bottom": message(7, nested(MOST_NESTED + 1)),
    "graphs far without bottom": message(7, nested(3000)),
}


@pytest.mark.parametrize("lie", LIES)
def test_files_that_lie_are_refused(lie: str) -> None:
    source = Memory({"model.onnx": LIES[lie]})
    with pytest.raises(BadWeights) as caught:
        read_index(source)
    assert "model.onnx" in caught.value.message
    assert caught.value.hint


def test_the_corpus_lies_by_little() -> None:
    """What the broken files are made of is sound by itself."""
    assert onnx.load_from_string(message(7, stored(2, 2))).graph.initializer[0].dims == [2, 2]
    for within in (stored(2, 2), nested(MOST_NESTED)):
        assert [found.shape for found in read_index(Memory({"model.onnx": message(7, within)}))] == [(2, 2)]


def test_much_structure_is_refused_before_it_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MOST_FIELDS", 1000)
    with pytest.raises(BadWeights, match="structure"):
        read_index(Memory({"model.onnx": message(7, number(99, 1) * 2000 + stored(2, 2))}))
    monkeypatch.setattr(wire, "MOST_BYTES", 5000)
    with pytest.raises(BadWeights, match="structure"):
        read_index(Memory({"model.onnx": message(7, message(1, message(3, bytes(6000))))}))


@OFTEN
@given(st.data())
def test_whatever_a_file_holds_the_answer_is_an_index_or_a_clear_error(data: st.DataObject) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("DequantizeLinear", ["q", "q_scale", "z"], ["v"])]
    kept = [tensor("w", drawn(4, 6)), tensor("q", np.ones((2, 3), np.int8)), tensor("q_scale", drawn(3))]
    kept += [tensor("z", np.ones(3, np.int8)), tensor("b", np.ones((4, 1, 8), np.uint8)), tensor("b_scales", drawn(4))]
    nodes.append(helper.make_node("MatMulNBits", ["x", "b", "b_scales"], ["u"], K=16, N=4, bits=4, block_size=16))
    content = bytearray(model(kept, nodes).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    source = Memory({"model.onnx": bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])})
    try:
        for found in read_index(source):
            assert read(source, found).size == found.elements
    except LineageError:
        pass
