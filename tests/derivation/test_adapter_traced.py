"""What an adapter says of its base beside what its weights show, through a whole trace over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save

from hub_lineage.gathering import read_model
from hub_lineage.hub import Hub, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from hub_lineage.trace import trace
from tests.derivation.trained import family, network, tune, weights

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # of peft's own call

APART = ("root", "far", "near", "stranger")
TOGETHER = (*APART, "merged")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained adapter as peft saves it, and the base with it merged in beside it."""
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415 - seconds of import

    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    wrapped: Any = get_peft_model(network(family()["root"]), config)
    tune(wrapped, 58, 20, 3e-3)
    wrapped.save_pretrained(folder / "lora")
    (folder / "merged.safetensors").write_bytes(save(weights(wrapped.merge_and_unload())))
    return folder


@pytest.fixture
def served(loopback_hub: LoopbackHub, adapter: Path) -> LoopbackHub:
    for name, held in family().items():
        loopback_hub.add_repo(f"org/{name}", files={"model.safetensors": save(held)})
    loopback_hub.add_repo("org/merged", files={"model.safetensors": adapter / "merged.safetensors"})
    return loopback_hub


def declare(served: LoopbackHub, adapter: Path, base: str | None) -> None:
    config = json.loads((adapter / "lora" / "adapter_config.json").read_text()) | {"base_model_name_or_path": base}
    files: dict[str, Any] = {"adapter_config.json": json.dumps(config)}
    served.add_repo("org/lora", files={"adapter_model.safetensors": adapter / "lora" / "adapter_model.safetensors"} | files)


@pytest.mark.parametrize(
    ("base", "among", "agreement"),
    [
        ("org/root", TOGETHER, "confirmed"),
        ("Org/Root", TOGETHER, "confirmed"),
        ("org/stranger", TOGETHER, "contradicted"),
        ("org/stranger", APART, "contradicted"),
        ("org/root", APART, "unverifiable"),
        ("org/gone", APART, "unverifiable"),
        (None, TOGETHER, "undeclared"),
    ],
)
def test_a_declared_base_is_judged(
    served: LoopbackHub, hub: Hub, adapter: Path, base: str | None, among: tuple[str, ...], *, agreement: str
) -> None:
    declare(served, adapter, base)
    found = trace("org/lora", among=[f"org/{name}" for name in among], hub=hub)
    assert found.agreement == agreement
    if "merged" in among:
        assert (found.verdict.parents[0].id, found.verdict.parents[0].relation) == ("org/root", "adapter")
        assert (found.candidates[0].id, found.candidates[0].kinship) == ("org/root", "parent")
    else:
        assert found.verdict.kind == "unknown"
        assert found.verdict.parents == ()
        assert str(base) in found.verdict.summary


def test_a_registry_s_models_judge_it_as_well(served: LoopbackHub, hub: Hub, adapter: Path, place: Path) -> None:
    declare(served, adapter, "org/stranger")
    with Registry.open(place, write=True) as registry:
        registry.put([read_model(hub.open(parse_reference(f"org/{name}"))) for name in TOGETHER])
    found = trace("org/lora", registry=place, hub=hub, budget=0)
    assert (found.agreement, found.verdict.parents[0].id) == ("contradicted", "org/root")
