"""What a fingerprint costs in every format: bytes read of files above 100 MB, over HTTP from a loopback Hub.

The files are written by the formats' own libraries where those can write them, and hold zeros, as only where values lie
counts here. One language model is written in all of them; the ONNX files hold their matrices as exporters store them, the
other way round. Nothing is chosen by these figures but what the bar says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import gguf
import numpy as np
import onnx
import torch
from bitsandbytes import functional
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from safetensors.torch import save_file

from benchmarks.results_file import Figure
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import Hub, parse_reference
from hub_lineage.testing import LoopbackHub
from hub_lineage.testing.models import llama_shapes, sparse_model
from hub_lineage.types import Cost, Fingerprint

BAR: Final = 0.02
LEAST: Final = 100_000_000
SIZES: Final = {"layers": 12, "hidden": 1024, "inner": 2816, "vocabulary": 32000}
_ENCODER: Final = {"layers": 12, "hidden": 768, "inner": 3072, "vocabulary": 512}  # 340 MB in float32
_GROUP = 128
_EMBEDDINGS = ("embed_tokens", "lm_head")
_GGUF: Final = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate",
    "up_proj": "ffn_up", "down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip

Tensors = Mapping[str, torch.Tensor]


def rows() -> list[Figure]:
    """A figure for each format, and ``formats.bytes_share``, the worst of them."""
    figures = [_figure(name, *measured(write)) for name, write in FORMATS.items()]
    worst = max(figures, key=lambda figure: figure.value)
    shares = {figure.id.partition("/")[2]: figure.value for figure in figures}
    note = f"the worst of {len(figures)} formats, {worst.id.partition('/')[2]}: {worst.note}"
    return [Figure("formats.bytes_share", worst.value, "share", f"<= {BAR:g}", shares, note), *figures]


def measured(write: Callable[[Path], None]) -> tuple[Cost, Fingerprint]:
    """What reading a model's fingerprint took, and the fingerprint; a folder is written, served and read."""
    with tempfile.TemporaryDirectory() as name, LoopbackHub() as served:
        write(Path(name))
        served.add_repo("org/model", folder=Path(name))
        with Hub(served.url, token=False) as hub:
            source = hub.open(parse_reference("org/model"))
            found = read_fingerprint(source)
            return source.cost(), found


def _figure(name: str, cost: Cost, found: Fingerprint) -> Figure:
    if cost.bytes_total < LEAST:
        raise ValueError(f"the files of {name} are too small: {cost.bytes_total:,} bytes")
    note = f"{cost.bytes_total / 1e6:.0f} MB; {cost.bytes_read / 1e6:.2f} MB in {cost.requests} requests"
    return Figure(
        f"formats.bytes_share/{name}", cost.bytes_read / cost.bytes_total, "share", f"<= {BAR:g}",
        note=f"{note}; {len(found.samples)} matrices sampled",
    )  # fmt: skip


def _zeros() -> dict[str, torch.Tensor]:
    """The tensors of the language model."""
    return {name: torch.zeros(shape, dtype=torch.float16) for name, shape in llama_shapes(**SIZES).items()}


def _is_packed(name: str, tensor: torch.Tensor) -> bool:
    """Whether quantisers pack it: the matrices of the blocks."""
    return tensor.ndim == 2 and not any(word in name for word in _EMBEDDINGS)


def _safetensors(folder: Path) -> None:
    sparse_model(folder, llama_shapes(**SIZES), shards=1)


