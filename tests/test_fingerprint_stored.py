"""How a fingerprint is stored, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.errors import BadWeights
from hub_lineage.fingerprint import (
    decode,
    digest,
    encode,
)
from hub_lineage.types import Block, Fingerprint
from tests.golden.make_fingerprint import FIRST, GOLDEN
from tests.simulated import fingerprint_of, tree
from tests.strategies import OFTEN, fingerprints, names


@given(
    fingerprints(),
    fingerprints(),
    st.lists(st.builds(Block, names, st.integers(0, 99), st.just((0,)), st.just(((3, 4), (5, 6))))),
)
@OFTEN
def test_what_is_stored_comes_back(one: Fingerprint, other: Fingerprint, blocks: list[Block]) -> None:
    kinds = tuple(blocks) if one.samples else ()
    one = replace(one, vectors=other.samples, blocks=kinds, partial=tuple(s.shape for s in other.samples))
    back = decode(encode(one))
    assert (back.scheme, back.architecture, back.parameters) == (one.scheme, one.architecture, one.parameters)
    for kind in ("samples", "vectors"):
        parts = [[(s.shape, s.dtype, s.raw, s.label) for s in getattr(f, kind)] for f in (back, one)]
        assert parts[0] == parts[1]
    assert (back.blocks, back.partial) == (one.blocks, one.partial)
    assert digest(back) == digest(one)


@given(st.binary(max_size=60), st.booleans())
@OFTEN
def test_what_was_never_stored_is_refused_in_words(stored: bytes, start: bool) -> None:
    whole = (b"HLFP\x01" + len(stored).to_bytes(4, "little") if start else b"") + stored
    with pytest.raises(BadWeights) as caught:
        decode(whole)
    assert caught.value.hint


@given(st.integers(0, 300), st.binary(min_size=1, max_size=3))
@OFTEN
def test_a_stored_fingerprint_cut_or_lengthened_is_refused(place: int, more: bytes) -> None:
    stored = encode(fingerprint_of(tree([-1], [1.0], shapes=[(5, 6)])[0]))
    for changed in (stored[: min(place, len(stored) - 1)], stored + more):
        with pytest.raises(BadWeights):
            decode(changed)


WHOLE = '{"scheme":"","architecture":"","parameters":1,"samples":[],'
HEADS = [
    "[" * 50_000,
    "[]",
    "7",
    '{"samples":7}',
    '{"samples":[[7,7,7,7]]}',
    "{}",
    WHOLE + '"vectors":7}',
    WHOLE + '"blocks":[7]}',
]


@pytest.mark.parametrize("head", [*HEADS, WHOLE + '"blocks":[["",1,[0],[]]]}', WHOLE + '"partial":[7]}'])
@pytest.mark.parametrize("version", [1, 2])
def test_odd_heads_are_refused(head: str, version: int) -> None:
    with pytest.raises(BadWeights):
        decode(b"HLFP" + bytes([version]) + len(head).to_bytes(4, "little") + head.encode())


@pytest.mark.parametrize("version", [0, 4, 255])
def test_a_later_version_is_refused(version: int) -> None:
    with pytest.raises(BadWeights, match="version"):
        decode(b"HLFP" + bytes([version]) + GOLDEN.read_bytes()[5:])


def test_a_fingerprint_of_the_first_version_is_read_for_ever() -> None:
    kept = decode(FIRST.read_bytes())
    assert (kept.scheme, kept.architecture, kept.parameters, kept.dtype) == ("hl1", "4123444227ab4b2a", 3530, "F32")
    assert (kept.vectors, kept.blocks, kept.partial) == ((), (), ())
    assert digest(kept) == "c023807da180a8bd87969c4ec7ee4935"
    assert digest(decode(encode(kept))) == digest(kept)


def test_a_fingerprint_of_the_second_version_is_read_for_ever() -> None:
    stored = GOLDEN.read_bytes()
    kept = decode(stored)
    assert encode(kept) == stored
    assert digest(kept) == "e7dfb5fb45265cb748eecb734aa8758f"
    assert (kept.scheme, kept.architecture, kept.parameters, kept.dtype) == ("hl2", "95fa8c29bc5d136a", 5930, "F32")
    assert [(s.label, s.shape, s.dtype) for s in kept.samples] == [
        ("stem.weight", (30, 3, 3, 3), "BF16"),
        ("blocks.0.down", (30, 40), "F32"),
        ("blocks.1.down", (30, 40), "F32"),
        ("blocks.0.up", (40, 30), "F32"),
        ("blocks.1.up", (40, 30), "F32"),
    ]
    assert [(s.label, s.shape) for s in kept.vectors] == [("norm", (40,))]
    assert [(b.key, b.count, b.samples, b.shapes) for b in kept.blocks] == [
        ("7d11c0e8588a5e56", 2, (1, 2, 3, 4), ((30, 40), (40, 30)))
    ]
