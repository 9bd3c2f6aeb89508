"""Models of transformers as GGUF files, by the library's own writer and names, permuted as llama.cpp's conversion does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from tests.gguf_encoders import ENCODERS, encode

Arrays = Mapping[str, NDArray[Any]]

WORDS = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4", "TQ1_0", "TQ2_0", *ENCODERS)
"""The types that can be written here."""
SIZES = {
    "vocab_size": 320,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
}


def llama(seed: int = 0, **sizes: Any) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(**{**SIZES, "tie_word_embeddings": False, **sizes}))


def qwen2(seed: int = 0, **sizes: Any) -> Qwen2ForCausalLM:
    torch.manual_seed(seed)
    return Qwen2ForCausalLM(Qwen2Config(**{**SIZES, "tie_word_embeddings": False, **sizes}))


def state(model: Any) -> dict[str, NDArray[np.float32]]:
    return {name: tensor.detach().float().numpy() for name, tensor in model.state_dict().items()}


def permuted(weight: NDArray[Any], heads: int) -> NDArray[Any]:
    """The two rows that each pair of a rotary embedding turns, side by side."""
    return np.ascontiguousarray(weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape))


def stored(weight: NDArray[Any], word: str) -> tuple[NDArray[Any], gguf.GGMLQuantizationType]:
    kind = gguf.GGMLQuantizationType[word]
    if word in ENCODERS:
        return encode(weight, word), kind
    return gguf.quants.quantize(np.ascontiguousarray(weight), kind), kind


def write(
    model: Any, path: Path, word: str = "F32", tokens: int = 320, extra: Mapping[str, str] | None = None, **options: Any
) -> None:
    """A model with matrices of one type and vectors in F32, as llama.cpp's conversion and quantiser leave it."""
    config, architecture = model.config, model.config.model_type
    writer = gguf.GGUFWriter(path, architecture, **options)
    writer.add_name("A small model")
    for key, value in (extra or {}).items():
        writer.add_string(key, value)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_token_list([f"word {i}" for i in range(tokens)])
    writer.add_token_scores([0.0] * tokens)
    writer.add_token_merges([f"w o{i}" for i in range(tokens)])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], config.num_hidden_layers)
    heads = {"q_proj.weight": config.num_attention_heads, "k_proj.weight": config.num_key_value_heads}
    for name, original in state(model).items():
        turned = next((count for ending, count in heads.items() if name.endswith(ending)), None)
        weight = permuted(original, turned) if turned and architecture == "llama" else original
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert known is not None
        written, kind = stored(weight, word if weight.ndim > 1 else "F32")
        writer.add_tensor(known, written, raw_dtype=kind)
    if architecture == "llama":
        writer.add_tensor("rope_freqs.weight", np.ones(16, np.float32))
    finish(writer)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