def _torch(folder: Path, *, zipped: bool = True) -> None:
    torch.save(_zeros(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)


def _gguf_of(word: str) -> Callable[[Path], None]:
    """A writer of GGUF whose matrices are of one type."""
    kind = gguf.GGMLQuantizationType[word]

    def write(folder: Path) -> None:
        writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
        writer.add_block_count(SIZES["layers"])
        writer.add_head_count(16)
        writer.add_head_count_kv(16)
        for name, shape in llama_shapes(**SIZES).items():
            if len(shape) == 1:
                writer.add_tensor(_in_gguf(name), np.zeros(shape, np.float32))
            else:
                stored = gguf.quant_shape_to_byte_shape(shape, kind)
                writer.add_tensor(_in_gguf(name), np.zeros(stored, np.uint8), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    return write


def _in_gguf(name: str) -> str:
    parts = name.split(".")
    if parts[1] == "layers":
        return f"blk.{parts[2]}.{_GGUF[parts[-2]]}.weight"
    return {"embed_tokens": "token_embd", "norm": "output_norm", "weight": "output"}[parts[1]] + ".weight"


def _packed(pack: Callable[[str, torch.Tensor], Tensors], config: str = "{}") -> Callable[[Path], None]:
    """A writer of safetensors whose matrices are packed in several tensors each."""

    def write(folder: Path) -> None:
        held: dict[str, torch.Tensor] = {}
        for name, tensor in _zeros().items():
            held |= pack(name.removesuffix(".weight"), tensor) if _is_packed(name, tensor) else {name: tensor}
        save_file({name: tensor.clone() for name, tensor in held.items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(config)

    return write


def _gptq(stem: str, tensor: torch.Tensor) -> Tensors:
    out, into = tensor.shape
    return {
        f"{stem}.qweight": torch.zeros(into // 8, out, dtype=torch.int32),
        f"{stem}.qzeros": torch.zeros(into // _GROUP, out // 8, dtype=torch.int32),
        f"{stem}.scales": torch.zeros(into // _GROUP, out, dtype=torch.float16),
        f"{stem}.g_idx": torch.arange(into, dtype=torch.int32) // _GROUP,
    }


def _awq(stem: str, tensor: torch.Tensor) -> Tensors:
    out, into = tensor.shape
    return {
        f"{stem}.qweight": torch.zeros(into, out // 8, dtype=torch.int32),
        f"{stem}.qzeros": torch.zeros(into // _GROUP, out // 8, dtype=torch.int32),
        f"{stem}.scales": torch.zeros(into // _GROUP, out, dtype=torch.float16),
    }


def _four_bits(stem: str, tensor: torch.Tensor) -> Tensors:
    packed, state = functional.quantize_4bit(tensor, quant_type="nf4", compress_statistics=True)
    parts: dict[str, torch.Tensor] = state.as_dict(packed=True)
    return {f"{stem}.weight": packed, **{f"{stem}.weight.{name}": part for name, part in parts.items()}}


def _eight_bits(stem: str, tensor: torch.Tensor) -> Tensors:
    return {
        f"{stem}.weight": tensor.to(torch.int8),
        f"{stem}.SCB": torch.zeros(len(tensor)),
        f"{stem}.weight_format": torch.zeros((), dtype=torch.uint8),
    }


def _fp8(stem: str, tensor: torch.Tensor) -> Tensors:
    return {f"{stem}.weight": tensor.to(torch.float8_e4m3fn), f"{stem}.weight_scale": torch.ones(1)}


def _onnx_of(dtype: Any, sizes: Mapping[str, int] = SIZES, *, external: bool = False) -> Callable[[Path], None]:
    """A writer of ONNX: matrices as right operands, under an exporter's names; ``int8`` with a scale a matrix."""

    def write(folder: Path) -> None:
        stored, nodes = [], []
        for place, (name, shape) in enumerate(llama_shapes(**sizes).items()):
            if len(shape) == 1 or "embed" in name:
                kind: Any = np.float16 if dtype is np.int8 else dtype
                stored.append(numpy_helper.from_array(np.zeros(shape, kind), name))
                nodes += [helper.make_node("Gather", [name, "ids"], ["x"])] if "embed" in name else []
                continue
            held = f"onnx::MatMul_{place}{'_quantized' if dtype is np.int8 else ''}"
            stored.append(numpy_helper.from_array(np.zeros(shape[::-1], dtype), held))
            scope = "/" + name.removesuffix(".weight").replace(".", "/") + "/MatMul"
            if dtype is np.int8:
                stored.append(numpy_helper.from_array(np.ones((), np.float32), f"onnx::MatMul_{place}_scale"))
                nodes.append(helper.make_node("MatMulInteger", ["x", held], [f"y{place}"], scope))
            else:
                nodes.append(helper.make_node("MatMul", ["x", held], [f"y{place}"], scope))
        made = helper.make_model(helper.make_graph(nodes, "graph", [], [], initializer=stored))
        onnx.save(made, folder / "model.onnx", save_as_external_data=external, location="model.onnx_data")

    return write


def _onnx_in_blocks(folder: Path) -> None:
    """ONNX with matrices of four bits in blocks, as they stand in torch."""
    stored, nodes = [], []
    for place, (name, shape) in enumerate(llama_shapes(**SIZES).items()):
        if len(shape) == 1 or any(word in name for word in _EMBEDDINGS):
            stored.append(numpy_helper.from_array(np.zeros(shape, np.float16), name))
            continue
        out, into = shape
        parts: list[NDArray[Any]] = [np.zeros((out, into // 32, 16), np.uint8), np.zeros(out * into // 32, np.float16)]
        names = [f"onnx::MatMul_{place}_{part}" for part in ("Q4", "scales")]
        stored += [numpy_helper.from_array(part, one) for part, one in zip(parts, names, strict=True)]
        scope = "/" + name.removesuffix(".weight").replace(".", "/") + "/MatMul_Q4"
        options: dict[str, Any] = {"K": into, "N": out, "bits": 4, "block_size": 32}
        nodes.append(helper.make_node("MatMulNBits", ["x", *names], [f"y{place}"], scope, domain="com.microsoft", **options))
    onnx.save(helper.make_model(helper.make_graph(nodes, "graph", [], [], initializer=stored)), folder / "model.onnx")


FORMATS: Final[dict[str, Callable[[Path], None]]] = {
    "safetensors": _safetensors,
    "torch zip": _torch,
    "torch legacy": lambda folder: _torch(folder, zipped=False),
    **{f"GGUF {word}": _gguf_of(word) for word in ("F16", "Q8_0", "Q4_K")},
    "ONNX F32": _onnx_of(np.float32, _ENCODER),
    "ONNX F16, data beside it": _onnx_of(np.float16, external=True),
    "ONNX INT8": _onnx_of(np.int8),
    "ONNX of 4 bits": _onnx_in_blocks,
    "GPTQ": _packed(_gptq, '{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": false}}'),
    "AWQ": _packed(_awq),
    "bitsandbytes of 4 bits": _packed(_four_bits),
    "bitsandbytes of 8 bits": _packed(_eight_bits),
    "FP8": _packed(_fp8),
}
"""Writers of a folder, by the format's name."""


if __name__ == "__main__":
    for figure in rows():
        print(f"{figure.id:44} {figure.value:10.4g} {figure.bar:8} {figure.note}")
