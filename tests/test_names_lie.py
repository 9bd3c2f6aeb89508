"""A copy is known for one whatever its tensors are called, in whatever order they stand, in however many files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from hub_lineage.family import gather
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import LocalSource
from hub_lineage.judge import clones
from hub_lineage.testing import write_model
from hub_lineage.trace import trace
from hub_lineage.types import Fingerprint, Reference
from tests.simulated import Memory
from tests.strategies import SELDOM, seeds

Shapes = list[tuple[int, ...]]
Weights = dict[str, NDArray[Any]]


def one_shape(count: int) -> Shapes:
    return [(40, 40)] * count


def few_shapes(count: int) -> Shapes:
    some: Shapes = [(48, 24), (24, 48), (24, 24), (24, 24), (24, 8, 3, 3)]
    return some * (count // 5)


def llama_like(count: int) -> Shapes:
    block: Shapes = [*[(64, 64)] * 4, *[(160, 64)] * 2, (64, 160)]
    return (block * -(-count // 7))[:count]


def many_shapes(count: int) -> Shapes:
    return [(16 + i % 100, 20) for i in range(count)]


KINDS = {"one shape": one_shape, "few shapes": few_shapes, "llama": llama_like, "many shapes": many_shapes}


def network(shapes: Shapes, seed: int) -> Weights:
    random = np.random.default_rng(seed)
    weights = {f"layers.{i // 7}.{'abcdefg'[i % 7]}": random.standard_normal(shape) for i, shape in enumerate(shapes)}
    gains = {f"layers.{i}.gain": 1 + 0.1 * random.standard_normal(24) for i in range(len(shapes) // 7)}
    return {name: value.astype(np.float32) for name, value in (weights | gains).items()}


def renamed(weights: Weights, random: np.random.Generator) -> Weights:
    """Random names, some with numbers that tell nothing, in a random order."""
    values = list(weights.values())
    names = [f"{random.bytes(4).hex()}.{random.integers(10**6)}.{place}" for place in range(len(values))]
    return {names[place]: values[place] for place in random.permutation(len(values))}


def read(folder: Path) -> Fingerprint:
    return read_fingerprint(LocalSource(Reference(str(folder), local=True)))


def moved(weights: Weights, size: float, random: np.random.Generator) -> Weights:
    steps = {name: size * random.standard_normal(value.shape) for name, value in weights.items()}
    return {name: (value + steps[name]).astype(np.float32) for name, value in weights.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [30, 100, 200, 300])
def test_a_copy_with_other_names_is_a_copy(kind: str, count: int, tmp_path: Path) -> None:
    random = np.random.default_rng(count)
    weights = network(KINDS[kind](count), 0)
    original = write_model(tmp_path / "original", weights)
    copy = write_model(tmp_path / "copy", renamed(weights, random), shards=3)
    stranger = write_model(tmp_path / "stranger", network(KINDS[kind](count), 1))
    family = gather([read(original), read(copy), read(stranger)])
    assert family.cosine[0, 1] > 0.999
    assert abs(family.cosine[0, 2]) < 0.3
    assert clones(family)[0, 1]
    found = trace(str(copy), among=[str(original), str(stranger)])
    assert found.verdict.kind == "one_of"
    assert [parent.id for parent in found.verdict.parents] == [str(original)]
    assert found.candidates[0].kinship == "duplicate"
    assert len(found.candidates[0].layers) == len(family.raw)


@given(kind=st.sampled_from(sorted(KINDS)), count=st.sampled_from([30, 100, 200]), seed=seeds, step=st.floats(0.01, 0.5))
@SELDOM
def test_a_fine_tune_with_other_names_is_as_near_as_with_its_own(
    kind: str, count: int, seed: int, step: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, random = tmp_path_factory.mktemp("models"), np.random.default_rng(seed)
    weights = network(KINDS[kind](count), seed)
    child = moved(weights, step, random)
    parent = read(write_model(folder / "parent", weights))
    honest = gather([parent, read(write_model(folder / "honest", child))])
    hidden = gather([parent, read(write_model(folder / "hidden", renamed(child, random)))])
    assert hidden.cosine[0, 1] == pytest.approx(honest.cosine[0, 1], abs=0.05)


def test_strangers_and_honest_kin_lose_no_tensor() -> None:
    """Kin so far away that nothing is clear, and strangers whose kernels share a form."""
    random = np.random.default_rng(0)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 4
    shapes: Shapes = [(30, 30, 3, 3)] * 200 + [(40, 40)] * 20

    def convolutional() -> Weights:
        peaked = {f"{i}.weight": random.standard_normal(shape) for i, shape in enumerate(shapes)}
        return {name: (value + (kernel if value.ndim == 4 else 0)).astype(np.float32) for name, value in peaked.items()}

    root = convolutional()
    models = [root, moved(root, 0.1, random), moved(root, 4.0, random), convolutional(), convolutional()]
    prints = [read_fingerprint(_memory(model)) for model in models]
    family = gather(prints)
    assert prints[0].partial == ((30, 30, 3, 3),)
    assert family.labels == tuple(sample.label for sample in prints[0].samples)
    for row, fingerprint in enumerate(prints):
        assert [tensor[row].tobytes() for tensor in family.raw] == [sample.raw for sample in fingerprint.samples]


def test_what_has_no_partner_is_left_out_for_all() -> None:
    random = np.random.default_rng(0)
    weights = network(llama_like(300), 0)
    child = read_fingerprint(_memory(weights))
    honest = read_fingerprint(_memory(moved(weights, 0.1, random)))
    liar = read_fingerprint(_memory(renamed(weights, random)))
    whole, cut = gather([child, honest]), gather([child, honest, liar])
    assert len(whole.raw) == len(child.samples)
    assert len(cut.raw) < len(child.samples)
    assert set(cut.labels) < {sample.label for sample in child.samples}
    np.testing.assert_allclose(cut.cosine[0, 2], 1.0, atol=1e-6)
    assert cut.cosine[0, 1] == pytest.approx(whole.cosine[0, 1], abs=0.01)


def test_no_model_makes_all_tensors_go() -> None:
    """More tensors of one shape than are ever sampled whole."""
    weights = network(one_shape(600), 0)
    prints = [read_fingerprint(_memory(weights)), *(_scattered(weights, seed) for seed in range(3))]
    family = gather(prints)
    assert len(family.raw) > 0
    assert all(tensor.shape == (4, 1024) for tensor in family.raw)


def _scattered(weights: Weights, seed: int) -> Fingerprint:
    return read_fingerprint(_memory(renamed(weights, np.random.default_rng(seed))))


def _memory(weights: Weights) -> Memory:
    return Memory({"model.safetensors": save(weights)})
