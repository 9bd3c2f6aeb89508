"""A remembered source gives the same bytes, and asks for nothing twice that lies in a beginning it has read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.hub import LocalSource, parse_reference
from hub_lineage.read.remembered import Remembered
from hub_lineage.types import ByteRange

SIZE = 2000
Span = tuple[str, int, int]
SPANS = st.lists(st.tuples(st.sampled_from(("a", "b")), st.integers(0, SIZE), st.integers(0, SIZE)), max_size=12)


class Counted(LocalSource):
    asked = 0

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        self.asked += len(ranges)
        return super().read(ranges)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("remembered")
    for name in ("a", "b"):
        (made / name).write_bytes(bytes((i * 7 + ord(name)) % 251 for i in range(SIZE)))
    return made


@given(first=SPANS, second=SPANS)
def test_the_bytes_are_those_of_the_source(folder: Path, first: list[Span], second: list[Span]) -> None:
    reference = parse_reference(str(folder))
    plain, kept = LocalSource(reference), Remembered(LocalSource(reference))
    for spans in (first, second):
        ranges = [ByteRange(path, min(a, b), max(a, b)) for path, a, b in spans]
        assert kept.read(ranges) == plain.read(ranges)


def test_what_lies_in_a_known_beginning_is_not_asked_for_again(folder: Path) -> None:
    source = Counted(parse_reference(str(folder)))
    kept = Remembered(source)
    head = kept.read([ByteRange("a", 0, 1500)])[0]
    assert kept.read([ByteRange("a", 10, 20), ByteRange("a", 1400, 1500)]) == [head[10:20], head[1400:1500]]
    assert source.asked == 1
    kept.read([ByteRange("a", 1400, 1501), ByteRange("b", 0, 5)])
    assert source.asked == 3
