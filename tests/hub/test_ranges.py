"""Putting ranges together and taking them apart."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.errors import NotFound, Unreadable
from hub_lineage.hub.ranges import LONGEST, Span, check, coalesce, split
from hub_lineage.types import ByteRange, RepoFile

CONTENT = {"a": bytes(range(256)) * 8, "b": bytes(reversed(range(256))) * 8}
SIZE = 2048


@st.composite
def ranges(draw: st.DrawFn) -> ByteRange:
    start, stop = sorted((draw(st.integers(0, SIZE)), draw(st.integers(0, SIZE))))
    return ByteRange(draw(st.sampled_from("ab")), start, stop)


@given(st.lists(ranges(), max_size=30), st.integers(0, 500), st.integers(1, 3000))
def test_every_range_gets_its_own_bytes_back(asked: list[ByteRange], gap: int, longest: int) -> None:
    spans = coalesce(asked, gap=gap, longest=longest)
    bodies = [CONTENT[span.path][span.start : span.stop] for span in spans]
    assert split(asked, spans, bodies) == [CONTENT[one.path][one.start : one.stop] for one in asked]


@given(st.lists(ranges(), max_size=30), st.integers(0, 500))
def test_spans_lie_further_apart_than_the_gap(asked: list[ByteRange], gap: int) -> None:
    spans = coalesce(asked, gap=gap)
    for before, after in itertools.pairwise(spans):
        assert before.path != after.path or after.start - before.stop > gap
    assert sorted(position for span in spans for position in span.serves) == [i for i, one in enumerate(asked) if len(one)]


def test_neighbours_share_a_request() -> None:
    asked = [ByteRange("a", 900, 1000), ByteRange("a", 0, 10), ByteRange("a", 60, 70)]
    assert coalesce(asked, gap=50) == [Span("a", 0, 70, (1, 2)), Span("a", 900, 1000, (0,))]


@pytest.mark.parametrize(
    ("one", "error"),
    [
        (ByteRange("c", 0, 1), NotFound),
        (ByteRange("../a", 0, 1), NotFound),
        (ByteRange("a", -1, 1), Unreadable),
        (ByteRange("a", 5, 1), Unreadable),
        (ByteRange("a", 0, SIZE + 1), Unreadable),
        (ByteRange("huge", 0, LONGEST + 1), Unreadable),
    ],
)
def test_ranges_that_can_t_be_are_refused(one: ByteRange, error: type[Exception]) -> None:
    with pytest.raises(error):
        check([one], [RepoFile("a", SIZE), RepoFile("huge", 10**12)], "org/name")


def test_more_than_memory_takes_is_refused() -> None:
    with pytest.raises(Unreadable):
        check([ByteRange("huge", 0, LONGEST)] * 9, [RepoFile("huge", 10**12)], "org/name")
