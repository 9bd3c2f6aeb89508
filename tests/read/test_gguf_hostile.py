"""GGUF files that lie: a clear error, bounded memory and reading, and never anything but an error of this package."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.errors import BadWeights, LineageError, NoWeights
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.read import gguf_files as reader
from hub_lineage.read.gguf_files import MOST_EXPERTS
from hub_lineage.read.gguf_files.header import LONGEST_HEADER, MOST_KEYS, MOST_TENSORS
from hub_lineage.types import RepoFile, Tensor
from tests.simulated import Memory
from tests.strategies import OFTEN

TEXT, LIST, UINT32, UINT64 = 8, 9, 4, 10
F32, Q8_0, Q4_K = 0, 8, 12


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def text(words: str | bytes) -> bytes:
    raw = words.encode() if isinstance(words, str) else words
    return number(len(raw)) + raw


def key(name: str | bytes, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def listed(inner: int, count: int, values: bytes = b"") -> bytes:
    return struct.pack("<I", inner) + number(count) + values


def info(name: str | bytes, dims: Sequence[int], kind: int = F32, offset: int = 0) -> bytes:
    sizes = b"".join(number(size) for size in dims)
    return text(name) + struct.pack("<I", len(dims)) + sizes + struct.pack("<IQ", kind, offset)


def built(
    infos: Sequence[bytes] = (),
    keys: Sequence[bytes] = (),
    data: bytes = bytes(4096),
    *,
    magic: bytes = b"GGUF\x03\0\0\0",
    counts: tuple[int, int] | None = None,
) -> bytes:
    tensors, values = counts or (len(infos), len(keys))
    head = magic + number(tensors) + number(values) + b"".join(keys) + b"".join(infos)
    return head + bytes(-len(head) % 32) + data


def index(content: bytes, name: str = "model.gguf") -> tuple[Tensor, ...]:
    source = Memory({name: content})
    chosen = reader.weight_set(source.files)
    assert chosen is not None
    return reader.read_index(source, chosen)


WHOLE = built([info("a.weight", [4, 2]), info("b.weight", [8, 8], F32, 32)])
ALIGNED = key("general.alignment", UINT32, struct.pack("<I", 64))
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "too few"),
    "magic alone": (b"GGUF", "too few"),
    "other magic": (b"GGML" + bytes(100), "isn't a GGUF file"),
    "a page of a website": (b"<!DOCTYPE html>" + bytes(100), "isn't a GGUF file"),
    "a pointer of LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + bytes(64), "isn't a GGUF file"),
    "big-endian": (built(magic=b"GGUF\0\0\0\x03"), "big-endian"),
    "version 1": (built(magic=b"GGUF\x01\0\0\0"), "version 1"),
    "version 0": (built(magic=b"GGUF\0\0\0\0"), "version 0"),
    "a later version": (built(magic=b"GGUF\x09\0\0\0"), "version 9"),
    "too many tensors": (built(counts=(MOST_TENSORS + 1, 0)), "more than any model has"),
    "too many keys": (built(counts=(0, MOST_KEYS + 1)), "more than any model has"),
    "2^64 - 1 tensors": (built(counts=(2**64 - 1, 0)), "more than any model has"),
    "more tensors than described": (built([info("a", [2])], counts=(190_000, 0), data=b""), "too few"),
    "more keys than there are": (built(counts=(0, 60_000), data=b""), "too few"),
    "a key of 2^64 - 1 bytes": (built(keys=[number(2**64 - 1)]), "a name of"),
    "a key of many bytes": (built(keys=[number(65_000)]), "too few"),
    "a key that isn't text": (built(keys=[key(b"\xff\xfe", UINT32, bytes(4))]), "isn't text"),
    "a key twice": (built(keys=[ALIGNED, ALIGNED]), "twice"),
    "a value of no type": (built(keys=[key("a", 13, bytes(8))]), "unknown type 13"),
    "a text of 2^63 bytes": (built(keys=[key("a", TEXT, number(2**63))]), "too few"),
    "a text beyond the end": (built(keys=[key("a", TEXT, number(60_000))]), "too few"),
    "a list of 2^64 - 1 texts": (built(keys=[key("a", LIST, listed(TEXT, 2**64 - 1))]), "too few"),
    "a list of 2^60 numbers": (built(keys=[key("a", LIST, listed(UINT64, 2**60))]), "too few"),
    "a list of no type": (built(keys=[key("a", LIST, listed(77, 1, bytes(64)))]), "list of the unknown type"),
    "a list of lists": (built(keys=[key("a", LIST, listed(LIST, 1, listed(LIST, 1)))]), "list of lists"),
    "a text in a list beyond the end": (built(keys=[key("a", LIST, listed(TEXT, 2, number(2**62)))]), "too few"),
    "alignment 0": (built(keys=[key("general.alignment", UINT32, bytes(4))]), "alignment"),
    "alignment 48": (built(keys=[key("general.alignment", UINT32, struct.pack("<I", 48))]), "alignment"),
    "alignment 2^40": (built(keys=[key("general.alignment", UINT64, number(2**40))]), "alignment"),
    "alignment in words": (built(keys=[key("general.alignment", TEXT, text("32"))]), "alignment"),
    "alignment true": (built(keys=[key("general.alignment", 7, b"\1")]), "alignment"),
    "five dimensions": (built([info("a", [1] * 5)]), "dimensions"),
    "2^32 - 1 dimensions": (built([text("a") + b"\xff" * 4]), "dimensions"),
    "dimensions that overflow": (built([info("a", [2**32, 2**32, 2**32, 2**32])]), "no file holds"),
    "dimensions that come to 0 in 64 bits": (built([info("a", [2**62, 4])]), "no file holds"),
    "a dimension of 2^64 - 1 beside none": (built([info("a", [2**64 - 1, 0])]), "no file holds"),
    "larger than the file": (built([info("a", [1025])]), "ends beyond"),
    "an offset outside": (built([info("a", [4], F32, 4096)]), "ends beyond"),
    "an offset of nearly 2^64": (built([info("a", [4], F32, 2**64 - 32)]), "ends beyond"),
    "an offset off the alignment": (built([info("a", [4], F32, 8)]), "multiple of 32"),
    "an offset off another alignment": (built([info("a", [4], F32, 32)], [ALIGNED]), "multiple of 64"),
    "one over the other": (built([info("a", [16]), info("b", [4], F32, 32)]), "one over the other"),
    "two in one place": (built([info("a", [4]), info("b", [4])]), "one over the other"),
    "a name twice": (built([info("a", [4]), info("a", [4], F32, 32)]), "second time"),
    "names that come to one": (
        built([info("output.weight", [4, 2]), info("lm_head.weight", [4, 2], F32, 32)]),
        "second time",
    ),
    "a name that isn't text": (built([info(b"\xc3\x28", [4])]), "isn't text"),
    "a row that is no whole block": (built([info("a", [48], Q8_0)]), "whole blocks of Q8_0"),
    "a row of half a large block": (built([info("a", [128, 2], Q4_K)]), "whole blocks of Q4_K"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_files_are_refused(content: bytes, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(LineageError, match=message) as error:
            index(content)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert isinstance(error.value, BadWeights | NoWeights)
    assert error.value.hint
    assert "model.gguf" in error.value.message


@pytest.mark.parametrize("length", range(0, len(WHOLE) - 4096 + 32 + 256, 3))
def test_a_file_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(BadWeights):
        index(WHOLE[:length])


def test_a_whole_file_is_read() -> None:
    found = index(WHOLE)
    assert [(tensor.name, tensor.shape, tensor.stop - tensor.start) for tensor in found] == [
        ("a.weight", (2, 4), 32),
        ("b.weight", (8, 8), 256),
    ]


def test_no_more_of_a_head_is_read_than_is_allowed() -> None:
    words = text("x" * 1_000) * 30_000
    source = Memory({"model.gguf": built(keys=[key("tokens", LIST, listed(TEXT, 30_000, words))])})
    chosen = reader.weight_set(source.files)
    assert chosen is not None
    tracemalloc.start()
    try:
        with pytest.raises(BadWeights, match="25,000,000 bytes"):
            reader.read_index(source, chosen)
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()
    assert sum(map(len, source.asked)) <= LONGEST_HEADER


def test_millions_of_empty_words_end_at_the_limit() -> None:
    source = Memory({"model.gguf": built(keys=[key("tokens", LIST, listed(TEXT, 4_000_000, bytes(32_000_000)))])})
    chosen = reader.weight_set(source.files)
    assert chosen is not None
    with pytest.raises(BadWeights, match="25,000,000 bytes"):
        reader.read_index(source, chosen)


def test_experts_without_end_are_bounded() -> None:
    infos = [info(f"blk.{i}.ffn_up_exps.weight", [0, 0, MOST_EXPERTS]) for i in range(MOST_TENSORS // MOST_EXPERTS + 1)]
    with pytest.raises(BadWeights, match="more than the"):
        index(built(infos))
    (tensor,) = index(built([info("blk.0.ffn_up_exps.weight", [0, 0, 2**40])]))
    assert tensor.shape == (2**40, 0, 0)


def test_a_name_in_two_parts_of_a_split_file() -> None:
    part = built([info("a.weight", [4, 2])])
    source = Memory({"m-00001-of-00002.gguf": part, "m-00002-of-00002.gguf": part})
    chosen = reader.weight_set(source.files)
    assert chosen is not None
    with pytest.raises(BadWeights, match="second time"):
        reader.read_index(source, chosen)


def test_a_part_that_promises_millions_of_others() -> None:
    with pytest.raises(BadWeights, match="missing"):
        reader.weight_set([RepoFile("m-00001-of-99999.gguf", 10)])


@pytest.mark.parametrize("heads", [0, 3, 2**31, 2**63])
def test_odd_numbers_of_heads_leave_rows_as_they_are(heads: int) -> None:
    keys = [
        key("general.architecture", TEXT, text("llama")),
        key("llama.attention.head_count", UINT64, number(heads)),
    ]
    (tensor,) = index(built([info("blk.0.attn_q.weight", [8, 8])], keys))
    assert tensor.packing is None


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Files from almost right to all wrong."""
    sizes = st.sampled_from([0, 1, 2, 8, 32, 64, 256, 2**31, 2**53, 2**64 - 1])
    counts = st.integers(0, 3) | sizes
    kinds = st.sampled_from([0, 1, 2, 4, 8, 12, 30, 39, 41, 2**32 - 1])
    names = st.sampled_from(
        ["blk.0.attn_q.weight", "blk.1.ffn_up_exps.weight", "output.weight", "a", "", "blk.0.attn_k.weight.lora_b"]
    )
    infos = [
        info(draw(names), draw(st.lists(sizes, max_size=5)), draw(kinds), draw(st.sampled_from([0, 32, 64, 2048, 5, 2**63])))
        for _ in range(draw(st.integers(0, 3)))
    ]

    def value() -> tuple[int, bytes]:
        kind = draw(st.integers(0, 13))
        if kind == LIST:
            return kind, listed(draw(st.integers(0, 13)), draw(counts), draw(st.binary(max_size=40)))
        return kind, text("llama") if kind == TEXT else draw(st.binary(min_size=8, max_size=8))

    words = ["general.architecture", "general.alignment", "llama.attention.head_count", "x"]
    keys = [key(draw(st.sampled_from(words)), *value()) for _ in range(draw(st.integers(0, 3)))]
    said: Any = draw(st.none() | st.tuples(counts, counts))
    return built(infos, keys, draw(st.binary(max_size=64)) * 64, counts=said)


@OFTEN
@given(files() | st.binary(max_size=80) | st.binary(max_size=200).map(lambda raw: b"GGUF\x03\0\0\0" + raw))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    with suppress(LineageError):
        for tensor in index(content):
            assert 0 <= tensor.start <= tensor.stop <= len(content)
        read_fingerprint(Memory({"model.gguf": content}))
