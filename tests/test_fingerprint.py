"""What a fingerprint depends on, and which values it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
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
from hub_lineage.fingerprint import block_vector, digest, encode, first_run, read_fingerprint, short_vector, standardised, values
from hub_lineage.hub import LocalSource
from hub_lineage.read import dtypes
from hub_lineage.read.index import read_index
from hub_lineage.sampling import RUN_LENGTH, RUNS, SMALL, SMALL_VECTORS, VECTORS, choose, runs_of
from hub_lineage.tensors import body, vectors
from hub_lineage.testing import llama_shapes, sparse_model, write_model
from hub_lineage.types import Fingerprint, Reference, Sample, Tensor
from tests.golden.make_fingerprint import GOLDEN, golden_model
from tests.simulated import Memory, fingerprint_of, tree
from tests.strategies import OFTEN, SELDOM, names, seeds

Weights = Mapping[str, NDArray[Any]]


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def fingerprint(weights: Weights) -> Fingerprint:
    return read_fingerprint(Memory({"model.safetensors": save(dict(weights))}))


def network(seed: int, layers: int = 4, dtype: Any = np.float32) -> dict[str, NDArray[Any]]:
    """Convolutions and matrices, long ones and short ones, several of one shape, with a head, a norm and a counter."""
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"stem.weight": (24, 3, 3, 3), "head.weight": (7, 90)}
    for i in range(layers):
        shapes |= {f"block.{i}.up.weight": (180, 90), f"block.{i}.down.weight": (90, 180), f"block.{i}.norm.weight": (90,)}
    weights: dict[str, NDArray[Any]] = {name: random.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    return weights | {"counter": np.array(3)}


@given(seeds, st.data())
@SELDOM
def test_no_name_changes_a_fingerprint_of_few_tensors(seed: int, data: st.DataObject) -> None:
    weights = network(seed)
    renamed = data.draw(
        st.lists(names, min_size=len(weights), max_size=len(weights), unique=True).filter(lambda n: "__metadata__" not in n)
    )
    order = data.draw(st.permutations(list(weights.values())))
    assert digest(fingerprint(dict(zip(renamed, order, strict=True)))) == digest(fingerprint(weights))


@given(st.data())
@SELDOM
def test_names_that_keep_the_order_of_blocks_change_nothing_however_many(data: st.DataObject) -> None:
    weights = network(0, layers=40)
    prefix = data.draw(st.sampled_from(["model.layers", "transformer.h", "x"]))
    renamed = {name.replace("block", prefix).replace(".norm", ".ln"): tensor for name, tensor in weights.items()}
    shuffled = {name: renamed[name] for name in data.draw(st.permutations(list(renamed)))}
    assert digest(fingerprint(shuffled)) == digest(fingerprint(weights))


@given(shards=st.integers(1, 6), seed=seeds)
@SELDOM
def test_shards_and_file_names_change_nothing(tmp_path_factory: pytest.TempPathFactory, shards: int, seed: int) -> None:
    weights, folder = network(seed), tmp_path_factory.mktemp("model")
    backwards = dict(reversed(weights.items()))
    found = read_fingerprint(local(write_model(folder, backwards, shards=shards, metadata={"some": "words"})))
    assert digest(found) == digest(fingerprint(weights))
    assert found.parameters == sum(tensor.size for tensor in weights.values())
    other = read_fingerprint(Memory({"deep/er/weights.safetensors": save(dict(weights)), "README.md": b"words"}))
    assert digest(other) == digest(found)
    assert encode(other) == encode(read_fingerprint(Memory({"a.safetensors": save(dict(weights))})))


def test_the_layout_of_the_container_changes_nothing() -> None:
    straight = save(network(1))
    length = int.from_bytes(straight[:8], "little")
    padded = (length + 4096).to_bytes(8, "little") + straight[8 : 8 + length] + b" " * 4096 + straight[8 + length :]
    assert digest(read_fingerprint(Memory({"model.safetensors": padded}))) == digest(fingerprint(network(1)))


def test_one_value_changes_it() -> None:
    weights = network(2)
    before = digest(fingerprint(weights))
    weights["stem.weight"][3, 1, 2, 0] += 1
    assert digest(fingerprint(weights)) != before


def test_what_is_left_out_does_not_change_it() -> None:
    weights = network(3)
    other = {**weights, "head.weight": np.zeros((11, 90), np.float32), "head.bias": np.zeros(11, np.float32), "few": np.ones(7)}
    assert digest(fingerprint(other)) == digest(fingerprint(weights))


@pytest.mark.parametrize(("word", "dtype"), [("F16", np.float16), ("BF16", ml_dtypes.bfloat16)])
def test_two_storages_of_one_model_are_equal_up_to_rounding(tmp_path: Path, word: str, dtype: Any) -> None:
    weights = network(4)
    full = read_fingerprint(local(write_model(tmp_path / "full", weights)))
    half = read_fingerprint(local(write_model(tmp_path / "half", weights, dtype=dtype)))
    assert (full.architecture, full.dtype, half.dtype) == (half.architecture, "F32", word)
    for one, other in zip(full.samples, half.samples, strict=True):
        assert (one.dtype, other.dtype) == ("F32", word)
        np.testing.assert_array_equal(dtypes.round_to(word, values(one)), values(other))
        assert np.any(values(one) != values(other))


@pytest.mark.parametrize("layers", [1, 4, 45])
def test_the_sampled_values_are_the_tensors_own(tmp_path: Path, layers: int) -> None:
    folder = write_model(tmp_path, network(5, layers), shards=3)
    whole = {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}
    tensors = read_index(local(folder))
    counts = {tensor.name: count for chosen in choose(body(tensors), vectors(tensors)) for tensor, count in chosen}
    found = read_fingerprint(local(folder))
    assert [sample.label for sample in (*found.samples, *found.vectors)] == list(counts)
    for sample in (*found.samples, *found.vectors):
        flat = whole[sample.label].reshape(-1)
        expected = [flat[i] for first, last in runs_of(sample.shape, counts[sample.label]) for i in range(first, last)]
        np.testing.assert_array_equal(values(sample), expected)


@pytest.mark.parametrize("word", ["F4", "F6_E2M3", "F8_E4M3"])
def test_sampled_values_of_packed_dtypes_are_the_tensors_own(word: str) -> None:
    bits, shape = dtypes.FORMATS[word].bits, (1000, 400)
    data = np.random.default_rng(0).integers(0, 256, 400_000 * bits // 8, dtype=np.uint8).tobytes()
    header = f'{{"it":{{"dtype":"{word}","shape":[1000,400],"data_offsets":[0,{len(data)}]}}}}'.encode()
    source = Memory({"model.safetensors": len(header).to_bytes(8, "little") + header + data})
    (sample,) = read_fingerprint(source).samples
    whole = np.nan_to_num(dtypes.decode(word, data))
    np.testing.assert_array_equal(values(sample), np.concatenate([whole[first:last] for first, last in runs_of(shape, RUNS)]))


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4).map(tuple), st.integers(1, RUNS))
@OFTEN
def test_runs_lie_within_apart_and_at_whole_bytes(shape: tuple[int, ...], count: int) -> None:
    elements = int(np.prod(shape, dtype=np.int64))
    runs = runs_of(shape, count)
    if elements <= count * RUN_LENGTH:
        assert runs == [(0, elements)]
        return
    assert len(runs) == count
    assert all(last - first == RUN_LENGTH and first % 8 == 0 for first, last in runs)
    ordered = sorted(runs)
    assert ordered[0][0] >= 0
    assert ordered[-1][1] <= elements
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))


@given(st.tuples(st.integers(300, 3000), st.integers(300, 3000)), st.integers(1, 40), st.integers(1, 40))
@OFTEN
def test_fewer_runs_are_the_beginning_of_more(shape: tuple[int, int], few: int, more: int) -> None:
    assert runs_of(shape, few) == runs_of(shape, few + more)[:few]


def test_runs_are_well_spread_however_many() -> None:
    shape = (4096, 4096)
    for count in range(2, RUNS + 1):
        starts = sorted(first for first, _ in runs_of(shape, count))
        around = [after - before for before, after in pairwise([*starts, starts[0] + 4096 * 4096])]
        assert max(around) < 4 * 4096 * 4096 / count


@given(st.tuples(st.integers(5, 200), st.integers(5, 200)), st.integers(1, 5))
@OFTEN
def test_the_first_run_is_the_same_in_any_network(shape: tuple[int, int], count: int) -> None:
    tensor = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    flat = tensor.reshape(-1)
    taken = np.concatenate([flat[first:last] for first, last in runs_of(shape, count)])
    ((first, last),) = runs_of(shape, 1)
    np.testing.assert_array_equal(first_run(Sample(shape, "F32", taken.tobytes())), flat[first:last])


def test_runs_of_two_shapes_lie_elsewhere() -> None:
    assert runs_of((4096, 1000), 4) != runs_of((1000, 4096), 4)


def as_tensors(shapes: Mapping[str, tuple[int, ...]]) -> list[Tensor]:
    return [Tensor(name, "F16", shape, "x.safetensors", 0, 0) for name, shape in shapes.items()]


def test_a_model_of_291_tensors_needs_at_most_64_runs_over_all_its_depth() -> None:
    shapes = llama_shapes()
    assert len(shapes) == 291
    chosen, gains = choose(body(as_tensors(shapes)), vectors(as_tensors(shapes)))
    assert sum(count for _, count in (*chosen, *gains)) == RUNS
    counts = Counter(tensor.shape for tensor, _ in chosen)
    assert counts == {(4096, 11008): 32, (4096, 4096): 16, (11008, 4096): 8}, "the smallest group whole, the others by share"
    for shape in counts:
        depths = sorted(int(tensor.name.split(".")[2]) for tensor, _ in chosen if tensor.shape == shape)
        assert (depths[0] < 4, depths[-1] > 27) == (True, True)
    assert {tensor.name.split(".")[4] for tensor, _ in chosen} == {name.split(".")[4] for name in shapes if "_proj" in name}
    assert len({int(tensor.name.split(".")[2]) for tensor, _ in gains if "layers" in tensor.name}) > 6


shapes_of_networks = st.lists(
    st.tuples(st.sampled_from([5, 6, 7, 8, 40, 300, 3000]), st.sampled_from([5, 8, 9, 70])), min_size=1, max_size=90
).flatmap(lambda shapes: st.integers(1, 8).map(lambda times: shapes * times))


@given(shapes_of_networks, st.lists(st.integers(8, 300), max_size=90))
@OFTEN
def test_no_network_needs_many_more_runs_and_none_is_chosen_twice(shapes: Sequence[tuple[int, int]], lengths: list[int]) -> None:
    named = {f"layer.{i}.weight": shape for i, shape in enumerate(shapes)}
    tensors = as_tensors(named | {f"layer.{i}.bias": (length,) for i, length in enumerate(lengths)})
    weights = body(tensors)
    small = sum(tensor.elements for tensor in weights) <= SMALL
    chosen, beside = choose(weights, vectors(tensors))
    for all_of_them, some in ((weights, chosen), (vectors(tensors), beside)):
        names = {tensor.name for tensor, _ in some}
        assert [tensor.name for tensor, _ in some] == [tensor.name for tensor in all_of_them if tensor.name in names]
    there, taken = Counter(tensor.shape for tensor in weights), Counter(tensor.shape for tensor, _ in chosen)
    least, budget = min(there.values()), RUNS if small else RUNS - VECTORS
    assert sum(count for _, count in chosen) <= max(budget, least)
    assert len(beside) == min(len(vectors(tensors)), SMALL_VECTORS if small else VECTORS)
    assert any(taken[shape] == there[shape] for shape in there), "some shape is whole"
    assert len(chosen) == min(len(weights), max(budget, least))


def test_what_is_larger_comes_first_and_the_rest_is_told() -> None:
    shapes = {f"a.{i}.weight": (3000, 700) for i in range(30)} | {f"b.{i}.weight": (70, 70) for i in range(20)}
    weights = body(as_tensors(shapes | {f"c.{i}.weight": (700, 700) for i in range(100)}))
    taken = Counter(tensor.shape for tensor, _ in choose(weights)[0])
    assert taken == {(3000, 700): 30, (70, 70): 20, (700, 700): 6}
    model = {f"{i}.weight": np.zeros((6, 6), np.float32) for i in range(200)} | {"x.weight": np.zeros((12, 6), np.float32)}
    assert fingerprint(model).partial == ((6, 6),)
    assert fingerprint(network(0)).partial == ()


def test_a_large_model_is_read_by_parts_alone(tmp_path: Path) -> None:
    folder = sparse_model(tmp_path, llama_shapes(layers=24, hidden=1024, inner=2816), shards=2)
    source = local(folder)
    found = read_fingerprint(source)
    assert sum(len(sample.raw) for sample in found.samples) <= RUNS * RUN_LENGTH * 2
    assert source.cost().bytes_read < 400_000 < source.cost().bytes_total / 1000


def test_short_vectors_are_of_unit_norm_and_near_the_pooled_correlation() -> None:
    family = [fingerprint_of(model) for model in tree([-1, 0, 0, 1, -1], [1.0, 0.3, 0.8, 0.5, 1.0])]
    short = np.stack([short_vector(one).astype(np.float64) for one in family])
    assert short.shape == (5, 1024)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1.0, atol=2e-3)
    pooled = gather(family).cosines
    sizes = gather(family).sizes
    np.testing.assert_allclose(short @ short.T, np.average(pooled, axis=0, weights=sizes), atol=0.1)


def test_a_short_model_s_short_vector_is_filled_up_and_a_constant_one_s_is_zero() -> None:
    vector = short_vector(fingerprint_of(tree([-1], [1.0], shapes=[(5, 6)])[0]))
    assert vector.dtype == np.float16
    assert np.count_nonzero(vector) <= 30
    assert not vector[30:].any()
    assert not short_vector(fingerprint_of([np.full((5, 6), 2.0)])).any()


def stack(seed: int, layers: Sequence[int], prefix: str = "") -> dict[str, NDArray[Any]]:
    """Some layers of a large stack; layers of one number and seed hold the same values."""
    made: dict[str, NDArray[Any]] = {}
    for place, layer in enumerate(layers):
        for number, shape in enumerate([(96, 96)] * 4 + [(256, 96)] * 2 + [(96, 256)]):
            drawn = np.random.default_rng([seed, layer, number]).standard_normal(shape)
            made[f"{prefix}layers.{place}.{'qkvogud'[number]}.weight"] = drawn.astype(np.float16)
    return made


def test_block_vectors_find_the_source_of_a_cut_depth_and_of_a_part() -> None:
    source = fingerprint(stack(0, range(24)))
    halved = fingerprint(stack(0, range(0, 24, 2)))
    part = fingerprint(stack(0, range(24), "tower.") | {f"lm.h.{i}.{k}": np.ones((80, 80)) for i in range(40) for k in "ab"})
    strangers = [fingerprint(stack(seed, range(24))) for seed in range(1, 30)]
    kinds = [f.blocks[0] for f in (source, halved, *strangers)]
    assert len({block.key for block in kinds}) == 1
    assert [block.count for block in kinds[:2]] == [24, 12]
    (tower,) = [block for block in part.blocks if block.key == kinds[0].key]
    vector = block_vector(source, kinds[0]).astype(np.float64)
    assert vector.shape == (1024,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=2e-3)
    unrelated = [vector @ block_vector(f, f.blocks[0]).astype(np.float64) for f in strangers]
    assert np.std(unrelated) == pytest.approx(1 / 32, rel=0.4)
    assert vector @ block_vector(halved, kinds[1]).astype(np.float64) > 8 / 32
    assert vector @ block_vector(part, tower).astype(np.float64) > 8 / 32


def test_a_block_vector_does_not_depend_on_the_order_of_blocks() -> None:
    one, other = (fingerprint(stack(0, layers)) for layers in (range(8), [3, 1, 0, 2, 7, 6, 5, 4]))
    np.testing.assert_allclose(block_vector(one, one.blocks[0]), block_vector(other, other.blocks[0]), atol=2e-3)
    assert one.blocks == other.blocks


def test_an_adapter_s_blocks_are_those_of_the_matrices_that_it_changes() -> None:
    base = fingerprint(stack(0, range(6)))
    adapter: dict[str, NDArray[Any]] = {}
    for name, matrix in stack(0, range(6), "base_model.model.").items():
        stem, (out, into) = name.removesuffix(".weight"), matrix.shape
        adapter |= {f"{stem}.lora_A.weight": np.zeros((4, into)), f"{stem}.lora_B.weight": np.zeros((out, 4))}
    (mine,), (theirs,) = fingerprint(adapter).blocks, base.blocks
    assert mine == replace(theirs, samples=())
    assert not block_vector(fingerprint(adapter), mine).any()


def test_what_is_not_finite_counts_as_zero() -> None:
    raw = np.array([1.0, np.nan, np.inf, -np.inf, 3e38, -2.0], np.float32)
    assert values(Sample((2, 3), "F32", raw.tobytes())).tolist() == [1.0, 0, 0, 0, 0, -2.0]
    assert values(Sample((1, 2), "F64", np.array([1e300, 1e8]).tobytes())).tolist() == [0, 0]


@given(st.lists(st.floats(-(2.0**26), 2.0**26, width=32), min_size=2, max_size=50))
@OFTEN
def test_standardised_values_have_no_mean_and_one_root_mean_square(sampled: list[float]) -> None:
    found = standardised(np.array(sampled, np.float32)).astype(np.float64)
    assert np.isfinite(found).all()
    assert not found.any() or np.sqrt(np.mean(np.square(found))) == pytest.approx(1.0, abs=1e-3)


def test_the_scheme_samples_what_it_always_sampled() -> None:
    assert encode(fingerprint(golden_model())) == GOLDEN.read_bytes()
    large = np.arange(3_000_000, dtype=np.float32).reshape(1500, 2000)
    (sample,) = fingerprint({"it": large}).samples
    assert values(sample)[::RUN_LENGTH][:5].tolist() == [1553056, 407200, 2260640, 1114784, 2968224]
