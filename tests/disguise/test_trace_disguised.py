"""Disguised children from files to the answer: traced to their parents at depth full, in folders and from a registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from benchmarks.derivatives.disguised import DISGUISES, Subject
from hub_lineage.crawl import crawl
from hub_lineage.gathering import read_model
from hub_lineage.hub import Hub, LocalSource
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from hub_lineage.trace import trace
from hub_lineage.types import Reference, Trace
from hub_lineage.unmasked import MOST_KIN, MOST_PROBED, Agenda, unread
from tests.disguise.nets import Trained, family

NETS = ("mlp-a", "cnn_bn-a", "vit-a", "llama-a", "gpt2")
OTHERS = ("parent", "sibling", "stranger")


def write(folder: Path, held: Mapping[str, NDArray[Any]]) -> str:
    folder.mkdir(parents=True)
    save_file({name: np.ascontiguousarray(value) for name, value in held.items()}, folder / "model.safetensors")
    return str(folder)


def dressed(trained: Trained, name: str, words: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    held = dict(trained.held[name])
    for place, word in enumerate(words):
        subject = Subject(held, trained.heads, rectified=trained.rectified, seed=place)
        DISGUISES[word](subject)
        held = subject.weights
    return held


def asked(folder: Path, net: str, held: Mapping[str, NDArray[Any]], depth: Any = "full") -> Trace:
    among = [write(folder / name, family(net).held[name]) for name in OTHERS]
    return trace(write(folder / "asked", held), among=among, depth=depth)


def names(found: Trace) -> list[str]:
    return [Path(one.id).name for one in found.candidates]


@pytest.mark.parametrize("net", NETS)
def test_a_child_in_all_disguises_is_traced_to_its_parent(net: str, tmp_path: Path) -> None:
    found = asked(tmp_path, net, dressed(family(net), "child", ("all",)))
    first = found.candidates[0]
    assert names(found)[0] == "parent"
    assert first.family_probability > 0.99
    (line,) = [each for each in first.evidence if each.source.startswith("alignment")]
    assert all(word in line.source for word in ("permuted", "transposed", "renamed"))
    assert line.null is not None
    assert line.p_value is not None
    assert line.value > line.null.mean + 5 * line.null.sd
    assert line.p_value < 1e-4
    assert "in disguise" in found.verdict.summary
    assert "its units stand in another order" in found.verdict.summary
    stranger = found.candidates[names(found).index("stranger")]
    assert (stranger.kinship, stranger.probability) == ("unrelated", 0.0)
    assert sum(one.probability for one in found.candidates) + found.verdict.none_probability == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("net", NETS)
def test_a_copy_in_disguise_is_a_duplicate(net: str, tmp_path: Path) -> None:
    words = ("neurons", "heads", "within heads", "stream", "rescaled", "folded", "fused", "transposed", "noisy", "renamed")
    found = asked(tmp_path, net, dressed(family(net), "parent", words))
    assert names(found)[0] == "parent"
    assert found.candidates[0].kinship == "duplicate"


def test_at_depth_quick_the_same_child_is_nobody_s(tmp_path: Path) -> None:
    found = asked(tmp_path, "llama-a", dressed(family("llama-a"), "child", ("all",)), "quick")
    assert found.verdict.kind in {"independent", "unknown"}


@pytest.mark.parametrize("name", ["child", "stranger"])
def test_what_wears_no_disguise_is_judged_as_ever(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    others = ["parent", "sibling"]
    among = [write(folder / other, family("cnn_bn-a").held[other]) for other in others]
    held = write(folder / "asked", family("cnn_bn-a").held[name])
    quick, full = (trace(held, among=among, depth=depth) for depth in ("quick", "full"))
    assert full.verdict == quick.verdict
    assert full.candidates == quick.candidates


def test_a_disguised_stranger_is_related_to_nobody(tmp_path: Path) -> None:
    trained = family("llama-a")
    among = [write(tmp_path / name, trained.held[name]) for name in ("parent", "child", "sibling")]
    found = trace(write(tmp_path / "asked", dressed(trained, "stranger", ("neurons", "stream"))), among=among, depth="full")
    assert found.verdict.kind == "independent"
    assert not found.verdict.parents


def test_from_a_hub_through_a_registry(loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    trained = family("llama-a")
    for name in OTHERS:
        write(tmp_path / name, trained.held[name])
        loopback_hub.add_repo(f"org/{name}", folder=tmp_path / name)
    with Registry.open(tmp_path / "registry", write=True) as registry:
        crawl(registry, hub=hub, ids=[f"org/{name}" for name in OTHERS])
    child = write(tmp_path / "asked", dressed(trained, "child", ("neurons", "stream", "rescaled")))
    loopback_hub.add_repo("org/asked", folder=Path(child))
    found = trace("org/asked", registry=tmp_path / "registry", hub=hub, depth="full", budget=0)
    assert found.candidates[0].id == "org/parent"
    assert found.cost.requests > 0


def test_of_very_many_models_one_of_each_family_is_read_first(tmp_path: Path) -> None:
    trained = family("mlp-a")
    random = np.random.default_rng(0)
    models = []
    for number in range(60):
        held = {n: random.standard_normal(v.shape).astype(np.float32) for n, v in trained.held["parent"].items()}
        models.append(read_model(LocalSource(Reference(write(tmp_path / f"{number}", held), local=True))))
    kin = [write(tmp_path / name, trained.held[name]) for name in ("parent", "sibling", "child")]
    models += [read_model(LocalSource(Reference(place, local=True))) for place in kin]
    agenda = Agenda(models)
    assert [Path(model.id).name for model in agenda.families[0]] == ["parent", "sibling", "child"]
    probed = agenda.probes()
    assert len(probed) == MOST_PROBED
    assert len({model.id for model in probed}) == MOST_PROBED
    more = unread(agenda.relatives(probed[:1]), probed, MOST_KIN)
    assert [Path(model.id).name for model in more] == ["sibling", "child"]
    assert len(more) <= MOST_KIN
