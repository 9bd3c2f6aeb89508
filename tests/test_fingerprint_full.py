"""Depth ``full``: which weights it reads, that the bound holds, and when it could tell nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from hub_lineage.family import gather
from hub_lineage.fingerprint import digest, encode, is_whole, read_fingerprint, values
from hub_lineage.hub import LocalSource
from hub_lineage.read.index import read_index
from hub_lineage.read.safetensors import FIRST_READ
from hub_lineage.sampling import FULL_SCHEME, FULL_VALUES, RUN_LENGTH, SCHEME, SMALL_VECTORS, choose, runs_of
from hub_lineage.tensors import body
from hub_lineage.testing import llama_shapes, sparse_model, write_model
from hub_lineage.types import Reference, Sample, Tensor
from tests.golden.make_fingerprint import golden_model
from tests.simulated import Memory
from tests.strategies import OFTEN, SELDOM

Weights = Mapping[str, NDArray[Any]]
MIDDLE = {f"block.{i}.{word}.weight": shape for i in range(3) for word, shape in (("up", (280, 140)), ("down", (140, 280)))}
LARGE = {f"block.{i}.{word}.weight": shape for i in range(3) for word, shape in (("up", (700, 350)), ("down", (350, 700)))}


def weights(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(seed)
    return {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def as_tensors(shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    return [Tensor(f"layer.{i}.weight", "F16", shape, "x.safetensors", 0, 0) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shapes", [MIDDLE, LARGE], ids=["all that there is", "a part of each"])
def test_the_values_are_those_that_a_reading_of_the_whole_file_gives(tmp_path: Path, shapes: Any, dtype: Any) -> None:
    extra = {"head.weight": np.ones((7, 140), np.float32), "norm": np.arange(40, dtype=np.float32)}
    folder = write_model(tmp_path, weights(shapes) | extra, dtype=dtype, shards=3)
    whole = {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}
    source = local(folder)
    found, index = read_fingerprint(source, full=True), read_index(local(folder))
    counts = {tensor.name: count for tensor, count in choose(body(index), full=True)[0]}
    assert found.scheme == FULL_SCHEME
    assert {sample.label for sample in found.samples} == set(shapes)
    assert found.partial == ()
    for sample in found.samples:
        flat = whole[sample.label].reshape(-1)
        taken = flat if shapes is MIDDLE else np.concatenate([flat[a:b] for a, b in runs_of(sample.shape, counts[sample.label])])
        np.testing.assert_array_equal(values(sample), taken.astype(np.float32))
    read = sum(len(sample.raw) for sample in (*found.samples, *found.vectors))
    heads = sum(min(FIRST_READ, file.stat().st_size) for file in folder.glob("*.safetensors"))
    assert read < source.cost().bytes_read <= read + heads, "what lies beside a header comes with it"
    assert sum(values(sample).size for sample in found.samples) <= FULL_VALUES


shapes_of_networks = st.lists(
    st.tuples(st.sampled_from([5, 8, 40, 300, 3000]), st.sampled_from([5, 8, 9, 70, 2000])), min_size=1, max_size=60
).flatmap(lambda shapes: st.sampled_from([1, 2, 7, 40]).map(lambda times: shapes * times))


@given(shapes_of_networks)
@OFTEN
def test_the_bound_holds_and_all_tensors_have_their_runs(shapes: Sequence[tuple[int, int]]) -> None:
    weights = body(as_tensors(shapes))
    chosen, _ = choose(weights, full=True)
    taken = sum(last - first for tensor, count in chosen for first, last in runs_of(tensor.shape, count))
    total = sum(tensor.elements for tensor in weights)
    assert taken <= FULL_VALUES
    if total <= FULL_VALUES:
        assert taken == total
    if sum(min(tensor.elements, RUN_LENGTH) for tensor in weights) <= FULL_VALUES:
        assert [tensor.name for tensor, _ in chosen] == [tensor.name for tensor in weights]
    else:
        assert len(chosen) == FULL_VALUES // RUN_LENGTH


@given(shapes_of_networks)
@OFTEN
def test_it_begins_with_what_quick_reads(shapes: Sequence[tuple[int, int]]) -> None:
    weights = body(as_tensors(shapes))
    full = {tensor.name: count for tensor, count in choose(weights, full=True)[0]}
    for tensor, count in choose(weights)[0] if len(full) == len(weights) else []:
        wide = {place for first, last in runs_of(tensor.shape, full[tensor.name]) for place in range(first, last, 8)}
        assert all(first in wide for first, _ in runs_of(tensor.shape, count))


def test_a_large_part_of_the_bound_is_used_and_every_tensor_has_its_share() -> None:
    weights = body([Tensor(name, "F16", shape, "", 0, 0) for name, shape in llama_shapes().items()])
    counts = [(tensor, count) for tensor, count in choose(weights, full=True)[0]]
    assert len(counts) == len(weights) == 224
    total = sum(tensor.elements for tensor in weights)
    assert 0.8 * FULL_VALUES < sum(count for _, count in counts) * RUN_LENGTH <= FULL_VALUES
    for tensor, count in counts:
        assert count == pytest.approx(tensor.elements / total * 1024, rel=0.3)


def test_a_large_model_is_read_by_parts_alone(tmp_path: Path) -> None:
    folder = sparse_model(tmp_path, llama_shapes(layers=24, hidden=1024, inner=2816), shards=2)
    source = local(folder)
    found = read_fingerprint(source, full=True)
    assert len(found.vectors) == SMALL_VECTORS
    assert sum(len(sample.raw) for sample in found.samples) <= 2 * FULL_VALUES
    assert source.cost().bytes_read < 2 * FULL_VALUES + 300_000 < source.cost().bytes_total / 100


small_networks = st.lists(
    st.tuples(st.sampled_from([5, 8, 40, 90]), st.sampled_from([5, 8, 9, 70, 300])), min_size=1, max_size=12
).flatmap(lambda shapes: st.sampled_from([1, 2, 9]).map(lambda times: shapes * times))


@given(small_networks, st.integers(0, 3))
@SELDOM
def test_what_quick_holds_whole_full_holds_no_more_of(shapes: Sequence[tuple[int, int]], gains: int) -> None:
    model = weights({f"layer.{i}.weight": shape for i, shape in enumerate(shapes)})
    model |= {f"layer.{i}.bias": np.arange(40 + i, dtype=np.float32) for i in range(gains)}
    source = Memory({"model.safetensors": save(model)})
    quick, full, index = read_fingerprint(source), read_fingerprint(source, full=True), read_index(source)
    total = sum(tensor.elements for tensor in body(index))
    assert is_whole(full) == (total <= FULL_VALUES)
    assert is_whole(quick) == (sum(values(sample).size for sample in quick.samples) == total)
    if is_whole(quick):
        assert encode(replace(full, scheme=SCHEME)) == encode(quick)


def test_a_part_of_a_tensor_or_of_the_tensors_is_not_the_whole() -> None:
    fingerprint = read_fingerprint(Memory({"model.safetensors": save(golden_model())}))
    assert is_whole(fingerprint)
    first, *others = fingerprint.samples
    assert not is_whole(replace(fingerprint, samples=(replace(first, raw=first.raw[:-2]), *others)))
    assert not is_whole(replace(fingerprint, samples=tuple(others)))
    uneven = {"large.weight": (300, 100), **{f"small.{i}.weight": (20, 20) for i in range(40)}}
    model = Memory({"model.safetensors": save(weights(uneven))})
    assert sum(np.prod(shape) for shape in uneven.values()) < 65_536
    assert not is_whole(read_fingerprint(model)), "the large one is sampled in part"
    assert is_whole(read_fingerprint(model, full=True))


def test_it_is_never_compared_with_a_quick_one() -> None:
    source = Memory({"model.safetensors": save(weights(MIDDLE))})
    quick, full = read_fingerprint(source), read_fingerprint(source, full=True)
    assert digest(quick) != digest(full)
    with pytest.raises(ValueError, match="schemes"):
        gather([quick, full])


def test_names_and_shards_change_nothing(tmp_path: Path) -> None:
    model = weights(LARGE)
    renamed = {name.replace("block", "x.h"): tensor for name, tensor in reversed(model.items())}
    one, other = (
        read_fingerprint(local(write_model(tmp_path / str(shards), made, shards=shards)), full=True)
        for shards, made in ((1, model), (4, renamed))
    )
    assert digest(one) == digest(other)


def test_the_scheme_samples_what_it_always_sampled() -> None:
    large = np.arange(3_000_000, dtype=np.float32).reshape(1500, 2000)
    (sample,) = read_fingerprint(Memory({"model.safetensors": save({"it": large})}), full=True).samples
    assert isinstance(sample, Sample)
    assert values(sample)[::RUN_LENGTH][:5].tolist() == [1553056, 407200, 2260640, 1114784, 2968224]
    assert values(sample).size == FULL_VALUES
