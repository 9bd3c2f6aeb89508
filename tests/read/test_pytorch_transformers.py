"""Models of transformers: what they save to safetensors and what torch saves of them give one fingerprint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from hub_lineage.fingerprint import digest, read_fingerprint
from hub_lineage.hub import LocalSource
from hub_lineage.types import Reference

FORMS = {"zip": True, "legacy": False}


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def bert(seed: int = 0) -> transformers.PreTrainedModel:
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=300,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=64,
    )
    return transformers.BertForMaskedLM(config)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_model_of_transformers_has_the_fingerprint_of_its_safetensors(tmp_path: Path, form: str, dtype: torch.dtype) -> None:
    model = bert()
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    model.save_pretrained(tmp_path / "safe")
    (tmp_path / "torch").mkdir()
    torch.save(model.state_dict(), tmp_path / "torch" / "pytorch_model.bin", _use_new_zipfile_serialization=FORMS[form])
    safe, found = (read_fingerprint(local(tmp_path / name)) for name in ("safe", "torch"))
    assert digest(found) == digest(safe)
    assert (found.parameters, found.blocks, found.dtype) == (safe.parameters, safe.blocks, safe.dtype)
