"""How much of a file is read, and how much of it is held at once, where matrices stand the other way round or are packed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper
from safetensors.numpy import save_file

from hub_lineage import fingerprint
from hub_lineage.fingerprint import digest, read_fingerprint
from hub_lineage.hub import Hub, LocalSource, parse_reference
from hub_lineage.hub.ranges import coalesce
from hub_lineage.read.behind import Behind
from hub_lineage.read.spans import GAP, taken
from hub_lineage.sampling import affordable, choose
from hub_lineage.testing import LoopbackHub
from hub_lineage.trace import trace
from hub_lineage.types import ByteRange, Reference, Source, Tensor
from tests.read.onnx_models import drawn, model, source_of, tensor
from tests.read.test_packed_budget import quantised

Weights = dict[str, NDArray[np.float32]]
SHARE = 0.02
"""Of a file above 100 MB, what is read at the most."""


def encoder(layers: int, hidden: int, inner: int, vocabulary: int, seed: int = 0) -> Weights:
    """An encoder of the customary shapes; the vocabulary, which is never sampled, holds zeros."""
    shapes = dict.fromkeys(("query", "key", "value", "out"), (hidden, hidden))
    shapes |= {"up": (inner, hidden), "down": (hidden, inner)}
    random = np.random.default_rng(seed)
    weights: Weights = {"embeddings.weight": np.zeros((vocabulary, hidden), np.float32)}
    for layer in range(layers):
        for name, shape in shapes.items():
            weights[f"layers.{layer}.{name}.weight"] = random.standard_normal(shape, np.float32) * np.float32(0.02)
            weights[f"layers.{layer}.{name}.bias"] = random.standard_normal(shape[0], np.float32)
    return weights


def exported(folder: Path, weights: Weights) -> Path:
    """The network as exporters write it: matrices turned and under names that say nothing."""
    folder.mkdir()
    stored, nodes = [], []
    for place, (name, array) in enumerate(weights.items()):
        if array.ndim == 1 or "embeddings" in name:
            stored.append(tensor(name, array))
            continue
        stored.append(tensor(f"onnx::MatMul_{place}", np.ascontiguousarray(array.T)))
        scope = "/" + name.removesuffix(".weight").replace(".", "/") + "/MatMul"
        nodes.append(helper.make_node("MatMul", ["x", stored[-1].name], [f"y{place}"], scope))
    nodes.append(helper.make_node("Gather", ["embeddings.weight", "ids"], ["x"]))
    onnx.save(model(stored, nodes), folder / "model.onnx")
    return folder


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def test_an_export_of_more_than_100_mb_finds_its_source_at_little_cost(
    loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path
) -> None:
    weights = encoder(12, 384, 1536, 30522)
    noise = np.random.default_rng(9).standard_normal(1 << 20).astype(np.float32)
    tuned = {name: array + np.float32(1e-3) * np.resize(noise, array.shape) for name, array in weights.items()}
    for name, held in (("source", weights), ("tuned", tuned), ("stranger", encoder(12, 384, 1536, 30522, 5))):
        (tmp_path / name).mkdir()
        save_file(held, tmp_path / name / "model.safetensors")
        loopback_hub.add_repo(f"org/{name}", folder=tmp_path / name)
    loopback_hub.add_repo("org/export", folder=exported(tmp_path / "export", weights))
    source = hub.open(parse_reference("org/export"))
    found = read_fingerprint(source)
    cost = source.cost()
    assert cost.bytes_total > 100_000_000
    assert cost.bytes_read < SHARE * cost.bytes_total
    assert cost.requests < 250
    assert digest(found) == digest(read_fingerprint(local(tmp_path / "export"))), "what is sampled doesn't depend on the source"
    answer = trace("org/export", among=["org/stranger", "org/tuned", "org/source"], hub=hub)
    assert answer.candidates[0].id == "org/source"
    assert (answer.candidates[0].kinship, answer.verdict.parents[0].relation) == ("duplicate", "duplicate")


class Counting(Behind):
    """A source that notes how many bytes are asked for in one go, and in all."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.calls: list[int] = []

    def read(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        self.calls.append(sum(map(len, ranges)))
        return self._source.read(ranges)


@pytest.mark.parametrize("kind", ["turned", "packed"])
def test_what_is_held_at_once_is_bounded_whatever_is_read(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "turned":
        folder = exported(tmp_path / "it", encoder(6, 256, 512, 8))
    else:
        folder = tmp_path
        (folder / "model.safetensors").write_bytes(quantised(12, 512, 1024).contents["model.safetensors"])
    plain = Counting(local(folder))
    expected = read_fingerprint(plain, full=True)
    most = 1_000_000
    assert max(plain.calls) > 4 * most, "one go, were it not bounded"
    monkeypatch.setattr(fingerprint, "AT_ONCE", most)
    bounded = Counting(local(folder))
    assert digest(read_fingerprint(bounded, full=True)) == digest(expected)
    assert max(bounded.calls) <= most
    assert sum(bounded.calls) <= 1.1 * sum(plain.calls)


def test_a_run_that_takes_more_is_read_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = exported(tmp_path / "it", encoder(2, 256, 512, 8))
    expected = digest(read_fingerprint(local(folder)))
    monkeypatch.setattr(fingerprint, "AT_ONCE", 1)
    assert digest(read_fingerprint(local(folder))) == expected


def test_bytes_that_runs_share_are_asked_for_once() -> None:
    array = drawn(120, 120)
    code = onnx.TensorProto.FLOAT16
    spelt = helper.make_tensor("a.weight", code, array.shape, array.astype(np.float16).reshape(-1))
    source = Counting(source_of(model([spelt])))
    assert len(read_fingerprint(source, full=True).samples[0].raw) == array.size * 2
    assert sum(source.calls) < 3 * len(model([spelt]).SerializeToString())


RANGES = st.lists(
    st.builds(
        lambda path, start, length: ByteRange(path, start, start + length),
        st.sampled_from("ab"),
        st.one_of(st.integers(0, 10), st.integers(0, 10).map(lambda k: k * GAP), st.integers(0, 10**6)),
        st.integers(0, 200_000),
    ),
    max_size=12,
)


@given(RANGES)
def test_what_ranges_take_is_what_a_source_fetches(ranges: list[ByteRange]) -> None:
    spans = coalesce(ranges)
    assert taken(ranges) == (sum(span.stop - span.start for span in spans), len(spans))


class Scattered:
    """A packing of whose runs no value lies near another."""

    word, bits = "scattered", 0

    def ranges(self, first: int, last: int) -> tuple[ByteRange, ...]:
        return tuple(ByteRange("it", place, place + 4) for place in range(0, (last - first) * 2 * GAP, 2 * GAP))

    def values(self, first: int, last: int, parts: object) -> bytes:
        raise NotImplementedError


def test_values_that_would_take_a_request_each_are_dear() -> None:
    size = 10_000_000
    scattered = [Tensor(f"a.{i}", "F32", (64, 64), "it", i * size, (i + 1) * size, Scattered()) for i in range(10)]
    plain = [Tensor(f"b.{i}", "F32", (48, 48), "it", i * size, (i + 1) * size) for i in range(10, 20)]
    chosen, _ = choose([*scattered, *plain])
    assert {tensor.shape for tensor, _ in chosen} == {(64, 64), (48, 48)}
    assert {tensor.shape for tensor, _ in affordable([*scattered, *plain], chosen)} == {(48, 48)}
