"""Sources of another architecture, found on a Hub with nothing known: of a cut depth, of a lifted tower, of an adapter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import save

from hub_lineage.gathering import read_model
from hub_lineage.hub import Hub, open_source, parse_reference
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub, write_model
from hub_lineage.trace import trace
from hub_lineage.types import Candidate, Trace
from tests.stacks import LANGUAGE, VISION, Weights, adapter, headed, stack, tuned

DEEP = headed(stack(0, range(12)), 0)
CUT = headed(tuned(stack(0, range(0, 12, 2)), 0.3), 1)


def serve(loopback: LoopbackHub, name: str, weights: Weights, kind: str = "", file: str = "model", **more: str) -> None:
    config = {"config.json": json.dumps({"model_type": kind})} if kind else {}
    loopback.add_repo(name, files={f"{file}.safetensors": save(weights), **config, **more}, card={"license": "mit"})


def only(found: Trace, kinship: str) -> Candidate:
    (candidate,) = [one for one in found.candidates if one.kinship == kinship]
    return candidate


def strangers(loopback: LoopbackHub, kind: str) -> None:
    for seed, depth in ((5, 12), (6, 12), (7, 9), (8, 6)):
        serve(loopback, f"x/other-{seed}", headed(stack(seed, range(depth)), seed), kind)


def test_the_source_of_a_cut_depth_is_found_from_nothing(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    strangers(loopback_hub, "llama")
    serve(loopback_hub, "a/deep", DEEP, "llama")
    serve(loopback_hub, "me/cut", CUT, "llama")
    found = trace("me/cut", registry=place, hub=hub)
    source = only(found, "component")
    assert (source.id, source.rank, source.probability, source.relation) == ("a/deep", 1, 0.0, None)
    assert source.family_probability > 0.999
    (evidence,) = source.evidence
    assert evidence.source == "parts"
    assert evidence.null is not None
    assert evidence.value == pytest.approx(0.958, abs=0.02)
    assert evidence.value > evidence.null.mean + 20 * evidence.null.sd
    assert found.verdict.kind == "family"
    assert (found.verdict.none_probability, found.verdict.parents) == (1.0, ())
    assert "All 6 of its blocks hold weights of a/deep, which has 12 such blocks" in found.verdict.summary
    assert [one.id for one in found.candidates if one.kinship == "unrelated"] == ["x/other-8"]
    assert sum(one.probability for one in found.candidates) + found.verdict.none_probability == pytest.approx(1.0)


def test_a_known_source_is_found_in_the_registry_alone(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    strangers(loopback_hub, "llama")
    serve(loopback_hub, "a/deep", DEEP, "llama")
    serve(loopback_hub, "me/cut", CUT)
    with Registry.open(place, write=True) as registry:
        registry.put([read_model(source) for source in map(hub.open, map(parse_reference, ("a/deep", "x/other-5", "x/other-8")))])
    found = trace("me/cut", registry=place, hub=hub, budget=0)
    assert only(found, "component").id == "a/deep"
    assert {one.id for one in found.candidates} == {"a/deep", "x/other-8"}, "what shares nothing is not listed"


def test_a_network_made_deeper_finds_what_it_was_made_of(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve(loopback_hub, "a/shallow", headed(stack(0, range(8)), 0), "llama")
    serve(loopback_hub, "me/upscaled", headed(tuned(stack(0, [*range(6), *range(2, 8)]), 0.05), 2), "llama")
    found = trace("me/upscaled", registry=place, hub=hub)
    assert only(found, "component").id == "a/shallow"
    assert "of its blocks hold weights of a/shallow, which has 8 such blocks" in found.verdict.summary


def multimodal() -> Weights:
    language = stack(3, range(10), LANGUAGE, "language_model.model.layers")
    vision = tuned(stack(4, range(8), VISION, "vision_tower.vision_model.encoder.layers"), 0.1)
    return headed(language | vision, 3)


def test_the_model_that_a_tower_was_lifted_from_is_found_by_name(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve(loopback_hub, "b/seer-chat", multimodal(), "seer")
    serve(loopback_hub, "b/other", stack(9, range(8), VISION, "blocks"), "vit")
    serve(loopback_hub, "me/seer-tower", stack(4, range(8), VISION, "blocks"), "vit")
    found = trace("me/seer-tower", registry=place, hub=hub)
    assert only(found, "component").id == "b/seer-chat"
    assert "hold weights of b/seer-chat" in found.verdict.summary


def test_the_model_that_a_tower_was_lifted_from_is_found_by_its_card(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    serve(loopback_hub, "b/seer-chat", multimodal(), "seer")
    card = "---\nlicense: mit\n---\nThe eyes of [this](https://huggingface.co/b/seer-chat). See https://huggingface.co/docs/x."
    serve(loopback_hub, "me/eyes", stack(4, range(8), VISION, "blocks"), "vit", **{"README.md": card})
    found = trace("me/eyes", registry=place, hub=hub)
    assert only(found, "component").id == "b/seer-chat"
    assert found.declared == (), "a link is no declaration"
    assert trace("me/eyes", registry=place / "2", hub=hub, declared=False).candidates == ()


@pytest.mark.parametrize("targets", [("q_proj", "v_proj"), ("_proj",), ("gate_proj",)])
def test_the_base_of_an_adapter_is_found_by_the_shapes_that_it_changes(
    loopback_hub: LoopbackHub, hub: Hub, place: Path, targets: tuple[str, ...]
) -> None:
    serve(loopback_hub, "a/net-base", DEEP, "llama")
    serve(loopback_hub, "a/net-deeper", headed(stack(1, range(16)), 1), "llama")
    serve(loopback_hub, "a/net-shallow", headed(stack(1, range(6)), 1), "llama")
    serve(loopback_hub, "a/net-vision", stack(2, range(12), VISION), "vit")
    serve(loopback_hub, "a/net-lora", adapter(DEEP, targets), file="adapter_model")
    before = len(loopback_hub.requests)
    found = trace("a/net-lora", registry=place, hub=hub)
    assert [(one.id, one.kinship, one.evidence[0].source) for one in found.candidates] == [
        ("a/net-base", "unknown", "shapes"),
        ("a/net-deeper", "unknown", "shapes"),
    ]
    assert found.verdict.kind == "unknown"
    assert "could belong to a/net-base and 1 more" in found.verdict.summary
    sampled = [record for record in loopback_hub.requests[before:] if "net-base" in record.path and "safetensors" in record.path]
    assert len(sampled) <= 3, "its headers are enough"


def test_the_base_of_an_adapter_is_found_in_the_registry(place: Path, tmp_path: Path) -> None:
    made = {"base": DEEP, "vision": stack(2, range(12), VISION)}
    folders = {name: write_model(tmp_path / name, weights) for name, weights in made.items()}
    lora = tmp_path / "lora"
    lora.mkdir()
    (lora / "adapter_model.safetensors").write_bytes(save(adapter(DEEP, ["q_proj", "o_proj"])))
    with Registry.open(place, write=True) as registry:
        registry.put([read_model(open_source(parse_reference(str(folder)))) for folder in folders.values()])
    found = trace(str(lora), registry=place)
    assert [one.id for one in found.candidates] == [str(folders["base"])]
    named = trace(str(lora), among=[str(folder) for folder in folders.values()])
    assert [(one.id, bool(one.evidence)) for one in named.candidates] == [
        (str(folders["base"]), True),
        (str(folders["vision"]), False),
    ]
    assert named.verdict.summary == found.verdict.summary


def test_named_candidates_are_compared_by_their_parts_and_all_listed(tmp_path: Path) -> None:
    made = {"deep": DEEP, "cut": CUT, "stranger": headed(stack(9, range(12)), 9), "twin": tuned(CUT, 0.1)}
    folders = {name: str(write_model(tmp_path / name, weights)) for name, weights in made.items()}
    found = trace(folders["cut"], among=[folders["deep"], folders["stranger"], folders["twin"]])
    kinships = {one.id: one.kinship for one in found.candidates}
    assert kinships[folders["deep"]] == "component"
    assert kinships[folders["stranger"]] == "unknown"
    assert kinships[folders["twin"]] not in {"component", "unknown", "unrelated"}
    assert [one.rank for one in found.candidates] == [1, 2, 3]
    assert found.candidates[1].id == folders["deep"]


def test_large_sources_leave_half_of_the_budget_to_others(loopback_hub: LoopbackHub, hub: Hub, place: Path) -> None:
    """With a small budget none is sampled that would take more than half of what is left."""
    for seed in range(6):
        serve(loopback_hub, f"a/deep-{seed}", headed(stack(seed, range(12)), seed), "llama")
    serve(loopback_hub, "me/cut", CUT, "llama")
    for budget in (10, 20, 60):
        alone = trace("me/cut", among=[], hub=hub).cost.requests
        assert trace("me/cut", registry=place / str(budget), hub=hub, budget=budget).cost.requests - alone <= budget
