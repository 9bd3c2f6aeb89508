"""Which weights are a folder's model, where it holds several: pipelines of diffusers, sentence-transformers, other formats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from hub_lineage.errors import BadWeights, NoWeights
from hub_lineage.fingerprint import digest, read_fingerprint
from hub_lineage.read.index import weight_set
from hub_lineage.types import RepoFile
from tests.simulated import Memory
from tests.strategies import OFTEN

PIPELINES = {
    "a large text encoder": (
        ["text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"],
        "unet/diffusion_pytorch_model",
    ),
    "a transformer": (
        ["transformer/diffusion_pytorch_model.safetensors", "text_encoder_2/model.safetensors", "vae/model.safetensors"],
        "transformer/diffusion_pytorch_model",
    ),
    "all in one file beside it": (
        ["v1-5-pruned.safetensors", "unet/diffusion_pytorch_model.safetensors"],
        "unet/diffusion_pytorch_model",
    ),
    "variants": (
        [
            "unet/diffusion_pytorch_model.non_ema.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.safetensors",
        ],
        "unet/diffusion_pytorch_model",
    ),
    "a variant alone": (
        [
            "unet/diffusion_pytorch_model.non_ema.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/model.safetensors",
        ],
        "unet/diffusion_pytorch_model.fp16",
    ),
    "an older file": (["vae/model.safetensors", "unet/diffusion_pytorch_model.bin"], "unet/diffusion_pytorch_model"),
    "a pipeline further down": (["a/vae/model.safetensors", "a/unet/model.safetensors", "a/model_index.json"], "a/unet/model"),
}


@pytest.mark.parametrize("kind", PIPELINES)
def test_a_pipeline_s_denoiser_is_its_model(kind: str) -> None:
    paths, stem = PIPELINES[kind]
    files = [RepoFile(path, 10**9 - 10**6 * place) for place, path in enumerate(paths)]
    assert weight_set([*files, RepoFile("model_index.json", 500)]).stem == stem


SETS = {
    "no pipeline": (["unet/model.safetensors", "model.safetensors"], "model"),
    "modules in folders": (["1_Dense/model.safetensors", "0_Transformer/model.safetensors"], "0_Transformer/model"),
    "a module beside older weights": (["2_Dense/model.safetensors", "pytorch_model.bin", "modules.json"], "pytorch_model"),
    "both formats": (["pytorch_model.bin", "model.safetensors"], "model"),
    "the state of training at the top": (["checkpoint-9/model.safetensors", "training_args.bin"], "checkpoint-9/model"),
    "the other way round": (["onnx/pytorch_model.bin", "sub/model.safetensors"], "sub/model"),
}


@pytest.mark.parametrize("kind", SETS)
def test_the_topmost_customary_weights_are_taken(kind: str) -> None:
    paths, stem = SETS[kind]
    assert weight_set([RepoFile(path, 1000 + place) for place, path in enumerate(paths)]).stem == stem


@given(st.permutations([*PIPELINES["a large text encoder"][0], "model_index.json", "README.md"]))
@OFTEN
def test_the_order_of_files_decides_nothing(paths: list[str]) -> None:
    assert weight_set([RepoFile(path, 1000) for path in paths]).stem == "unet/diffusion_pytorch_model"


def test_a_pipeline_s_fingerprint_is_its_denoiser_s() -> None:
    random = np.random.default_rng(0)
    unet = save({f"mid.{i}.weight": random.standard_normal((40, 30), np.float32) for i in range(4)})
    other = save({f"enc.{i}.weight": random.standard_normal((80, 60), np.float32) for i in range(9)})
    files = {"text_encoder/model.safetensors": other, "unet/diffusion_pytorch_model.safetensors": unet, "model_index.json": b"{}"}
    assert digest(read_fingerprint(Memory(files))) == digest(read_fingerprint(Memory({"model.safetensors": unet})))


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
        ("model.keras", "Keras"),
        ("saved_model.pb", "TensorFlow"),
        ("model.tflite", "TensorFlow Lite"),
        ("model.npz", "NumPy"),
    ],
)
def test_formats_that_are_not_read_are_named(path: str, word: str) -> None:
    with pytest.raises(NoWeights) as raised:
        weight_set([RepoFile(path, 1000), RepoFile("config.json", 20)])
    assert word in raised.value.hint
    assert f".{path.rpartition('.')[2]}" in raised.value.hint


def test_an_incomplete_set_matters_only_where_no_other_is_whole() -> None:
    part = RepoFile("pytorch_model-00001-of-00002.bin", 1000)
    assert weight_set([part, RepoFile("model.safetensors", 1000)]).stem == "model"
    with pytest.raises(BadWeights, match="Shard 2 of 2"):
        weight_set([part])
