"""The names that transformers has for the tensors of a GGUF file, by those that llama.cpp gives them.

Names order tensors of one shape and label them, so only the customary architectures need to be right: decoders in the
manner of Llama, and BERT. Other tensors keep the word that they have, in the place of their block.
"""

from __future__ import annotations

import re
from typing import Final

_PLACED = re.compile(r"^blk\.(?P<block>[0-9]{1,6})\.(?P<word>[^.]+)(?P<rest>\..*)?$", re.DOTALL)
_EXPERTS = re.compile(r"^blk\.[0-9]{1,6}\.ffn_(gate|up|down)_exps\.(weight|bias)$")
_ROTARY = re.compile(r"^blk\.(?P<block>[0-9]{1,6})\.attn_(?P<which>[qk])\.(weight|bias|weight\.lora_b)$")
_COMPUTED = re.compile(r"^(rope_freqs|rope_factors_(long|short))\.weight$")
_ADAPTER: Final = {".weight.lora_a": ".lora_A.weight", ".weight.lora_b": ".lora_B.weight"}

_DECODER: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.gate_proj",
    "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
    "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj",
    "ffn_down_shexp": "mlp.shared_expert.down_proj",
}
_DECODER_OUTSIDE: Final = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_ENCODER: Final = {
    "attn_q": "attention.self.query",
    "attn_k": "attention.self.key",
    "attn_v": "attention.self.value",
    "attn_output": "attention.output.dense",
    "attn_output_norm": "attention.output.LayerNorm",
    "ffn_up": "intermediate.dense",
    "ffn_down": "output.dense",
    "layer_output_norm": "output.LayerNorm",
}
_ENCODER_OUTSIDE: Final = {
    "token_embd": "embeddings.word_embeddings",
    "position_embd": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "token_embd_norm": "embeddings.LayerNorm",
}


def original(name: str, architecture: str) -> str:
    """The name that transformers has for a tensor; one that isn't known keeps its own."""
    for ending, customary in _ADAPTER.items():
        if name.endswith(ending):
            return original(name.removesuffix(ending) + ".weight", architecture).removesuffix(".weight") + customary
    inside, outside, prefix = _DECODER, _DECODER_OUTSIDE, "model.layers"
    if architecture == "bert":
        inside, outside, prefix = _ENCODER, _ENCODER_OUTSIDE, "encoder.layer"
    placed = _PLACED.match(name)
    if placed is None:
        word, _, rest = name.partition(".")
        return f"{outside.get(word, word)}.{rest}" if rest else name
    word = placed["word"]
    if word == "ffn_norm" and architecture.startswith("gemma") and architecture != "gemma":
        known = "pre_feedforward_layernorm"  # these have a norm on each side of both parts of a block
    else:
        known = inside.get(word, word)
    return f"{prefix}.{int(placed['block'])}.{known}{placed['rest'] or ''}"


def expert(name: str, number: int) -> str:
    """The name of one expert's matrix, by that of all experts' together."""
    return name.replace(".experts.", f".experts.{number}.", 1)


def holds_experts(name: str) -> bool:
    """Whether a tensor of the file holds the matrices of all experts in a block, which transformers keeps apart."""
    return _EXPERTS.match(name) is not None


def is_computed(name: str) -> bool:
    """Whether a tensor of the file is worked out from a model's configuration and no weight of it."""
    return _COMPUTED.match(name) is not None


def turned(name: str) -> tuple[int, str] | None:
    """The block of a tensor whose rows a rotary embedding turns, and ``q`` or ``k``; None for any other."""
    match = _ROTARY.match(name)
    return (int(match["block"]), match["which"]) if match else None
