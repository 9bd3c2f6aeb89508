"""GGUF files of small models of transformers, as the library writes them, against what those models hold."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from hub_lineage.derivation import quantised
from hub_lineage.errors import BadWeights, NoWeights, Unreadable
from hub_lineage.fingerprint import digest, read_fingerprint, values
from hub_lineage.hub import LocalSource
from hub_lineage.read import declared, dtypes
from hub_lineage.read import gguf_files as reader
from hub_lineage.read.gguf_files.header import LONGEST_HEADER
from hub_lineage.read.gguf_files.kinds import KINDS
from hub_lineage.read.index import read_index, weight_set
from hub_lineage.types import ByteRange, Model, Reference, RepoFile, Source, Tensor
from tests import gguf_models
from tests.gguf_encoders import ENCODERS
from tests.simulated import Memory

ERRORS = {"Q8_0": 0.006, "Q6_K": 0.025, "Q5_K": 0.045, "Q4_K": 0.09, "Q4_0": 0.12, "Q3_K": 0.22, "Q2_K": 0.42}
"""The root mean square error of Gaussian weights over their own, at the most."""


def local(folder: Path) -> LocalSource:
    return LocalSource(Reference(str(folder), local=True))


def part(source: Source, tensor: Tensor, first: int, last: int) -> Any:
    if tensor.packing is not None:
        raw = tensor.packing.values(first, last, source.read(tensor.packing.ranges(first, last)))
    else:
        start, stop = dtypes.byte_span(tensor.dtype, first, last)
        raw = source.read([ByteRange(tensor.path, tensor.start + start, tensor.start + stop)])[0]
    return dtypes.decode(tensor.dtype, raw)


def whole(source: Source, tensor: Tensor) -> Any:
    return part(source, tensor, 0, tensor.elements).reshape(tensor.shape)


@pytest.mark.parametrize("make", [gguf_models.llama, gguf_models.qwen2])
def test_values_and_names_are_those_of_the_model(tmp_path: Path, make: Any) -> None:
    model = make()
    gguf_models.write(model, tmp_path / "model.gguf")
    source = local(tmp_path)
    found = {tensor.name: tensor for tensor in read_index(source)}
    expected = gguf_models.state(model)
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert np.array_equal(whole(source, found[name]), weight), name


@pytest.mark.parametrize("make", [gguf_models.llama, gguf_models.qwen2])
def test_fingerprint_is_that_of_the_safetensors(tmp_path: Path, make: Any) -> None:
    model = make(num_hidden_layers=3, vocab_size=640)
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    gguf_models.write(model, tmp_path / "one" / "model.gguf")
    model.save_pretrained(tmp_path / "other")
    one, other = (read_fingerprint(local(tmp_path / folder)) for folder in ("one", "other"))
    assert digest(one) == digest(other)
    assert [sample.label for sample in one.samples] == [sample.label for sample in other.samples]
    assert [vector.raw for vector in one.vectors] == [vector.raw for vector in other.vectors]
    assert one.blocks == other.blocks
    assert one.parameters == other.parameters


@pytest.mark.parametrize("word", gguf_models.WORDS)
def test_every_type_comes_back_as_the_library_decodes_it(tmp_path: Path, word: str) -> None:
    model = gguf_models.llama()
    gguf_models.write(model, tmp_path / "model.gguf", word)
    source = local(tmp_path)
    original = gguf_models.state(model)
    by_library = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    found = {tensor.name: tensor for tensor in read_index(source)}
    for name, known in (("mlp.down_proj", "ffn_down"), ("self_attn.v_proj", "attn_v")):
        tensor = found[f"model.layers.1.{name}.weight"]
        data = by_library[f"blk.1.{known}.weight"]
        assert np.array_equal(whole(source, tensor), gguf.quants.dequantize(np.array(data.data), data.tensor_type))
        assert tensor.stop - tensor.start == data.n_bytes
        assert (tensor.packing.word if tensor.packing else tensor.dtype) == word
    for which in "qk":
        tensor = found[f"model.layers.1.self_attn.{which}_proj.weight"]
        assert tensor.packing is not None
        assert tensor.packing.word == (word if KINDS[gguf.GGMLQuantizationType[word]].bits else "rotary")
        if word in ERRORS:
            weight = original[tensor.name]
            assert np.linalg.norm(whole(source, tensor) - weight) < ERRORS[word] * np.linalg.norm(weight)


@pytest.mark.parametrize("word", ["F16", "Q8_0", "Q4_K"])
def test_samples_of_a_quantised_copy_stand_where_the_originals_do(tmp_path: Path, word: str) -> None:
    model = gguf_models.llama()
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    gguf_models.write(model, tmp_path / "one" / "model.gguf", word)
    model.save_pretrained(tmp_path / "other")
    one, other = (read_fingerprint(local(tmp_path / folder)) for folder in ("one", "other"))
    assert one.architecture == other.architecture
    for mine, theirs in zip(one.samples, other.samples, strict=True):
        assert mine.label == theirs.label
        assert np.corrcoef(values(mine), values(theirs))[0, 1] > 0.99
        assert mine.packed == word or (word == "F16" and mine.packed in {"", "rotary"})


def test_the_source_of_a_quantised_copy_is_told_from_its_sibling(tmp_path: Path) -> None:
    parent = gguf_models.llama()
    sibling = gguf_models.llama()
    generator = np.random.default_rng(1)
    for parameter in sibling.parameters():
        noise = generator.standard_normal(tuple(parameter.shape)).astype(np.float32)
        parameter.data += 1e-4 * torch.from_numpy(noise)
    known = []
    for name, model in (("parent", parent), ("sibling", sibling), ("stranger", gguf_models.llama(5))):
        model.save_pretrained(tmp_path / name)
        known.append(Model(name, None, read_fingerprint(local(tmp_path / name))))
    (tmp_path / "child").mkdir()
    gguf_models.write(parent, tmp_path / "child" / "model-Q4_K_M.gguf", "Q4_K")
    derivation = quantised.explain(Model("child", None, read_fingerprint(local(tmp_path / "child"))), known)
    assert derivation is not None
    assert derivation.method == "Q4_K"
    assert derivation.parents[0].id == "parent"


def test_types_are_those_of_the_library() -> None:
    for number, kind in KINDS.items():
        assert gguf.GGMLQuantizationType(number).name == kind.word
        assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(number)] == (kind.values, kind.size)
        if kind.bits:
            assert kind.bits <= -(-8 * kind.size // kind.values) < kind.bits + 2
            assert len(kind.decode(bytes(kind.size * 3))) == 4 * 3 * kind.values
    assert set(ENCODERS) <= {kind.word for kind in KINDS.values()}


def test_a_split_file_is_one_model(tmp_path: Path) -> None:
    model = gguf_models.llama()
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    gguf_models.write(model, tmp_path / "one" / "model.gguf", "Q8_0")
    gguf_models.write(model, tmp_path / "other" / "model.gguf", "Q8_0", split_max_tensors=7)
    shards = sorted(path.name for path in (tmp_path / "other").iterdir())
    assert shards[0] == "model-00001-of-00004.gguf"
    one, other = (read_fingerprint(local(tmp_path / folder)) for folder in ("one", "other"))
    assert digest(one) == digest(other)
    (tmp_path / "other" / shards[2]).unlink()
    with pytest.raises(BadWeights, match="Shard 3 of 4 is missing"):
        read_fingerprint(local(tmp_path / "other"))


def test_the_largest_complete_set_is_taken() -> None:
    files = [
        RepoFile("model-Q4_K_M.gguf", 400),
        RepoFile("Q8_0/model-Q8_0.gguf", 800),
        RepoFile("BF16/model-BF16-00001-of-00002.gguf", 900),
        RepoFile("BF16/model-BF16-00002-of-00002.gguf", 700),
        RepoFile("F32/model-F32-00001-of-00003.gguf", 5_000),
        RepoFile("mmproj-model-f32.gguf", 9_000),
        RepoFile("adapters/a_LoRA_f32.gguf", 9_000),
        RepoFile("model.imatrix.gguf", 9_000),
        RepoFile("README.md", 10),
    ]
    chosen = reader.weight_set(files)
    assert chosen is not None
    assert [file.path for file in chosen.files] == [files[2].path, files[3].path]
    assert reader.weight_set(files[-1:]) is None
    beside = reader.weight_set([files[5]])  # where there is nothing else
    assert beside is not None
    assert beside.files == (files[5],)
    floral = reader.weight_set([RepoFile("Floral-7B.gguf", 10), files[0]])
    assert floral is not None
    assert floral.stem == "model-Q4_K_M"
    with pytest.raises(BadWeights, match="missing"):
        reader.weight_set([files[4]])


def test_safetensors_come_first() -> None:
    files = [RepoFile("model.gguf", 400), RepoFile("model.safetensors", 100)]
    assert weight_set(files).files == (files[1],)


def test_a_vocabulary_is_passed_over_in_few_reads(tmp_path: Path) -> None:
    model = gguf_models.llama()
    path = tmp_path / "model.gguf"
    gguf_models.write(model, path, "Q8_0", tokens=200_000)
    source = Memory({"model.gguf": path.read_bytes()})
    chosen = reader.weight_set(source.files)
    assert chosen is not None
    found = reader.read_index(source, chosen)
    assert {tensor.name for tensor in found} == gguf_models.state(model).keys()
    head = min(tensor.start for tensor in found)
    read = sum(map(len, source.asked))
    assert head > 7_000_000
    assert len(source.asked) <= 12
    assert read < head < LONGEST_HEADER  # the scores, 800 kB, are not read


def experts(path: Path, random: np.random.Generator) -> dict[str, Any]:
    weights = {word: random.standard_normal((4, *shape)).astype(np.float32) for word, shape in
               {"gate": (64, 32), "up": (64, 32), "down": (32, 64)}.items()}  # fmt: skip
    writer = gguf.GGUFWriter(path, "qwen2moe")
    for word, weight in weights.items():
        written, kind = gguf_models.stored(weight, "Q8_0")
        writer.add_tensor(f"blk.3.ffn_{word}_exps.weight", written, raw_dtype=kind)
    gguf_models.finish(writer)
    return weights


def test_experts_are_kept_apart(tmp_path: Path) -> None:
    weights = experts(tmp_path / "model.gguf", np.random.default_rng(0))
    source = local(tmp_path)
    found = {tensor.name: tensor for tensor in read_index(source)}
    assert len(found) == 12
    for word, weight in weights.items():
        for number in range(4):
            tensor = found[f"model.layers.3.mlp.experts.{number}.{word}_proj.weight"]
            assert tensor.shape == weight.shape[1:]
            assert np.abs(whole(source, tensor) - weight[number]).max() < 0.02


def test_rows_of_an_adapter_and_of_biases_are_put_back(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a, b, bias = (random.standard_normal(shape).astype(np.float32) for shape in ((4, 64), (32, 4), (32,)))
    writer = gguf.GGUFWriter(tmp_path / "lora.gguf", "llama")
    writer.add_head_count([8, 2])  # of each block its own, where keys have no number of theirs
    writer.add_tensor("blk.1.attn_k.weight.lora_a", a)
    writer.add_tensor("blk.1.attn_k.weight.lora_b", gguf_models.permuted(b, 2))
    writer.add_tensor("blk.1.attn_k.bias", gguf_models.permuted(bias, 2))
    gguf_models.finish(writer)
    source = local(tmp_path)
    found = {tensor.name: whole(source, tensor) for tensor in read_index(source)}
    name = "model.layers.1.self_attn.k_proj"
    assert np.array_equal(found[f"{name}.lora_A.weight"], a)
    assert np.array_equal(found[f"{name}.lora_B.weight"], b)
    assert np.array_equal(found[f"{name}.bias"], bias)


def test_an_encoder_has_the_names_of_bert(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "bert")
    words = {
        "blk.0.attn_q.weight": "encoder.layer.0.attention.self.query.weight",
        "blk.0.attn_output.bias": "encoder.layer.0.attention.output.dense.bias",
        "blk.0.ffn_up.weight": "encoder.layer.0.intermediate.dense.weight",
        "blk.0.layer_output_norm.weight": "encoder.layer.0.output.LayerNorm.weight",
        "token_embd.weight": "embeddings.word_embeddings.weight",
    }
    for name in words:
        writer.add_tensor(name, np.ones((8, 16), np.float32))
    gguf_models.finish(writer)
    assert {tensor.name for tensor in read_index(local(tmp_path))} == set(words.values())


def test_a_larger_alignment_is_kept(tmp_path: Path) -> None:
    weights = {f"blk.{i}.ffn_up.weight": np.full((3, 5), i, np.float32) for i in range(3)}
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_custom_alignment(256)
    for name, weight in weights.items():
        writer.add_tensor(name, weight)
    gguf_models.finish(writer)
    source = local(tmp_path)
    found = read_index(source)
    assert [tensor.start % 256 for tensor in found] == [0, 0, 0]
    assert [float(whole(source, tensor)[2, 4]) for tensor in found] == [0, 1, 2]


def test_unknown_types_are_left_out_and_refused_where_nothing_is_left(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    kind = gguf.GGMLQuantizationType.Q8_K
    writer.add_tensor("blk.0.ffn_up.weight", np.zeros((4, 292), np.uint8), raw_dtype=kind)
    writer.add_tensor("blk.0.ffn_norm.weight", np.ones(256, np.float32))
    gguf_models.finish(writer)
    with pytest.raises(NoWeights, match="types that aren't read"):
        read_index(local(tmp_path))
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tensor("blk.0.ffn_up.weight", np.zeros((4, 292), np.uint8), raw_dtype=kind)
    writer.add_tensor("blk.0.ffn_down.weight", np.ones((4, 4), np.float32))
    gguf_models.finish(writer)
    assert [tensor.name for tensor in read_index(local(tmp_path))] == ["model.layers.0.mlp.down_proj.weight"]


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf_models.write(gguf_models.llama(), tmp_path / "model.gguf", "Q8_0")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(Unreadable, match=r"pip install 'hub-lineage\[formats\]'"):
        read_fingerprint(local(tmp_path))


def test_what_a_file_says_of_its_origin_is_declared(tmp_path: Path) -> None:
    extra = {"general.base_model.0.repo_url": "https://huggingface.co/some-org/some-model"}
    gguf_models.write(gguf_models.llama(), tmp_path / "model.gguf", "Q8_0", extra=extra)
    assert [one.id for one in declared.of_files(local(tmp_path))] == ["some-org/some-model"]
