"""Containers of torch that lie: directories, records, lengths of storages. An error in words, whatever they say."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import pytest

from hub_lineage.read.pytorch.legacy import MAGIC
from tests.read.forged import MODEL, Described, Stored, archive, assert_refused, legacy, pickled, real


def patched(content: bytes, place: int, data: bytes) -> bytes:
    """A file with other bytes at one place."""
    return content[:place] + data + content[place + len(data) :]


def entry(content: bytes, name: str, offset: int, form: str, value: int) -> bytes:
    """An archive with one number changed in its directory's entry for a record."""
    place = content.rindex(name.encode()) - 46
    assert content[place : place + 4] == b"PK\x01\x02"
    return patched(content, place + offset, struct.pack(form, value))


def end(content: bytes, offset: int, form: str, value: int, mark: bytes = b"PK\x05\x06") -> bytes:
    """An archive with one number changed in the end of its directory."""
    return patched(content, content.rindex(mark) + offset, struct.pack(form, value))


def larger(content: bytes, name: str) -> bytes:
    for offset in (20, 24):
        content = entry(content, name, offset, "<I", 2**31)
    return content


def without_torch() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("word/document.xml", b"<x/>")
    return buffer.getvalue()


TRUE = archive(MODEL)
REAL = real("zip")
ZIPS: dict[str, tuple[bytes, str]] = {
    "a zip of something else": (without_torch(), "not one of torch"),
    "no records": (b"PK\x05\x06" + bytes(18), "isn't a file of weights"),
    "no directory": (TRUE[: TRUE.rindex(b"PK\x05\x06")], "truncated"),
    "a comment that isn't there": (end(TRUE, 20, "<H", 10), "truncated"),
    "a directory beyond the file": (end(TRUE, 16, "<I", 2**31), "ends beyond"),
    "a directory of another length": (end(TRUE, 12, "<I", 10), "broken"),
    "a directory elsewhere": (end(TRUE, 16, "<I", 0), "broken"),
    "records too many": (end(TRUE, 10, "<H", 60_000), "broken"),
    "records too few": (end(TRUE, 10, "<H", 1), "broken"),
    "a large directory elsewhere": (end(REAL, 8, "<Q", 0, b"PK\x06\x07"), "no directory where it says"),
    "a large directory beyond the file": (end(REAL, 8, "<Q", 2**64 - 1, b"PK\x06\x07"), "outside it"),
    "a trillion records": (end(REAL, 32, "<Q", 10**12, b"PK\x06\x06"), "at most"),
    "a directory of 2^63 bytes": (end(REAL, 40, "<Q", 2**63, b"PK\x06\x06"), "ends beyond"),
    "a pickle that is compressed": (archive(MODEL, packed="data.pkl"), "packs its record"),
    "a storage that is compressed": (archive(MODEL, packed="data/0"), "packs its record"),
    "a bomb": (archive(b"]" * 10_000_000 + b".", packed="data.pkl"), "packs its record"),
    "a bomb that claims to be short": (
        entry(archive(b"]" * 10_000_000 + b".", packed="data.pkl"), "it/data.pkl", 24, "<I", 100),
        "packs its record",
    ),
    "a record that is encrypted": (entry(TRUE, "it/data/0", 8, "<H", 1), "packs its record"),
    "sizes that differ": (entry(TRUE, "it/data/0", 24, "<I", 2**31), "storage"),
    "a record larger than the file": (larger(TRUE, "it/data/0"), "overlaps"),
    "a pickle larger than the file": (larger(TRUE, "it/data.pkl"), "overlaps"),
    "a record beyond the file": (entry(TRUE, "it/data/0", 42, "<I", 2**31), "overlaps"),
    "a record over another": (entry(TRUE, "it/data/0", 42, "<I", 0), "overlaps"),
    "a record within another": (
        entry(archive(MODEL, [("data/0", bytes(16)), ("x", bytes(200))]), "it/x", 42, "<I", 99),
        "overlap",
    ),
    "a record that is no record": (patched(TRUE, TRUE.index(b"it/data/0") - 30, b"XX"), "no record where"),
    "a header with a long name": (TRUE[:26] + b"\xff\xff" + TRUE[28:], "overlaps the next"),
    "a record twice": (archive(MODEL, [("data/0", bytes(16)), ("data/0", bytes(16))]), "twice"),
    "a pickle twice": (archive(MODEL, [("data/0", bytes(16)), ("data.pkl", pickled(MODEL))]), "twice"),
    "a storage that is too short": (archive(MODEL, [("data/0", bytes(15))]), "two sizes"),
    "a storage that is too long": (archive(MODEL, [("data/0", bytes(20))]), "two sizes"),
    "no storage": (archive(MODEL, []), "lacks the storage"),
    "the other order of bytes": (archive(MODEL, [("data/0", bytes(16)), ("byteorder", b"big")]), "order of bytes"),
    "a name that isn't text": (patched(TRUE, TRUE.rindex(b"it/data/0"), b"\xff\xfe"), "broken"),
}  # fmt: skip


@pytest.mark.parametrize("lie", ZIPS)
def test_a_lie_in_the_archive_is_found_out_and_said(lie: str) -> None:
    content, words = ZIPS[lie]
    assert_refused(content, words)


TRUE_KEYS = {"0": (4, bytes(16))}
OLD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "isn't a file of weights"),
    "text": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "isn't a file of weights"),
    "a plain pickle": (pickle.dumps({"a": 1}), "isn't a file of weights"),
    "other magic": (legacy(MODEL, opening=(0xBAD, 1001, {})), "isn't a file of weights"),
    "other protocol": (legacy(MODEL, opening=(MAGIC, 1002, {})), "isn't a file of weights"),
    "the other order of bytes": (legacy(MODEL, opening=(MAGIC, 1001, {"little_endian": False})), "order of bytes"),
    "keys that are no list": (legacy(MODEL, keys={"0": 1}), "doesn't list"),
    "no keys": (legacy(MODEL, keys=[]), "lacks the storage"),
    "a key twice": (legacy(MODEL, keys=["0", "0"]), "or one twice"),
    "a key that no tensor has": (legacy(MODEL, keys=["0", "1"]), "no tensor has"),
    "a key that is a list": (legacy(MODEL, keys=[[]]), "no tensor has"),
    "a length that lies": (legacy(MODEL, {"0": (5, bytes(16))}), "two lengths"),
    "a negative length": (legacy(MODEL, {"0": (-1, bytes(16))}), "two lengths"),
    "a last length that lies": (
        legacy({"a": Described(), "b": Described(Stored("1"))}, TRUE_KEYS | {"1": (2**60, bytes(16))}),
        "two lengths",
    ),
    "too little data": (legacy(MODEL, {"0": (4, bytes(15))}), "truncated"),
    "a storage larger than any file": (legacy({"weight": Described(Stored(values=2**52))}), "truncated"),
}


@pytest.mark.parametrize("lie", OLD)
def test_a_lie_in_the_old_format_is_found_out_and_said(lie: str) -> None:
    content, words = OLD[lie]
    assert_refused(content, words)
