"""A model that was read before is read in one go, and no less truly where its weights lie elsewhere now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from hub_lineage.crawl import crawl
from hub_lineage.crawl.foresight import Foresight
from hub_lineage.fingerprint import digest, read_fingerprint
from hub_lineage.hub import Hub, LocalSource
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub, llama_shapes, sparse_model
from hub_lineage.types import ByteRange, Reference
from tests.simulated import Memory

FILE = "model.safetensors"


def weights(seed: int, sizes: Sequence[int] = (120, 160)) -> bytes:
    """A model too long for its values to lie in the first piece that is read."""
    random = np.random.default_rng(seed)
    return save({f"{k}.weight": random.standard_normal((size, size)).astype(np.float32) for k, size in enumerate(sizes)})


def requests(served: LoopbackHub) -> list[str]:
    kinds = {"cdn": "bytes", "hub": "resolver"}
    return ["api" if record.path.startswith("/api/") else kinds[record.origin] for record in served.requests]


def test_new_weights_take_one_request_less_than_the_first_time(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    repository = loopback_hub.add_repo("org/m", files={FILE: weights(1)})
    crawl(registry, hub=hub)
    assert requests(loopback_hub) == ["api", "api", "resolver", "bytes", "bytes"]
    for seed in (2, 3):
        loopback_hub.forget()
        repository.commit({FILE: weights(seed)})
        assert crawl(registry, hub=hub).added == 1
        assert requests(loopback_hub) == ["api", "api", "resolver", "bytes"]
        model = registry.get("org/m")
        assert model is not None
        assert digest(model.fingerprint) == digest(read_fingerprint(Memory({FILE: weights(seed)})))


def test_a_model_that_holds_something_else_now_is_read_as_it_is(loopback_hub: LoopbackHub, hub: Hub, registry: Registry) -> None:
    repository = loopback_hub.add_repo("org/m", files={FILE: weights(1)})
    crawl(registry, hub=hub)
    swapped = weights(2, (160, 120))
    assert len(swapped) == len(weights(1))  # of the same size, so that it is expected to lie as before
    for content in (swapped, weights(3, (200, 40)), weights(4, (10,))):
        repository.commit({FILE: content})
        assert crawl(registry, hub=hub).added == 1
        model = registry.get("org/m")
        assert model is not None
        assert digest(model.fingerprint) == digest(read_fingerprint(Memory({FILE: content})))


def test_a_model_in_shards_takes_no_more_than_the_first_time(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, tmp_path: Path
) -> None:
    shapes = llama_shapes(layers=4, hidden=512, inner=1376, vocabulary=8000)
    repository = loopback_hub.add_repo("org/m", folder=sparse_model(tmp_path / "a", shapes, shards=2))
    crawl(registry, hub=hub)
    first = len(loopback_hub.requests)
    loopback_hub.forget()
    new = sparse_model(tmp_path / "b", shapes, shards=2, seed=1)
    repository.commit({path.name: path for path in new.iterdir()})
    assert crawl(registry, hub=hub).added == 1
    assert len(loopback_hub.requests) <= first
    model = registry.get("org/m")
    assert model is not None
    assert digest(model.fingerprint) == digest(read_fingerprint(LocalSource(Reference(str(new), local=True))))


SIZE = 300
RANGES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, SIZE), st.integers(0, SIZE)).map(
        lambda one: ByteRange(one[0], min(one[1:]), max(one[1:]))
    ),
    max_size=5,
)


@given(st.lists(RANGES, max_size=3), st.lists(RANGES, max_size=4), st.sampled_from([SIZE, SIZE - 1]))
def test_what_is_read_is_what_is_there(before: list[list[ByteRange]], calls: list[list[ByteRange]], size: int) -> None:
    """Whatever was read the last time, and whatever is asked for now."""
    old = Memory({name: bytes(SIZE) for name in "ab"})
    first = Foresight(old)
    for ranges in before:
        first.read(ranges)
    files = {"a": np.random.default_rng(1).bytes(SIZE), "b": np.random.default_rng(2).bytes(size)}
    again = Foresight(Memory(files), first.layout())
    for ranges in calls:
        wanted = [one for one in ranges if one.stop <= len(files[one.path])]
        assert again.read(wanted) == [files[one.path][one.start : one.stop] for one in wanted]


def test_a_file_of_another_size_is_not_foreseen() -> None:
    first = Foresight(Memory({"a": b"x" * 10, "b": b"y" * 10}))
    first.read([ByteRange("a", 0, 2), ByteRange("b", 0, 5)])
    source = Memory({"a": b"x" * 10, "b": b"y" * 9})
    Foresight(source, first.layout()).read([ByteRange("a", 0, 1)])
    assert source.asked == [ByteRange("a", 0, 1)]


@pytest.mark.parametrize("calls", [[], [[]]])
def test_nothing_read_leaves_no_layout(calls: list[list[ByteRange]]) -> None:
    source = Foresight(Memory({"a": b"x"}))
    for ranges in calls:
        source.read(ranges)
    assert source.layout() == ""
