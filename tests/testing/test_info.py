"""What the Hub tells of a model's card and files, as the real client reads it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import HfApi, errors
from numpy.typing import NDArray

from hub_lineage.testing import LoopbackHub, llama_shapes, sparse_model, write_model

SHAPES = llama_shapes(layers=2, hidden=64, inner=128, vocabulary=512)


def card(**entries: str) -> bytes:
    lines = "".join(f"{name}: {value}\n" for name, value in entries.items())
    return f"---\n{lines}---\nText.\n".encode()


def gguf() -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    entries = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.context_length") + struct.pack("<II", 4, 2048),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
    ]
    tensors = [text(name) + struct.pack("<IQQIQ", 2, 8, 16, 0, 0) for name in ("one", "two")]
    return b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries + tensors)


def test_a_committed_card_shows_at_once(ann: HfApi) -> None:
    assert ann.model_info("org/name", expand=["baseModels"]).base_models is None
    entries = {"license": "mit", "base_model": "org/parent", "base_model_relation": "quantized", "tags": "[a]"}
    ann.upload_file(repo_id="org/name", path_or_fileobj=card(**entries), path_in_repo="README.md")
    info = ann.model_info("org/name")
    assert info.card_data is not None
    assert info.card_data["base_model"] == "org/parent"
    assert {"a", "base_model:org/parent", "base_model:quantized:org/parent", "license:mit"} <= set(info.tags or ())
    told: Any = ann.model_info("org/name", expand=["baseModels"]).base_models
    assert told == {"relation": "quantized", "models": [{"_id": "org/parent", "id": "org/parent"}]}


@pytest.mark.parametrize(
    ("files", "parents", "relation"),
    [
        ({}, ["org/a"], "finetune"),
        ({"adapter_config.json": "{}"}, ["org/a"], "adapter"),
        ({"model.gguf": b""}, ["org/a"], "quantized"),
        ({}, ["org/a", "org/b"], "merge"),
    ],
)
def test_the_relation_follows_from_the_files(
    ann: HfApi, served: LoopbackHub, files: dict[str, bytes | str | Path], parents: list[str], relation: str
) -> None:
    served.add_repo("org/child", files=files, card={"base_model": parents})
    assert f"base_model:{relation}:org/a" in (ann.model_info("org/child").tags or ())


def test_children_are_counted(ann: HfApi, served: LoopbackHub) -> None:
    for name in ("one", "two", "hidden"):
        served.add_repo(f"org/{name}", card={"base_model": "org/name"}, private=name == "hidden")
    assert ann.model_info("org/name", expand=["childrenModelCount"]).children_model_count == 2
    ann.upload_file(repo_id="org/one", path_or_fileobj=card(license="mit"), path_in_repo="README.md")
    assert ann.model_info("org/name", expand=["childrenModelCount"]).children_model_count == 1
    found = {model.id for model in ann.list_models(filter="base_model:org/name", token=False)}
    assert found == {"org/two"}


def test_what_a_listing_expands(ann: HfApi, served: LoopbackHub) -> None:
    served.add_repo("org/llama", files={"config.json": '{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}'})
    (found,) = ann.list_models(search="LLAM", expand=["config", "sha", "cardData"])
    assert found.config == {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    assert (found.sha, found.tags) == (served.repository("org/llama").at("main").oid, None)
    assert [model.id for model in ann.list_models(filter="llama", fetch_config=True)] == ["org/llama"]
    for word in ("childrenModelCount", "nonsense"):
        with pytest.raises(errors.BadRequestError, match="must be one of"):
            list(ann.list_models(expand=[word]))  # type: ignore[list-item]


def test_gated_and_sorted(ann: HfApi, served: LoopbackHub) -> None:
    served.add_repo("org/gated", gated="manual", files={"config.json": "{}"}, likes=9, created_at="2025-01-01")
    assert [model.id for model in ann.list_models(gated=True)] == ["org/gated"]
    assert [model.id for model in ann.list_models(gated=False)] == ["org/name"]
    for sort in ("likes", "created_at", "last_modified", "trending_score"):
        assert [model.id for model in ann.list_models(sort=sort)] == ["org/gated", "org/name"]


def test_parameters_by_dtype(ann: HfApi, served: LoopbackHub, tmp_path: Path) -> None:
    tensors: dict[str, NDArray[Any]] = {"a": np.zeros((3, 5), np.float32), "b": np.zeros(7, np.float16)}
    served.add_repo("org/small", folder=write_model(tmp_path, tensors))
    found = ann.model_info("org/small").safetensors
    assert found is not None
    assert (found.parameters, found.total) == ({"F32": 15, "F16": 7}, 22)
    assert ann.model_info("org/name").safetensors is None
    served.add_repo("org/large", folder=sparse_model(tmp_path / "large", SHAPES))
    assert [model.id for model in ann.list_models(num_parameters="min:0.1K,max:6B")] == ["org/large"]
    assert [model.id for model in ann.list_models(num_parameters="max:22")] == ["org/small"]


def test_the_headers_of_all_shards_in_one_call(ann: HfApi, served: LoopbackHub, tmp_path: Path) -> None:
    served.add_repo("org/large", folder=sparse_model(tmp_path, SHAPES, shards=3))
    served.forget()
    metadata = ann.get_sharded_safetensors_metadata("org/large")
    assert len(served.requests) == 1
    assert (metadata.sharded, len(metadata.files_metadata), set(metadata.weight_map)) == (True, 3, set(SHAPES))
    by_ranges = ann.get_safetensors_metadata("org/large")
    assert metadata.parameter_count == by_ranges.parameter_count
    assert metadata.files_metadata == by_ranges.files_metadata
    info = ann.model_info("org/large").safetensors
    assert info is not None
    assert info.parameters == metadata.parameter_count
    with pytest.raises(errors.RemoteEntryNotFoundError):
        ann.get_sharded_safetensors_metadata("org/name")


def test_a_gguf_file_s_header(ann: HfApi, served: LoopbackHub) -> None:
    served.add_repo("org/gguf", files={"model.gguf": gguf()})
    info = ann.model_info("org/gguf")
    assert info.gguf == {"total": 256, "architecture": "llama", "context_length": 2048}
    assert "gguf" in (info.tags or ())
    served.add_repo("org/broken", files={"model.gguf": gguf()[:60]})
    assert ann.model_info("org/broken").gguf is None


def test_an_adapter_s_configuration(ann: HfApi, served: LoopbackHub) -> None:
    adapter = '{"base_model_name_or_path": "org/base", "task_type": "CAUSAL_LM", "r": 8}'
    served.add_repo("org/adapter", files={"adapter_config.json": adapter, "config.json": "broken"})
    assert ann.model_info("org/adapter").config == {"peft": {"base_model_name_or_path": "org/base", "task_type": "CAUSAL_LM"}}


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ("base_model_relation: copied", "must be one of"),
        ("base_model: /home/me/checkpoint", "is not valid"),
        ("license: [mit", "YAML Metadata Error"),
        ("- a\n- b", "YAML Metadata Error"),
        ("license: mit\nlicense: gpl", "duplicated mapping key: license"),
        ("tags: [1]", '"tags[0]" must be a string'),
        ("library_name: [a]", '"library_name" must be a string'),
    ],
)
def test_broken_metadata_is_refused_before_the_commit(ann: HfApi, served: LoopbackHub, head: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid metadata in README\.md") as caught:
        ann.upload_file(repo_id="org/name", path_or_fileobj=f"---\n{head}\n---\n".encode(), path_in_repo="README.md")
    assert complaint in str(caught.value)
    assert len(served.repository("org/name").commits) == 1


@pytest.mark.parametrize("relation", ["finetune", "adapter", "merge", "quantized"])
def test_sound_metadata_is_let_through(ann: HfApi, relation: str) -> None:
    sound = card(base_model="[org/a, gpt2]", base_model_relation=relation, language="en", license="mit")
    ann.upload_file(repo_id="org/name", path_or_fileobj=sound, path_in_repo="README.md")
    assert f"base_model:{relation}:gpt2" in (ann.model_info("org/name").tags or ())


def test_a_card_without_metadata_warns(ann: HfApi) -> None:
    with pytest.warns(UserWarning, match="empty or missing yaml metadata"):
        ann.upload_file(repo_id="org/name", path_or_fileobj=b"Text alone.\n", path_in_repo="README.md")


def test_a_broken_card_that_is_there_already(ann: HfApi, served: LoopbackHub) -> None:
    served.add_repo("org/broken", files={"README.md": "---\nlicense: [mit\n---\n"})
    assert ann.model_info("org/broken").card_data is None
