"""Every format read over HTTP from a loopback Hub: the same as from a folder, and at which cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import save_file

from hub_lineage.errors import NoWeights
from hub_lineage.fingerprint import digest, encode, read_fingerprint
from hub_lineage.hub import Hub, LocalSource, parse_reference
from hub_lineage.testing import LoopbackHub
from hub_lineage.trace import trace
from hub_lineage.types import Fingerprint, Reference
from tests.read.every_format import FORMATS, PLAIN, network, sharded, written
from tests.stacks import VISION, headed, stack, tuned


def local(folder: Path) -> Fingerprint:
    return read_fingerprint(LocalSource(Reference(str(folder), local=True)))


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_served_is_the_model_on_disk(form: str, loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    folder = written(tmp_path / "it", form)
    loopback_hub.add_repo("org/it", folder=folder)
    source = hub.open(parse_reference("org/it"))
    assert encode(read_fingerprint(source)) == encode(local(folder))
    assert source.cost().requests <= 12
    if form in PLAIN:
        assert digest(local(folder)) == digest(local(written(tmp_path / "plain", "safetensors")))


@pytest.mark.parametrize("form", PLAIN)
def test_a_copy_in_another_format_is_traced_to_its_source(form: str, loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    for name, seed in (("source", 0), ("stranger", 7)):
        loopback_hub.add_repo(f"org/{name}", folder=written(tmp_path / name, "safetensors", seed))
    loopback_hub.add_repo("org/copy", folder=written(tmp_path / "copy", form))
    found = trace("org/copy", among=["org/stranger", "org/source"], hub=hub)
    assert (found.candidates[0].id, found.candidates[0].kinship) == ("org/source", "duplicate")


def test_of_several_formats_safetensors_are_read(loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    folder = written(tmp_path / "it", "safetensors")
    for form in ("torch zip", "GGUF Q8_0", "ONNX"):
        FORMATS[form](folder, 5)
    sharded(folder, 6)
    loopback_hub.add_repo("org/it", folder=folder)
    loopback_hub.forget()
    assert digest(read_fingerprint(hub.open(parse_reference("org/it")))) == digest(
        local(written(tmp_path / "one", "safetensors"))
    )
    assert not [one.path for one in loopback_hub.requests if one.path.endswith((".bin", ".gguf", ".onnx"))]


@pytest.mark.parametrize(
    ("path", "word"), [("tf_model.h5", "TensorFlow or Keras (.h5)"), ("flax_model.msgpack", "Flax (.msgpack)")]
)
def test_what_is_not_read_is_declined_in_words(loopback_hub: LoopbackHub, hub: Hub, path: str, word: str) -> None:
    loopback_hub.add_repo("org/it", files={path: b"\0" * 100, "config.json": "{}"})
    with pytest.raises(NoWeights) as raised:
        trace("org/it", hub=hub, among=["org/it"])
    assert word in raised.value.hint
    assert "look for a safetensors version" in raised.value.hint
    assert not [one.path for one in loopback_hub.requests if one.path.endswith(path)], "and nothing of it is read"


def diffusers(folder: Path, denoiser: dict[str, Any], encoder: dict[str, Any]) -> Path:
    """A pipeline as diffusers saves it: an index, and a folder for each component."""
    parts = {"unet": "diffusion_pytorch_model", "text_encoder": "model", "vae": "diffusion_pytorch_model"}
    weights = {"unet": denoiser, "text_encoder": encoder, "vae": headed(stack(30, range(2), VISION), 30)}
    for name, file in parts.items():
        (folder / name).mkdir(parents=True)
        save_file(weights[name], folder / name / f"{file}.safetensors")
        (folder / name / "config.json").write_text("{}")
    index = {"_class_name": "StableDiffusionPipeline"} | {name: ["diffusers", "Part"] for name in parts}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def sentences(folder: Path, transformer: dict[str, Any]) -> Path:
    """A model of sentence-transformers with its transformer at the top and a dense layer in a folder."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "2_Dense").mkdir()
    save_file(transformer, folder / "model.safetensors")
    torch.save({"linear.weight": torch.zeros(32, 64)}, folder / "2_Dense" / "pytorch_model.bin")
    modules = [{"idx": 0, "name": "0", "path": ""}, {"idx": 1, "name": "1", "path": "1_Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text("{}")
    return folder


def test_folders_of_several_components_are_their_model_s(loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    unet, encoder = network(0), network(1)
    folders = {
        "pipeline": diffusers(tmp_path / "pipeline", unet, encoder),
        "sentences": sentences(tmp_path / "sentences", encoder),
    }
    for name, folder in folders.items():
        loopback_hub.add_repo(f"org/{name}", folder=folder)
    read = {name: read_fingerprint(hub.open(parse_reference(f"org/{name}"))) for name in folders}
    assert digest(read["pipeline"]) == digest(local(written(tmp_path / "unet", "safetensors", 0)))
    assert digest(read["sentences"]) == digest(local(written(tmp_path / "encoder", "safetensors", 1)))


def test_a_trunk_out_of_a_pipeline_s_denoiser_is_its_component(loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    whole = stack(3, range(12))
    loopback_hub.add_repo("org/pipeline", folder=diffusers(tmp_path / "pipeline", whole, network(1)))
    for name, seed in (("trunk", 3), ("stranger", 4)):
        (tmp_path / name).mkdir()
        save_file(tuned(stack(seed, range(0, 12, 2)), 0.3), tmp_path / name / "model.safetensors")
        loopback_hub.add_repo(f"org/{name}", folder=tmp_path / name)
    found = trace("org/trunk", among=["org/pipeline", "org/stranger"], hub=hub)
    kinships = {one.id: one.kinship for one in found.candidates}
    assert kinships["org/pipeline"] == "component"
    assert kinships["org/stranger"] == "unrelated"
