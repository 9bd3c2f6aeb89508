"""Files that torch and transformers really write, against what torch itself loads from them."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.fingerprint import digest, read_fingerprint
from hub_lineage.hub import LocalSource
from hub_lineage.read import dtypes, pytorch
from hub_lineage.read.index import read_index, weight_set
from hub_lineage.read.pytorch.strided import Strided
from hub_lineage.read.pytorch.window import FIRST_READ
from hub_lineage.types import ByteRange, Reference, RepoFile, Source, Tensor
from tests.simulated import Memory
from tests.strategies import OFTEN, SELDOM, seeds

State = Mapping[str, torch.Tensor]
FORMS = {"zip": True, "legacy": False}
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.complex64, torch.int64, torch.uint64, torch.int32, torch.uint32,
    torch.int16, torch.uint16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def raw(tensor: torch.Tensor) -> bytes:
    """The values row by row, little-endian, as torch sees them."""
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def part(source: Source, tensor: Tensor, first: int, last: int) -> bytes:
    if tensor.packing is not None:
        return tensor.packing.values(first, last, source.read(tensor.packing.ranges(first, last)))
    start, stop = dtypes.byte_span(tensor.dtype, first, last)
    return source.read([ByteRange(tensor.path, tensor.start + start, tensor.start + stop)])[0]


def assert_reads(source: Source, state: State) -> None:
    """Every tensor of a state is found with torch's shape and values; ones that have two names stand under the first."""
    found = {tensor.name: tensor for tensor in read_index(source)}
    seen = set()
    for name, tensor in state.items():
        place = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        if tensor.numel() and place in seen:
            assert name not in found
            continue
        seen.add(place)
        assert found[name].shape == tuple(tensor.shape)
        assert dtypes.FORMATS[found[name].dtype].bits == 8 * tensor.element_size()
        assert part(source, found.pop(name), 0, tensor.numel()) == raw(tensor)
    assert not found


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3),
        nn.BatchNorm2d(24),
        nn.Flatten(),
        nn.Linear(24, 40),
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", pytorch.ENDINGS)
def test_a_network_is_read_as_torch_loads_it(tmp_path: Path, form: str, ending: str) -> None:
    path = tmp_path / f"anything{ending}"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=FORMS[form])
    assert_reads(local(tmp_path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle(tmp_path: Path, form: str, protocol: int) -> None:
    state, path = network().state_dict(), tmp_path / "model.pt"
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=FORMS[form])
    assert_reads(local(tmp_path), state)


@pytest.mark.parametrize("form", FORMS)
def test_every_dtype(tmp_path: Path, form: str) -> None:
    bytes_ = torch.arange(96, dtype=torch.uint8)
    state = {str(i): (bytes_ % 2 if dtype == torch.bool else bytes_).view(dtype).view(2, -1) for i, dtype in enumerate(DTYPES)}
    state = {name: tensor.clone() for name, tensor in state.items()}
    torch.save(state, tmp_path / "model.pt", _use_new_zipfile_serialization=FORMS[form])
    assert_reads(local(tmp_path), state)
    save_file(state, tmp_path / "model.safetensors")  # which is read first
    safe = {tensor.name: tensor.dtype for tensor in read_index(local(tmp_path))}
    chosen = pytorch.weight_set(local(tmp_path).files)
    assert chosen is not None
    found = pytorch.read_index(local(tmp_path), chosen)
    assert {tensor.name: tensor.dtype for tensor in found} == safe


def odd_layouts() -> State:
    whole = torch.arange(5000, dtype=torch.float32)
    matrix = torch.randn(40, 30)
    return {
        "transposed": torch.randn(12, 70).t(),
        "permuted": torch.randn(6, 5, 4, 3).permute(2, 0, 3, 1),
        "channels last": torch.randn(8, 6, 3, 3).to(memory_format=torch.channels_last),
        "stepped": torch.randn(30, 40)[::3, 1::7],
        "one part": whole[100:600].view(20, 25),
        "another part, overlapping": whole[400:1000].view(30, 20),
        "far rows": torch.randn(9, 3000)[:, :4],
        "repeated": torch.randn(1, 7).expand(5, 7),
        "windows": whole[:100].unfold(0, 10, 3),
        "rows": matrix[10:20],
        "half": torch.randn(16, 24).half().t(),
        "brain": torch.randn(16, 24).bfloat16().t(),
        "eight": torch.randn(16, 24).to(torch.float8_e4m3fn).t(),
        "scalar": torch.tensor(3.5),
        "one of many": whole[17],
        "none": torch.zeros(0, 7),
        "none of some": torch.zeros(3, 4)[:, :0],
        "a column": matrix[:, 3:4],
        "a column of one": torch.randn(5, 1).t(),
        "parameter": nn.Parameter(torch.randn(6, 4)),
        "frozen": nn.Parameter(torch.randn(6, 4), requires_grad=False),
    }


@pytest.mark.parametrize("form", FORMS)
def test_views_of_storages_in_every_layout(tmp_path: Path, form: str) -> None:
    state = odd_layouts()
    torch.save(state, tmp_path / "model.pt", _use_new_zipfile_serialization=FORMS[form])
    assert_reads(local(tmp_path), state)
    found = {tensor.name: tensor.packing for tensor in read_index(local(tmp_path))}
    strided = {name for name, tensor in state.items() if not tensor.is_contiguous()}
    assert {name for name, packing in found.items() if packing} == strided
    assert {(packing.word, packing.bits) for packing in found.values() if packing} == {("strided", 0)}


@given(st.data())
@OFTEN
def test_any_part_of_any_strides_is_what_numpy_sees(data: st.DataObject) -> None:
    """A slow oracle: numpy's own strided view of the file."""
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    itemsize = data.draw(st.sampled_from([1, 2, 4, 8]))
    strides = tuple(itemsize * data.draw(st.sampled_from([0, 1, 2, 7, 300, 900])) for _ in shape)
    start = data.draw(st.integers(0, 20))
    length = start + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) + itemsize
    content = np.random.default_rng(len(shape)).bytes(length)
    seen = np.ndarray(shape, np.dtype((np.void, itemsize)), content, start, strides).reshape(-1)
    first = data.draw(st.integers(0, len(seen)))
    last = data.draw(st.integers(first, len(seen)))
    packing, source = Strided("it", start, itemsize, shape, strides), Memory({"it": content})
    ranges = packing.ranges(first, last)
    assert packing.values(first, last, source.read(ranges)) == seen[first:last].tobytes()
    assert all(one.stop <= other.start for one, other in pairwise(ranges))
    assert sum(map(len, ranges)) <= (last - first) * itemsize


