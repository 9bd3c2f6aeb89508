"""Quantised files that lie about themselves: a clear error or nothing made of them, and never much memory."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save

from hub_lineage.errors import BadWeights
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.read.index import read_index
from tests.read.quantisers import awq, gptq
from tests.simulated import Memory
from tests.strategies import OFTEN, json_values

Parts = dict[str, NDArray[Any]]
WEIGHT = np.random.default_rng(0).standard_normal((64, 96)).astype(np.float32)
GROUPS = np.arange(96) // 32
STATE = {"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": [64, 96]}


def nf4(state: object = STATE, **other: NDArray[Any]) -> Parts:
    text = state if isinstance(state, bytes) else json.dumps(state).encode()
    found: Parts = {
        "weight": np.zeros((3072, 1), np.uint8),
        "weight.absmax": np.ones(96, np.float32),
        "weight.quant_map": np.linspace(-1, 1, 16, dtype=np.float32),
        "weight.quant_state.bitsandbytes__nf4": np.frombuffer(text, np.uint8),
    }
    return found | {name.replace("__", "."): value for name, value in other.items()}


def nested(**other: NDArray[Any]) -> Parts:
    state = STATE | {"nested_blocksize": 64, "nested_dtype": "float32", "nested_offset": 0.1}
    outer = {"weight.nested_absmax": np.ones(2, np.float32), "weight.nested_quant_map": np.ones(256, np.float32)}
    return nf4(state) | {"weight.absmax": np.ones(96, np.uint8)} | outer | {k.replace("__", "."): v for k, v in other.items()}


def source(parts: Parts, config: object = None) -> Memory:
    plain = {f"h.{i}.plain.weight": WEIGHT for i in range(2)}
    packed = {f"h.0.q.{name}": np.ascontiguousarray(value) for name, value in parts.items()}
    return Memory({"model.safetensors": save(plain | packed), "config.json": json.dumps(config).encode()})


def without(parts: Parts, *names: str) -> Parts:
    return {name: value for name, value in parts.items() if name not in names}


INT = np.zeros((64, 96), np.int8)
GPTQ, AWQ = gptq(WEIGHT, 4, GROUPS), awq(WEIGHT, 32)
LIES: dict[str, Parts] = {
    "zeros of other groups": GPTQ | {"qzeros": np.zeros((2, 8), np.int32)},
    "zeros too narrow": GPTQ | {"qzeros": np.zeros((3, 7), np.int32)},
    "zeros of seven bits": GPTQ | {"qzeros": np.zeros((3, 14), np.int32)},
    "zeros of another dtype": GPTQ | {"qzeros": np.zeros((3, 8), np.float32)},
    "more groups than inputs": GPTQ | {"qzeros": np.zeros((200, 8), np.int32), "scales": np.ones((200, 64), np.float16)},
    "groups of no size": GPTQ | {"qzeros": np.zeros((95, 8), np.int32), "scales": np.ones((95, 64), np.float16)},
    "an order too short": GPTQ | {"g_idx": np.zeros(95, np.int32)},
    "an order of another dtype": GPTQ | {"g_idx": np.zeros(96, np.int64)},
    "groups that don't divide": AWQ | {"qzeros": np.zeros((5, 8), np.int32), "scales": np.ones((5, 64), np.float16)},
    "no groups": AWQ | {"qzeros": np.zeros((0, 8), np.int32), "scales": np.ones((0, 64), np.float16)},
    "zeros of other outputs": AWQ | {"qzeros": np.zeros((3, 9), np.int32)},
    "a row too few": {"weight": INT, "SCB": np.ones(63, np.float32)},
    "scales of whole numbers": {"weight": INT, "SCB": np.ones(64, np.int32)},
    "scales of many dimensions": {"weight": INT, "SCB": np.ones((32, 1, 1), np.float32)},
    "a table of another size": nf4(weight__quant_map=np.ones(15, np.float32)),
    "a block too few": nf4(weight__absmax=np.ones(95, np.float32)),
    "largest values of whole numbers": nf4(weight__absmax=np.ones(96, np.int32)),
    "blocks of blocks that aren't there": nf4(weight__absmax=np.ones(96, np.uint8)),
    "a block of blocks too few": nested(weight__nested_absmax=np.ones(1, np.float32)),
    "a table of blocks too small": nested(weight__nested_quant_map=np.ones(2, np.float32)),
    "blocks of blocks of another dtype": nested(weight__nested_absmax=np.ones(2, np.int32)),
    "another shape": nf4(STATE | {"shape": [64, 97]}),
    "an endless shape": nf4(STATE | {"shape": [2**40, 2**40]}),
    "a negative shape": nf4(STATE | {"shape": [-64, -96]}),
    "a shape of no dimensions": nf4(STATE | {"shape": []}),
    "a shape of many dimensions": nf4(STATE | {"shape": [1] * 300}),
    "a shape that is a number": nf4(STATE | {"shape": 6144}),
    "no block": nf4(STATE | {"blocksize": 0}),
    "a block of text": nf4(STATE | {"blocksize": "64"}),
    "an offset that is no number": nf4(STATE | {"nested_offset": float("nan")}),
    "no JSON": nf4(b"\xff\xfe"),
    "nested JSON": nf4(b"[" * 4000),
    "a list": nf4([1, 2]),
}


@pytest.mark.parametrize("kind", LIES)
def test_contradictions_are_told(kind: str) -> None:
    with pytest.raises(BadWeights, match="quantised tensor") as raised:
        read_index(source(LIES[kind]))
    assert raised.value.hint


INCOMPLETE: dict[str, Parts] = {
    "no zeros": without(GPTQ, "qzeros"),
    "no scales": without(GPTQ, "scales"),
    "no weights": without(GPTQ, "qweight"),
    "scales of whole numbers": GPTQ | {"scales": np.ones((3, 64), np.int32)},
    "a kernel for vectors": {
        "qweight": np.zeros((64, 12), np.int32),
        "qzeros": AWQ["qzeros"],
        "scales": np.ones((3, 72), np.float16),
    },
    "no largest values": without(nf4(), "weight.absmax"),
    "no table": without(nf4(), "weight.quant_map"),
    "no JSON": without(nf4(), "weight.quant_state.bitsandbytes__nf4"),
    "JSON of a megabyte": nf4(json.dumps(STATE | {"more": "x" * 10**6}).encode()),
    "zeros that aren't read": {
        "weight_packed": np.zeros((64, 12), np.int32),
        "weight_scale": np.ones((64, 3), np.float16),
        "weight_zero_point": np.zeros((8, 3), np.int32),
    },
}


@pytest.mark.parametrize("kind", INCOMPLETE)
def test_what_lacks_a_part_is_left_out(kind: str) -> None:
    opened = source(INCOMPLETE[kind])
    assert {tensor.packing for tensor in read_index(opened)} == {None}
    if kind != "no weights":  # then nothing shows that what is left isn't weights
        assert {sample.label for sample in read_fingerprint(opened).samples} == {"h.0.plain.weight", "h.1.plain.weight"}


@pytest.mark.parametrize("group", [3, 2**31 - 1, -1, -(2**31)])
def test_an_order_that_names_no_group_is_told(group: int) -> None:
    order = GROUPS.astype(np.int32)
    order[50] = group
    with pytest.raises(BadWeights, match="names a group beyond its 3"):
        read_fingerprint(source(GPTQ | {"g_idx": order}))


def test_a_tensor_that_describes_itself_otherwise_than_its_likes_is_told() -> None:
    """The JSON of one tells the shape of all that are called alike; of the others it is checked where they are sampled."""
    parts = {
        f"h.{i}.q.{name}": value for i in range(3) for name, value in nf4(STATE if i < 2 else STATE | {"shape": [96, 64]}).items()
    }
    opened = Memory({"model.safetensors": save(parts)})
    assert len(read_index(opened)) == 3
    with pytest.raises(BadWeights, match="describes another shape"):
        read_fingerprint(opened)


@pytest.mark.parametrize("parts", [GPTQ, AWQ, nf4(), nested()])
@given(config=json_values, quantised=json_values)
@OFTEN
def test_any_settings_are_read_or_refused(parts: Parts, config: Any, quantised: Any) -> None:
    for said in (
        config,
        {"quantization_config": quantised},
        {"quantization_config": {"group_size": quantised, "config_groups": config}},
    ):
        assert read_fingerprint(source(parts, said)).samples


@given(st.dictionaries(st.sampled_from([*STATE, "nested_offset", "nested_blocksize"]), json_values | st.integers(-5, 2**63)))
@OFTEN
def test_any_json_of_a_tensor_is_read_or_refused(changes: dict[str, Any]) -> None:
    state = {name: value for name, value in nf4(STATE | changes).items() if "state" in name}
    for parts in (nf4(), nested()):
        with suppress(BadWeights):
            assert read_fingerprint(source(parts | state)).samples


def test_settings_of_many_megabytes_are_not_read() -> None:
    opened = source(GPTQ)
    opened.contents["config.json"] = b"[" * 30_000_000
    tracemalloc.start()
    read_fingerprint(opened)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
    assert not [one for one in opened.asked if one.path == "config.json"]
