"""Headers that tell the truth, headers that lie, and which files make a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from hub_lineage.errors import BadWeights, LineageError, NoWeights
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import LocalSource
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index, weight_set
from hub_lineage.read.safetensors import FIRST_READ, LONGEST_HEADER, metadata, parse_header
from hub_lineage.testing import write_model
from hub_lineage.types import ByteRange, Reference, RepoFile, Tensor
from tests.simulated import Memory
from tests.strategies import OFTEN, hostile_files, orders

F32 = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def written(header: Any, data: bytes = bytes(64), length: int | None = None) -> bytes:
    """A file with that header, given as JSON or as it is to be written."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(**changes: Any) -> dict[str, Any]:
    return {"it": {**F32, **changes}}


LIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "too short"),
    "seven bytes": (bytes(7), "too short"),
    "length beyond the file": (written(entry(), length=10_000), "truncated"),
    "length beyond what is read": (written(entry(), length=LONGEST_HEADER + 1), "at most"),
    "length of 2^64 - 1": (written(entry(), length=2**64 - 1), "at most"),
    "no header": (written(b"", bytes(8)), "isn't valid"),
    "not JSON": (written(b"\x80\x04pickle."), "isn't valid"),
    "not UTF-8": (written(b'{"\xff\xfe": {}}'), "isn't valid"),
    "a list": (written([1, 2]), "isn't a table"),
    "a number": (written(17), "isn't a table"),
    "nested deeply": (written(b"[" * 100_000), "isn't valid"),
    "a dtype nested deeply": (written(b'{"it":{"dtype":' + b"[" * 900 + b"]" * 900 + b"}}"), "no dtype"),
    "a number of a million digits": (written(b'{"it":' + b"9" * 1_000_000 + b"}"), "isn't valid"),
    "a name twice": (written(b'{"it":%b,"it":%b}' % ((json.dumps(F32).encode(),) * 2)), "stands twice"),
    "a key twice": (written(b'{"it":{"dtype":"F32","dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'), "stands twice"),
    "a name that isn't Unicode": (written(b'{"\\ud800":%b}' % json.dumps(F32).encode()), "isn't text"),
    "nothing said": (written({"it": {}}), "no dtype"),
    "no description": (written({"it": None}), "isn't described"),
    "unknown dtype": (written(entry(dtype="F31")), "unknown dtype 'F31'"),
    "no shape": (written(entry(shape=None)), "odd shape"),
    "too many dimensions": (written(entry(shape=[1] * 31 + [2, 2])), "odd shape"),
    "negative shape": (written(entry(shape=[-2, -2])), "odd shape"),
    "broken shape": (written(entry(shape=[2.0, 2])), "odd shape"),
    "boolean shape": (written(entry(shape=[True, 4])), "odd shape"),
    "huge shape": (written(entry(shape=[2**70, 4])), "odd shape"),
    "shape that overflows": (written(entry(shape=[2**32, 2**32, 2])), "contradicts its shape"),
    "negative offsets": (written(entry(data_offsets=[-16, 0])), "odd shape or offsets"),
    "broken offsets": (written(entry(data_offsets=[0, 16.0])), "odd shape or offsets"),
    "infinite offsets": (written(b'{"it":{"dtype":"F32","shape":[2,2],"data_offsets":[0,Infinity]}}'), "odd shape or offsets"),
    "one offset": (written(entry(data_offsets=[16])), "odd shape or offsets"),
    "offsets the wrong way round": (written(entry(data_offsets=[16, 0])), "ends beyond"),
    "offsets beyond the file": (written(entry(data_offsets=[60, 76])), "ends beyond"),
    "huge offsets": (written(entry(data_offsets=[2**52, 2**52 + 16])), "ends beyond"),
    "shape above its bytes": (written(entry(shape=[2, 3])), "contradicts its shape"),
    "shape below its bytes": (written(entry(shape=[3])), "contradicts its shape"),
    "half a byte": (written(entry(dtype="F4", shape=[3], data_offsets=[0, 2])), "contradicts its shape"),
    "one tensor over another": (written({"a": F32, "b": {**F32, "data_offsets": [8, 24]}}), "overlap"),
    "one tensor twice": (written({"a": F32, "b": F32}), "overlap"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_out_and_said(lie: str) -> None:
    content, words = LIES[lie]
    with pytest.raises(BadWeights) as caught:
        read_index(Memory({"model.safetensors": content}))
    assert words in caught.value.message
    assert caught.value.hint
    assert len(caught.value.message) < 400


def test_the_truth_beside_the_lies_is_read() -> None:
    (tensor,) = read_index(Memory({"model.safetensors": written(entry())}))
    assert (tensor.shape, tensor.stop - tensor.start) == ((2, 2), 16)


def told(content: bytes) -> tuple[Tensor, ...] | LineageError:
    """What a file of these bytes is read as; an error that is not in words gets through."""
    try:
        tensors = read_index(Memory({"model.safetensors": content}))
        assert not tensors or read_fingerprint(Memory({"model.safetensors": content})).samples
    except LineageError as error:
        return error
    return tensors


@given(hostile_files())
@OFTEN
def test_any_bytes_are_tensors_or_an_error_in_words(content: bytes) -> None:
    found = told(content)
    if isinstance(found, LineageError):
        assert found.message
        assert found.hint
    else:
        assert all(0 <= t.start <= t.stop <= len(content) for t in found)
        assert all(t.elements * dtypes.FORMATS[t.dtype].bits == 8 * (t.stop - t.start) for t in found)


@given(st.data())
@OFTEN
def test_a_file_with_one_byte_changed_never_crashes(data: st.DataObject) -> None:
    content = bytearray(save({"a": np.ones((4, 4), np.float32), "b": np.zeros((2, 3), np.float16)}))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for changed in (bytes(content), bytes(content[:cut])):
        found = told(changed)
        assert found.hint if isinstance(found, LineageError) else len(found) == 2


def test_tensors_are_where_the_library_finds_them(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    model = {f"layer.{i}": random.standard_normal((3, i + 1)).astype(np.float32) for i in range(20)}
    model["scalar"], model["none"] = np.array(3.5, np.float32), np.zeros((0, 7), np.float32)
    source = local(write_model(tmp_path, model, shards=3))
    tensors = read_index(source)
    assert {t.path for t in tensors} == {f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)}
    assert {t.name for t in tensors} == set(model)
    for tensor in tensors:
        (raw,) = source.read([ByteRange(tensor.path, tensor.start, tensor.stop)])
        whole = load_file(tmp_path / tensor.path)[tensor.name]
        assert (raw, tensor.shape) == (whole.tobytes(), whole.shape)


def test_a_long_header_takes_a_second_read_and_no_weights(tmp_path: Path) -> None:
    model = {f"a.rather.long.name.of.a.layer.{i}": np.zeros((2, 2), np.float32) for i in range(2000)}
    model["huge"] = np.zeros((1000, 1000), np.float32)
    source = local(write_model(tmp_path, model))
    assert len(read_index(source)) == len(model)
    assert FIRST_READ < source.cost().bytes_read < source.cost().bytes_total - 4_000_000 + FIRST_READ


def test_a_name_in_two_shards_is_refused() -> None:
    one = written(entry(), bytes(16))
    with pytest.raises(BadWeights, match="stands in two files"):
        read_index(Memory({"model-00001-of-00002.safetensors": one, "model-00002-of-00002.safetensors": one}))


def test_metadata_is_words_or_nothing() -> None:
    assert metadata(b'{"__metadata__":{"format":"pt","steps":3}}') == {"format": "pt"}
    for odd in (b"[]", b"{", b"\xff", b'{"__metadata__":7}', b"[" * 100_000, b"{}"):
        assert metadata(odd) == {}


def test_tensors_come_in_storage_order_whatever_the_header_s() -> None:
    table = {name: {**F32, "data_offsets": [place, place + 16]} for name, place in (("c", 32), ("a", 48), ("b", 0))}
    header = json.dumps(table).encode()
    assert [t.name for t in parse_header(RepoFile("x.safetensors", 8 + len(header) + 64), header)] == ["b", "c", "a"]


SETS: dict[str, tuple[dict[str, int], list[str]]] = {
    "the only one, of any name": ({"weights.safetensors": 5, "README.md": 9}, ["weights.safetensors"]),
    "model before others": ({"ema.safetensors": 99, "model.safetensors": 5}, ["model.safetensors"]),
    "model before an adapter": ({"adapter_model.safetensors": 9, "model.safetensors": 5}, ["model.safetensors"]),
    "the top before folders": ({"unet/model.safetensors": 99, "odd.safetensors": 5}, ["odd.safetensors"]),
    "the largest of equals": ({"b.safetensors": 9, "a.safetensors": 5}, ["b.safetensors"]),
    "the first of equals": ({"b.safetensors": 5, "a.safetensors": 5}, ["a.safetensors"]),
    "all shards, the index passed over": (
        {"m-00002-of-00002.safetensors": 1, "m-00001-of-00002.safetensors": 1, "m.safetensors.index.json": 7},
        ["m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"],
    ),
    "one file and shards under one name are two models": (
        {"model.safetensors": 9, "model-00001-of-00002.safetensors": 4, "model-00002-of-00002.safetensors": 4},
        ["model.safetensors"],
    ),
    "two sets of shards under one name are two models": (
        {"model-00001-of-00001.safetensors": 5, "model-00001-of-00002.safetensors": 4, "model-00002-of-00002.safetensors": 4},
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
    ),
    "a subfolder where the top has none": ({"unet/model.safetensors": 5}, ["unet/model.safetensors"]),
}


@pytest.mark.parametrize("case", SETS)
@given(st.data())
@OFTEN
def test_the_files_of_the_model_are_chosen_whatever_their_order(case: str, data: st.DataObject) -> None:
    sizes, chosen = SETS[case]
    files = [RepoFile(path, size) for path, size in sizes.items()]
    shuffled = [files[i] for i in data.draw(orders(len(files)))]
    assert [file.path for file in weight_set(shuffled).files] == chosen


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_missing_shard_is_named(missing: int) -> None:
    files = [RepoFile(f"model-0000{i}-of-00003.safetensors", 9) for i in (1, 2, 3) if i != missing]
    with pytest.raises(BadWeights, match=f"Shard {missing} of 3 is missing") as caught:
        weight_set(files)
    assert caught.value.hint


def test_a_count_of_shards_that_lies_takes_no_time() -> None:
    with pytest.raises(BadWeights, match="of 99999 is missing"):
        weight_set([RepoFile("model-00001-of-99999.safetensors", 9)])


@pytest.mark.parametrize(
    ("files", "hint"),
    [
        ({}, "empty"),
        ({"tf_model.h5": 10**9}, "h5"),
        ({"training_args.bin": 5000, "optimizer.pt": 10**9}, "no weights in any format"),
        ({"README.md": 10}, "no weights in any format"),
        ({"model.safetensors.index.json": 10}, "no weights in any format"),
    ],
)
def test_no_weights_and_what_to_do(files: dict[str, int], hint: str) -> None:
    with pytest.raises(NoWeights) as caught:
        weight_set([RepoFile(path, size) for path, size in files.items()])
    assert hint in caught.value.hint


def test_a_model_without_matrices_says_so() -> None:
    header = {
        "scale": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        "packed": {**F32, "dtype": "I32", "data_offsets": [16, 32]},
    }
    for content in (written(header), written({}), written({"__metadata__": {"format": "pt"}})):
        with pytest.raises(NoWeights) as caught:
            read_fingerprint(Memory({"model.safetensors": content}))
        assert caught.value.hint