def tied() -> nn.Module:
    model = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 16), nn.Linear(16, 50, bias=False))
    model[2].weight = model[0].weight
    return model


def test_a_tied_head_stands_once_under_its_first_name(tmp_path: Path) -> None:
    torch.save(tied().state_dict(), tmp_path / "model.bin")
    assert [tensor.name for tensor in read_index(local(tmp_path))] == ["0.weight", "1.weight", "1.bias"]


def optimised() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.randn(2, 3, 5, 5)).square().sum().backward()
    optimizer.step()
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 3)


def checkpoints(state: State, rest: dict[str, Any]) -> dict[str, Any]:
    """What training scripts save of a state and of an optimiser."""
    return {
        "Lightning's": {"epoch": 3, "state_dict": state, "optimizer_states": [rest], "callbacks": {"x": dict(state)}},
        "a script's": {"model": state, "optimizer": rest, "args": argparse.Namespace(lr=0.1, name="x")},
        "numpy in it": {"best": np.float64(0.5), "log": np.ones(3), "model_state_dict": state, "optim": rest},
        "wrapped twice": {"checkpoint": {"net": {"module": state}}, "optimizer_state_dict": rest},
        "of two the larger": {"ema": {"one": torch.ones(2, 2)}, "params": state},
        "an average first": {"params": {k: v + 1 for k, v in state.items()}, "params_ema": state},
        "an odd name": {"my_network": state, "step": torch.optim.AdamW, "optimizer": rest},
        "beside a tensor": {"state_dict": state, "mean": torch.zeros(3)},
        "with itself in it": _cyclic({"state_dict": state, "optimizer": rest}),
    }


def _cyclic(checkpoint: dict[str, Any]) -> dict[str, Any]:
    checkpoint["self"] = [checkpoint]
    return checkpoint


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", checkpoints({}, {}))
def test_the_model_is_found_in_a_checkpoint(tmp_path: Path, kind: str, form: str) -> None:
    model, optimizer, schedule = optimised()
    state = model.state_dict()
    rest = {**optimizer.state_dict(), "schedule": schedule.state_dict()}
    torch.save(checkpoints(state, rest)[kind], tmp_path / "last.ckpt", _use_new_zipfile_serialization=FORMS[form])
    assert_reads(local(tmp_path), state)


