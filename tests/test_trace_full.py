"""Depth ``full`` from the question to the answer: on a real Hub, in folders, and where something is gone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from hub_lineage import fuller
from hub_lineage.crawl import crawl
from hub_lineage.errors import LineageError, NotFound, Unreadable
from hub_lineage.family import gather
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.gathering import read_again, read_model
from hub_lineage.hub import Hub, LocalSource, open_source, parse_reference
from hub_lineage.judge import Judgement, judge
from hub_lineage.registry import Registry
from hub_lineage.sampling import FULL_SCHEME, SCHEME
from hub_lineage.testing import LoopbackHub, write_model
from hub_lineage.trace import trace
from hub_lineage.types import Fingerprint, Model, Reference, Sample, Trace
from hub_lineage.verdict import decide
from tests.simulated import tree

SHAPES = {"a.weight": (160, 128), "b.weight": (200, 160), "c.weight": (40, 24, 3, 3), "d.weight": (200, 200)}
"""A hundred thousand weights: too many for a sample, few enough to be read whole."""
NAMES = ["parent", "child", "sibling", "grandchild", "stranger"]
PARENTS = [-1, 0, 0, 1, -1]
STEPS = [1.0, 0.3, 0.5, 0.4, 1.0]
Weights = dict[str, NDArray[np.float32]]


def grown(seed: int = 3) -> dict[str, Weights]:
    models = tree(PARENTS, STEPS, seed, list(SHAPES.values()))
    stored = [{key: tensor.astype(np.float32) for key, tensor in zip(SHAPES, model, strict=True)} for model in models]
    return {name: weights | {"norm": np.ones(160, np.float32)} for name, weights in zip(NAMES, stored, strict=True)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for place, (name, weights) in enumerate(grown().items()):
        write_model(folder / name, weights, shards=1 + place % 2)
    return folder


@pytest.fixture
def served(loopback_hub: LoopbackHub, root: Path) -> LoopbackHub:
    for name in NAMES:
        loopback_hub.add_repo(f"org/{name}", folder=root / name)
    return loopback_hub


OTHERS = [f"org/{name}" for name in NAMES if name != "grandchild"]
CHILD = "org/grandchild"


def read_whole(folder: Path, name: str) -> Fingerprint:
    """All weights of a model from its whole files, in the order in which a fingerprint has them: an oracle."""
    quick = read_fingerprint(LocalSource(Reference(str(folder / name), local=True)))
    tensors = {key: tensor for file in (folder / name).glob("*.safetensors") for key, tensor in load_file(file).items()}
    samples = tuple(Sample(s.shape, "F32", tensors[s.label].tobytes(), s.label) for s in quick.samples)
    return replace(quick, scheme=FULL_SCHEME, samples=samples)


def odds(found: Trace) -> dict[str, float]:
    return {Path(one.id).name: one.probability for one in found.candidates}


def test_the_odds_are_those_of_kin_whose_files_were_read_whole(served: LoopbackHub, hub: Hub, root: Path) -> None:
    found = trace(CHILD, among=OTHERS, hub=hub, depth="full")
    kin = ["grandchild", "child", "parent", "sibling"]
    oracle = judge(gather([read_whole(root, name) for name in kin]))
    assert oracle.kin.all()
    for k, name in enumerate(kin[1:], 1):
        assert odds(found)[name] == pytest.approx(oracle.parent[0, k], abs=1e-6)
    assert found.verdict.none_probability == pytest.approx(oracle.none[0], abs=1e-6)
    assert odds(found)["stranger"] == 0.0
    tensors = {sample.label: np.prod(sample.shape) for sample in read_whole(root, "child").samples}
    for one in found.candidates[:3]:
        assert {layer["tensor"]: layer["samples"] for layer in one.layers} == tensors, "all of every tensor was compared"
    quick = trace(CHILD, among=OTHERS, hub=hub)
    stranger, before = (next(one for one in which.candidates if one.id == "org/stranger") for which in (found, quick))
    assert replace(stranger, rank=0) == replace(before, rank=0), "nobody read the stranger again"
    assert quick.candidates[0].layers[0]["samples"] < found.candidates[0].layers[0]["samples"]


def test_every_byte_and_request_is_counted_and_each_repository_once(served: LoopbackHub, hub: Hub) -> None:
    quick, full = (trace(CHILD, among=OTHERS, hub=hub, depth=depth).cost for depth in ("quick", "full"))
    again = []
    for name in NAMES[:4]:
        source = hub.open(Reference(f"org/{name}"))
        read_fingerprint(source, full=True)
        again.append(source.cost())
    assert full.bytes_read - quick.bytes_read == sum(cost.bytes_read for cost in again)
    assert full.requests - quick.requests == sum(cost.requests for cost in again)
    assert full.bytes_total == quick.bytes_total
    weights = sum(4 * int(np.prod(shape)) for shape in SHAPES.values())
    assert full.bytes_read - quick.bytes_read > 4 * weights
    served.forget()
    counted = trace(CHILD, among=OTHERS, hub=hub, depth="full").cost
    assert counted.requests == len(served.requests)


def test_a_folder_is_read_as_the_hub_is(served: LoopbackHub, hub: Hub, root: Path) -> None:
    on_hub = trace(CHILD, among=OTHERS, hub=hub, depth="full")
    local = trace(str(root / "grandchild"), among=[str(root / name) for name in NAMES], depth="full")
    assert odds(local) == pytest.approx(odds(on_hub), abs=1e-6)
    assert [one.kinship for one in local.candidates] == [one.kinship for one in on_hub.candidates]


def small(folder: Path) -> list[str]:
    models = tree(PARENTS, STEPS, 3, [(60, 50), (80, 60), (30, 24, 3, 3)])
    for name, model in zip(NAMES, models, strict=True):
        write_model(folder / name, {f"w.{i}.weight": tensor.astype(np.float32) for i, tensor in enumerate(model)})
    return [str(folder / name) for name in NAMES]


def without_cost(found: Trace) -> dict[str, Any]:
    return replace(found, cost=replace(found.cost, seconds=0.0)).to_dict()


def test_what_the_sample_holds_whole_is_not_read_twice(loopback_hub: LoopbackHub, hub: Hub, tmp_path: Path) -> None:
    for name, folder in zip(NAMES, small(tmp_path), strict=True):
        loopback_hub.add_repo(f"org/{name}", folder=Path(folder))
    quick = trace(CHILD, among=OTHERS, hub=hub)
    asked = len(loopback_hub.requests)
    full = trace(CHILD, among=OTHERS, hub=hub, depth="full")
    assert len(loopback_hub.requests) == 2 * asked
    assert without_cost(full) == without_cost(quick)


def test_who_has_no_kin_and_no_disguise_is_answered_as_before(served: LoopbackHub, hub: Hub) -> None:
    quick, full = (trace("org/stranger", among=[CHILD, *OTHERS], hub=hub, depth=depth) for depth in ("quick", "full"))
    assert full.verdict.kind == "independent"
    assert replace(full, cost=quick.cost) == quick
    assert full.cost.bytes_total == quick.cost.bytes_total
    assert trace(CHILD, among=[], hub=hub, depth="full").verdict.kind == "unknown"


def test_what_the_sample_did_not_see_is_seen(root: Path, tmp_path: Path) -> None:
    """Two models that differ only where a sample of 64 runs does not look are no copies of one another."""
    quick = read_fingerprint(LocalSource(Reference(str(root / "child"), local=True)))
    kept = {sample.label: np.frombuffer(sample.raw, np.float32) for sample in quick.samples}
    weights = grown()["child"]
    random = np.random.default_rng(0)
    for label, sampled in kept.items():
        flat = weights[label].reshape(-1)
        unseen = ~np.isin(flat, sampled)
        assert unseen.any()
        flat[unseen] += np.float32(0.1) * random.standard_normal(unseen.sum(), dtype=np.float32)
    write_model(tmp_path / "subtle", weights)
    names = [str(root / name) for name in ("child", "parent", "sibling")]
    before, after = (trace(str(tmp_path / "subtle"), among=names, depth=depth) for depth in ("quick", "full"))
    first, second = (next(one for one in found.candidates if one.id == names[0]) for found in (before, after))
    assert "to the bit" in before.verdict.summary
    assert "to the bit" not in after.verdict.summary
    assert (first.kinship, first.evidence[0].value) == ("duplicate", 1.0)
    assert second.kinship not in {"duplicate", "unrelated"}
    assert 0.9 < second.evidence[0].value < 1.0


def test_only_so_many_are_read_again_and_the_others_keep_their_odds(
    served: LoopbackHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = trace(CHILD, among=OTHERS, hub=hub)
    nearest = sorted(quick.candidates[:3], key=lambda one: -one.evidence[0].value)
    monkeypatch.setattr(fuller, "MOST", 2)
    served.forget()
    full = trace(CHILD, among=OTHERS, hub=hub, depth="full")
    again = {record.path.partition("/revision/")[0] for record in served.requests if "/revision/" in record.path}
    assert again == {f"/api/models/{name}" for name in (CHILD, nearest[0].id, nearest[1].id)}
    left = nearest[2].id.removeprefix("org/")
    assert odds(full)[left] == odds(quick)[left]
    assert sum(odds(full).values()) + full.verdict.none_probability == pytest.approx(1.0, abs=1e-6)
    kept, before = (next(one for one in found.candidates if one.id == nearest[2].id) for found in (full, quick))
    assert kept.evidence == before.evidence


def test_a_registry_s_models_are_read_again_at_the_commit_that_it_knows(
    served: LoopbackHub, hub: Hub, place: Path, root: Path
) -> None:
    with Registry.open(place, write=True) as registry:
        crawl(registry, hub=hub, ids=OTHERS)
    quick = trace(CHILD, registry=place, hub=hub, budget=0)
    named = trace(CHILD, among=OTHERS, hub=hub, depth="full")
    served.repository("org/child").commit({"model-00001-of-00002.safetensors": b"other bytes"}, title="changed since")
    served.forget()
    found = trace(CHILD, registry=place, hub=hub, budget=0, depth="full")
    known = {one.id: one.revision for one in quick.candidates}
    paths = [record.path for record in served.requests]
    assert f"/api/models/org/child/revision/{known['org/child']}" in paths
    assert odds(found) == pytest.approx(odds(named), abs=1e-6)
    sizes = {name: sum(file.stat().st_size for file in (root / name).iterdir()) for name in NAMES}
    assert found.cost.bytes_total - quick.cost.bytes_total == sum(sizes[name] for name in ("child", "parent", "sibling"))
    with Registry.open(place) as registry:
        stored = [registry.get(name, revision) for name, revision in known.items()]
    assert {model.fingerprint.scheme for model in stored if model} == {SCHEME}


def test_what_is_gone_from_the_hub_keeps_the_odds_of_its_fingerprint(served: LoopbackHub, hub: Hub, place: Path) -> None:
    with Registry.open(place, write=True) as registry:
        crawl(registry, hub=hub, ids=OTHERS)
    quick = trace(CHILD, registry=place, hub=hub, budget=0)
    served.remove("org/child")
    told: list[str] = []
    full = trace(CHILD, registry=place, hub=hub, budget=0, depth="full", progress=lambda step, *_: told.append(step))
    assert odds(full)["child"] == odds(quick)["child"] > 0
    assert [step for step in told if "org/child" in step and "again" in step]
    assert sum(odds(full).values()) + full.verdict.none_probability == pytest.approx(1.0, abs=1e-6)
    for name in ("parent", "sibling"):
        served.remove(f"org/{name}")
    alone = trace(CHILD, registry=place, hub=hub, budget=0, depth="full")
    assert alone.verdict.kind == quick.verdict.kind
    assert odds(alone) == pytest.approx(odds(quick))


def test_a_child_that_is_gone_is_an_error_and_a_folder_that_changed_is_left_out(tmp_path: Path, root: Path) -> None:
    for name in ("child", "parent", "sibling"):
        shutil.copytree(root / name, tmp_path / name)
    models = [read_model(open_source(parse_reference(str(tmp_path / name)))) for name in ("child", "parent", "sibling")]
    for file in (tmp_path / "parent").iterdir():
        file.unlink()
    (tmp_path / "parent" / "model.safetensors").write_bytes(save({"it": np.ones((30, 40), np.float32)}))
    told: list[str] = []
    read, costs = read_again(models, set(), None, lambda step, *_: told.append(step))
    assert [model.id for model in read] == [models[0].id, models[2].id]
    assert len(costs) == 2
    assert all(cost.bytes_total for cost in costs)
    assert any("has changed" in step for step in told)
    with pytest.raises(Unreadable, match="changed"):
        read_again([models[1], models[0]], set(), None, lambda *_: None)
    shutil.rmtree(tmp_path / "child")
    with pytest.raises(NotFound) as caught:
        read_again(models, set(), None, lambda *_: None)
    assert isinstance(caught.value, LineageError)


def test_progress_is_told_a_model_at_a_time(root: Path) -> None:
    told: list[tuple[str, int, int]] = []
    child, names = str(root / "grandchild"), [str(root / name) for name in NAMES]
    trace(child, among=names, depth="full", progress=lambda *step: told.append(step))
    assert [(done, total) for step, done, total in told if step == "Reading more weights"] == [(k, 4) for k in range(5)]
    assert told[-1][0].startswith("Judging")


def test_soft_evidence_is_counted_at_full_too(root: Path, loopback_hub: LoopbackHub, hub: Hub) -> None:
    for day, name in enumerate(NAMES):
        loopback_hub.add_repo(f"org/{name}", folder=root / name, created_at=f"2024-01-0{1 + day}T00:00:00Z")
    plain = trace(CHILD, among=OTHERS, hub=hub, depth="full")
    dated = trace(CHILD, among=OTHERS, hub=hub, depth="full", counted=["dates"])
    by_name = {one.id: one for one in dated.candidates}
    for one in plain.candidates[:3]:
        sources = {line.source: line.value for line in by_name[one.id].evidence}
        assert sources["dates"] > 1.0
        assert sources["weights_alone"] == pytest.approx(one.probability, abs=1e-4)
        assert by_name[one.id].probability >= one.probability


def test_what_would_settle_a_tie_names_the_depth_where_it_would_read_more(root: Path, tmp_path: Path) -> None:
    def settled(models: list[Model]) -> str:
        count = len(models)
        odds, related = np.full((count, count), 0.3), np.ones((count, count), dtype=bool)
        np.fill_diagonal(odds, 0.0)
        tied = Judgement(odds, 1.0 - odds.sum(axis=1), related, np.eye(count, dtype=bool), {"cosine": odds}, 0.6)
        found = decide(tied, 0, [model.id for model in models], [None] * count, known=models)
        assert found.kind == "one_of"
        return found.settle or ""

    large, few = (
        [read_model(open_source(parse_reference(name))) for name in names[:4]] for names in (paths(root), small(tmp_path))
    )
    assert "a reading of more weights (--depth full)" in settled(large)
    assert "--depth" not in settled(few), "all their weights were read"
    read, _ = read_again(large, set(), None, lambda *_: None)
    assert "--depth" not in settled([read[0], *large[1:]])


def paths(root: Path) -> list[str]:
    return [str(root / name) for name in NAMES]
