"""How many bytes a fingerprint takes where a run of values lies all over a matrix, and what is left out for it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from safetensors.numpy import save

from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.read.index import read_index
from hub_lineage.sampling import RUN_LENGTH, SHARE, affordable, choose, sampled_ranges
from hub_lineage.tensors import body, vectors
from hub_lineage.types import ByteRange, Tensor
from tests.simulated import Memory

ALLOWED = 2_000_000


def quantised(layers: int, width: int = 256, inner: int = 1024) -> Memory:
    """GPTQ matrices of three shapes, of any old bits."""
    random = np.random.default_rng(0)
    tensors = {}
    for i in range(layers):
        for name, rows, columns in (("q", width, width), ("up", inner, width), ("down", width, inner)):
            stem = f"layers.{i}.{name}"
            tensors[f"{stem}.qweight"] = random.integers(-(2**31), 2**31, (columns // 8, rows), dtype=np.int32)
            tensors[f"{stem}.qzeros"] = random.integers(-(2**31), 2**31, (columns // 128, rows // 8), dtype=np.int32)
            tensors[f"{stem}.scales"] = random.random((columns // 128, rows)).astype(np.float16)
        tensors[f"layers.{i}.norm.weight"] = np.ones(width, np.float32)
    return Memory({"model.safetensors": save(tensors)})


def test_the_dearest_shapes_are_left_out() -> None:
    source = quantised(20)
    found = read_fingerprint(source)
    assert sum(map(len, source.asked)) < ALLOWED + 200_000
    kept = Counter(sample.shape for sample in found.samples)
    assert set(kept) == {(256, 256)}
    assert {sample.packed for sample in found.samples} == {"GPTQ-4"}
    assert found.vectors, "what isn't packed is never left out"
    assert len(read_fingerprint(quantised(20), full=True).samples) == 60


def test_where_no_shape_can_be_paid_for_some_of_the_cheapest_are_kept() -> None:
    found = read_fingerprint(quantised(20, 1024, 2048))
    (shape,) = {sample.shape for sample in found.samples}
    assert shape[0] == 1024, "twice as many outputs cost twice as much"
    assert shape in found.partial
    depths = [int(sample.label.split(".")[1]) for sample in found.samples]
    assert 2 <= len(depths) <= 4
    assert max(depths) - min(depths) >= 5, "spread over depth"


def test_a_search_counts_the_same_ranges() -> None:
    source = quantised(20)
    tensors = read_index(source)
    planned = sum(map(len, sampled_ranges(tensors)))
    source.asked.clear()
    read_fingerprint(source)
    assert abs(sum(map(len, source.asked)) - planned) < 200_000


class Dear:
    """A packing of which a run costs so many bytes."""

    word, bits = "dear", 0

    def __init__(self, cost: int) -> None:
        self.cost = cost

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        assert 0 <= first < last
        return (ByteRange("it", 0, self.cost),)

    def values(self, first: int, last: int, parts: object) -> bytes:
        raise NotImplementedError


def dear(costs: list[int], stored: int) -> list[Tensor]:
    size = stored // len(costs)
    return [Tensor(f"h.{i}", "F32", (64, 64), "it", i * size, (i + 1) * size, Dear(cost)) for i, cost in enumerate(costs)]


@pytest.mark.parametrize("stored", [100_000_000, 5_000_000_000, 400_000_000_000])
@pytest.mark.parametrize("cost", [1_000, 300_000, 1_400_000])
def test_of_large_files_no_more_than_a_share_is_read(stored: int, cost: int) -> None:
    tensors = dear([cost] * 100, stored)
    kept = affordable(tensors, choose(body(tensors))[0])
    assert 0 < sum(count * cost for _, count in kept) <= SHARE * stored
    assert len(affordable(tensors, choose(body(tensors), full=True)[0], full=True)) >= len(kept)


@pytest.mark.parametrize(("cost", "kept"), [(15_000_000, 1), (17_000_000, 0)])
def test_one_that_is_too_dear_for_all_is_kept_within_bounds(cost: int, kept: int) -> None:
    tensors = dear([cost], 20_000_000)
    assert len(affordable(tensors, choose(tensors)[0])) == kept


def test_what_is_not_packed_is_never_left_out() -> None:
    tensors = [Tensor(f"h.{i}", "F32", (9000, 9000), "it", i * 9000**2 * 4, (i + 1) * 9000**2 * 4) for i in range(80)]
    weights, _ = choose(body(tensors), vectors(tensors))
    assert affordable(tensors, weights) == weights
    assert sum(map(len, sampled_ranges(tensors))) == sum(count for _, count in weights) * RUN_LENGTH * 4