def test_parts_of_a_model_are_joined(tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save({"encoder": state, "decoder": {"out": torch.ones(4, 4)}, "list": [torch.zeros(2)]}, tmp_path / "model.pt")
    found = {tensor.name for tensor in read_index(local(tmp_path))}
    assert found == {f"encoder.{name}" for name in state} | {"decoder.out", "list.0"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_whole_module_pickled_with_its_class_is_read(tmp_path: Path, form: str) -> None:
    model = network()
    torch.save({"model": model, "epoch": 2}, tmp_path / "best.pt", _use_new_zipfile_serialization=FORMS[form])
    assert_reads(local(tmp_path), model.state_dict())


@pytest.mark.filterwarnings("ignore")
def test_torchscript_is_read(tmp_path: Path) -> None:
    model = network().eval()
    torch.jit.script(model).save(tmp_path / "model.pt")  # type: ignore[no-untyped-call]
    assert_reads(local(tmp_path), model.state_dict())


@given(seeds, st.sampled_from([1, 2, 3]), st.booleans(), st.booleans())
@SELDOM
def test_a_fingerprint_does_not_change_with_container_shards_or_strides(
    tmp_path: Path, seed: int, shards: int, form: bool, strided: bool
) -> None:
    random = np.random.default_rng(seed)
    shapes = [tuple(random.integers(2, 60, random.integers(1, 4)).tolist()) for _ in range(6)] + [(30, 20)]
    state = {f"layers.{i}.weight": torch.from_numpy(random.standard_normal(shape)).half() for i, shape in enumerate(shapes)}
    folder = tmp_path / f"{seed}-{shards}-{form}-{strided}"
    (folder / "safe").mkdir(parents=True, exist_ok=True)
    (folder / "torch").mkdir(exist_ok=True)
    save_file(state, folder / "safe" / "model.safetensors")
    if strided:
        state = {k: v.movedim(0, -1).contiguous().movedim(-1, 0) for k, v in state.items()}
    names = list(state)
    for i in range(shards):
        part = OrderedDict((name, state[name]) for name in names[i::shards])
        path = folder / "torch" / f"pytorch_model-{i + 1:05}-of-{shards:05}.bin"
        torch.save(part, path, _use_new_zipfile_serialization=form)
    safe, found = (read_fingerprint(local(folder / name)) for name in ("safe", "torch"))
    assert digest(found) == digest(safe)


@pytest.mark.parametrize("form", FORMS)
def test_a_large_file_takes_few_reads_and_few_bytes(tmp_path: Path, form: str) -> None:
    state = {f"block.{i}.weight": torch.zeros(64, 1024) for i in range(60)}
    torch.save(state, tmp_path / "model.pth", _use_new_zipfile_serialization=FORMS[form])
    source = local(tmp_path)
    assert len(read_index(source)) == 60
    assert source.cost().requests <= 4
    assert source.cost().bytes_read <= 2 * FIRST_READ + 100
    assert_reads(source, state)


@pytest.mark.parametrize("form", FORMS)
def test_a_long_pickle_takes_some_more_reads(tmp_path: Path, form: str) -> None:
    state = {f"a.rather.long.name.of.a.layer.{i}": torch.full((2, 3), i) for i in range(3000)}
    torch.save(state, tmp_path / "model.pth", _use_new_zipfile_serialization=FORMS[form])
    content = (tmp_path / "model.pth").read_bytes()
    memory = Memory({"model.pth": content})
    found = read_index(memory)
    assert [tensor.name for tensor in found] == list(state)
    assert len(memory.asked) <= 8
    assert all(part(memory, tensor, 0, 6) == raw(state[tensor.name]) for tensor in found[::97])


FILES: dict[str, tuple[dict[str, int], list[str] | None]] = {
    "what training leaves": (
        dict.fromkeys(["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_0.pth", "scaler.pt"], 9),
        None,
    ),
    "DeepSpeed's optimiser": ({"zero_pp_rank_0_mp_rank_00_optim_states.pt": 9, "optimizer_0.bin": 9}, None),
    "other formats of that ending": ({"openvino_model.bin": 9, "ggml-base.bin": 9}, None),
    "beside a model": ({"optimizer.pt": 99, "training_args.bin": 5, "pytorch_model.bin": 7}, ["pytorch_model.bin"]),
    "shards": (
        {"pytorch_model-00002-of-00002.bin": 1, "pytorch_model-00001-of-00002.bin": 1, "pytorch_model.bin.index.json": 7},
        ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"],
    ),
    "a pipeline's denoiser": (
        {
            "model_index.json": 9,
            "text_encoder/pytorch_model.bin": 99,
            "unet/diffusion_pytorch_model.bin": 9,
            "unet/diffusion_pytorch_model.non_ema.bin": 9,
        },
        ["unet/diffusion_pytorch_model.bin"],
    ),
    "two endings of one name": ({"model.pth": 9, "model.bin": 9, "model.pt": 9}, ["model.bin"]),
    "a name like an optimiser's": ({"optimus.pt": 9}, ["optimus.pt"]),
}


@pytest.mark.parametrize("case", FILES)
def test_files_without_weights_are_passed_over(case: str) -> None:
    sizes, chosen = FILES[case]
    found = pytorch.weight_set([RepoFile(path, size) for path, size in sizes.items()])
    assert (found and [file.path for file in found.files]) == chosen


def test_safetensors_come_before_torch() -> None:
    files = [RepoFile("pytorch_model.bin", 9), RepoFile("model.safetensors", 9)]
    assert weight_set(files).files == (files[1],)


def test_a_missing_shard_is_named() -> None:
    with pytest.raises(BadWeights, match="Shard 2 of 2 is missing"):
        pytorch.weight_set([RepoFile("pytorch_model-00001-of-00002.bin", 9)])


def test_a_name_in_two_shards_is_refused(tmp_path: Path) -> None:
    for i in (1, 2):
        torch.save({"a": torch.ones(3, 3)}, tmp_path / f"pytorch_model-0000{i}-of-00002.bin")
    with pytest.raises(BadWeights, match="stands in two files"):
        read_index(local(tmp_path))


@pytest.mark.parametrize("value", [{}, {"epoch": 3}, None, [1, 2], "text", argparse.Namespace(lr=1)])
def test_a_file_without_tensors_is_no_weights(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "model.pt")
    with pytest.raises(NoWeights) as caught:
        read_index(local(tmp_path))
    assert caught.value.hint
