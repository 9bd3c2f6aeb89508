"""The whole path on files that were written, from a folder and from a Hub over HTTP."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from hub_lineage.crawl import crawl
from hub_lineage.errors import BadReference, BadWeights, NotFound, NoWeights, RegistryError, UsageError
from hub_lineage.graph import check_acyclic, to_mermaid, tree_lines
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub, write_model
from hub_lineage.trace import trace
from hub_lineage.types import SCHEMA, Agreement, Kinship, Relation, Trace, VerdictKind
from tests.simulated import SHAPES, tree

NAMES = ["parent", "child", "sibling", "grandchild", "stranger"]
PARENTS = [-1, 0, 0, 1, -1]
STEPS = [1.0, 0.3, 0.5, 0.4, 1.0]
KEYS = {
    "": {"schema", "child", "verdict", "candidates", "declared", "agreement", "graph", "cost"},
    "child": {"id", "revision", "architecture", "parameters"},
    "verdict": {"kind", "probability", "none_probability", "summary", "settle", "parents"},
    "parents": {"id", "revision", "relation", "probability", "coefficient", "interval"},
    "candidates": {"rank", "id", "revision", "probability", "family_probability", "relation", "kinship", "evidence", "layers"},
    "evidence": {"source", "value", "null", "p_value", "tensors"},
    "null": {"mean", "sd", "n", "source"},
    "declared": {"id", "relation", "where"},
    "graph": {"nodes", "edges"},
    "nodes": {"id", "revision", "kind", "license"},
    "edges": {"parent", "child", "relation", "probability", "coefficient", "declared", "detected"},
    "cost": {"seconds", "requests", "bytes_read", "bytes_total"},
}


@dataclass(frozen=True)
class Shelf:
    """A folder of models; names lead to them."""

    root: Path

    def __call__(self, name: str) -> str:
        return str(self.root / name)

    def all(self, *names: str) -> list[str]:
        return [self(name) for name in names]


def weights(models: Sequence[Any], place: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(place)
    tensors = {f"block.{i}.weight": tensor.astype(np.float32) for i, tensor in enumerate(models[place])}
    return tensors | {
        "head.weight": random.standard_normal((7, SHAPES[-1][0])).astype(np.float32),
        "norm": np.ones(9, np.float32),
    }


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    root, models = tmp_path_factory.mktemp("shelf"), tree(PARENTS, STEPS, seed=5)
    for place, name in enumerate(NAMES):
        write_model(root / name, weights(models, place), shards=1 + place % 2)
    shutil.copytree(root / "grandchild", root / "copy")
    other = {"a.weight": np.random.default_rng(0).standard_normal((30, 20)).astype(np.float32)}
    write_model(root / "other", {**other, "b.weight": other["a.weight"].T.copy()})
    (root / "empty").mkdir()
    whole = (root / "child" / "model-00001-of-00002.safetensors").read_bytes()
    for name, content in {"truncated": whole[: len(whole) // 2], "lying": b"\xff" * 8 + whole[8:]}.items():
        (root / name).mkdir()
        (root / name / "model.safetensors").write_bytes(content)
    return Shelf(root)


@pytest.fixture(scope="module")
def served(shelf: Shelf) -> Iterator[Hub]:
    with LoopbackHub() as loopback:
        for name in [*NAMES, "copy", "other", "empty", "truncated"]:
            loopback.add_repo(f"org/{name}", folder=shelf.root / name, files={"config.json": "{}"})
        with Hub(loopback.url, token=False) as hub:
            yield hub
        assert loopback.crashes == []


@pytest.fixture(scope="module")
def answer(shelf: Shelf) -> Trace:
    return trace(shelf("grandchild"), among=shelf.all(*NAMES))


def plain(found: Trace) -> dict[str, Any]:
    """An answer without what differs between a folder and a Hub: the way to a name, revisions, cost."""

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cut(inner) for key, inner in value.items() if key not in {"revision", "cost", "license", "summary"}}
        if isinstance(value, (list, tuple)):
            return [cut(inner) for inner in value]
        return os.path.basename(value) if isinstance(value, str) else value  # noqa: PTH119 - of any word

    result: dict[str, Any] = cut(found.to_dict())
    return result


def close(one: Any, other: Any) -> bool:
    """Whether two answers are the same but for the last digit of a figure."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return bool(one == pytest.approx(other, abs=2e-3)) if isinstance(one, float) else bool(one == other)


def test_kin_come_before_strangers(answer: Trace, shelf: Shelf) -> None:
    assert [candidate.rank for candidate in answer.candidates] == [1, 2, 3, 4]
    by_name = {Path(candidate.id).name: candidate for candidate in answer.candidates}
    assert set(by_name) == {"parent", "child", "sibling", "stranger"}
    stranger = by_name.pop("stranger")
    assert (stranger.kinship, stranger.probability, stranger.relation) == ("unrelated", 0.0, None)
    assert stranger.family_probability < 0.9
    for candidate in by_name.values():
        assert candidate.kinship != "unrelated"
        assert candidate.family_probability > 0.99
    assert answer.child.id == shelf("grandchild")
    assert answer.verdict.kind in {"parent", "one_of", "family"}


def test_the_answer_is_that_of_the_schema(answer: Trace) -> None:
    """Every object, wherever it stands, has exactly the keys that the schema gives it."""
    whole = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert whole["schema"] == SCHEMA == "hub-lineage/1"
    checked = set()

    def check(name: str, value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                check(name, inner)
        elif isinstance(value, dict) and name != "layers":
            assert set(value) == KEYS[name], name
            checked.add(name)
            for key, inner in value.items():
                check(key, inner)

    check("", whole)
    assert checked >= set(KEYS) - {"declared", "parents"}


def test_the_answer_uses_the_words_of_the_schema(answer: Trace) -> None:
    assert answer.verdict.kind in get_args(VerdictKind)
    assert answer.agreement in get_args(Agreement)
    for candidate in answer.candidates:
        assert candidate.kinship in get_args(Kinship)
        assert candidate.relation in (*get_args(Relation), None)
        assert (candidate.relation is None) == (candidate.kinship != "parent")
        assert any(one.null is not None and one.p_value is not None for one in candidate.evidence)
    first = answer.candidates[0]
    assert {layer["tensor"] for layer in first.layers} == {f"block.{i}.weight" for i in range(4)}


def test_odds_of_all_candidates_and_none_sum_to_one(answer: Trace) -> None:
    total = sum(candidate.probability for candidate in answer.candidates) + answer.verdict.none_probability
    assert total == pytest.approx(1.0, abs=1e-3)


def test_the_graph_is_a_lineage_and_can_be_drawn(answer: Trace, shelf: Shelf) -> None:
    check_acyclic(answer.graph)
    assert shelf("grandchild") in {node.id for node in answer.graph.nodes}
    assert shelf("stranger") not in {node.id for node in answer.graph.nodes}
    assert "flowchart" in to_mermaid(answer.graph)


def test_a_hub_over_http_gives_the_same_answer(answer: Trace, served: Hub) -> None:
    found = trace("org/grandchild", among=[f"org/{name}" for name in NAMES], hub=served)
    assert plain(found) == plain(answer)
    assert found.child.revision is not None
    assert all(candidate.revision for candidate in found.candidates)
    assert found.cost.requests > 5
    assert found.cost.bytes_read > 0
    assert answer.cost.requests == 0
    assert answer.cost.bytes_read > 0
    assert answer.cost.bytes_total > 0


def test_folders_and_a_hub_can_be_mixed(answer: Trace, shelf: Shelf, served: Hub) -> None:
    found = trace("org/grandchild", among=[*shelf.all("parent", "child", "sibling"), "org/stranger"], hub=served)
    assert found.verdict.kind == answer.verdict.kind
    assert found.candidates[0].probability == pytest.approx(answer.candidates[0].probability, abs=2e-3)


def test_the_order_of_candidates_changes_nothing(answer: Trace, shelf: Shelf) -> None:
    for order in list(permutations(["stranger", "child", "sibling", "parent"]))[::5]:
        assert plain(trace(shelf("grandchild"), among=shelf.all(*order))) == plain(answer)


def test_the_order_among_relatives_of_equal_bodies_changes_nothing(shelf: Shelf) -> None:
    one, other = (
        trace(shelf("child"), among=shelf.all(*names))
        for names in (("copy", "parent", "grandchild"), ("grandchild", "copy", "parent"))
    )
    assert plain(one) == plain(other)


def test_the_child_and_repeated_names_among_the_candidates_are_ignored(answer: Trace, shelf: Shelf) -> None:
    names = shelf.all("grandchild", "parent", "parent", "child", "sibling", "stranger", "child")
    assert plain(trace(shelf("grandchild"), among=names)) == plain(answer)


def test_the_child_on_a_hub_is_ignored_under_any_revision_that_is_it(served: Hub) -> None:
    revision = trace("org/child", among=[], hub=served).child.revision
    named = ["org/child", f"org/child@{revision}", "org/child@main", "org/parent", "org/parent@main"]
    found = trace("org/child", among=named, hub=served)
    assert [candidate.id for candidate in found.candidates] == ["org/parent"]


def test_another_revision_of_the_child_is_a_candidate_with_a_node_of_its_own(shelf: Shelf) -> None:
    with LoopbackHub() as loopback:
        repository = loopback.add_repo("org/model", folder=shelf.root / "parent")
        first = repository.at("main").oid
        tuned = {path.name: path for path in (shelf.root / "child").iterdir()}
        repository.commit(tuned, delete=tuple(path.name for path in (shelf.root / "parent").iterdir()))
        with Hub(loopback.url, token=False) as hub:
            found = trace("org/model", among=[f"org/model@{first}"], hub=hub)
            back = trace(f"org/model@{first}", among=["org/model"], hub=hub)
    assert [(c.id, c.revision) for c in found.candidates] == [("org/model", first)]
    assert found.candidates[0].kinship != "unrelated"
    assert len(back.candidates) == 1
    check_acyclic(found.graph)
    assert len(found.graph.nodes) >= 2
    assert tree_lines(found.graph, "org/model")


def test_unknown_where_architectures_differ(shelf: Shelf) -> None:
    found = trace(shelf("grandchild"), among=shelf.all("other"))
    assert (found.verdict.kind, found.verdict.none_probability) == ("unknown", 1.0)
    assert "1" in found.verdict.summary
    assert [(c.id, c.kinship, c.probability) for c in found.candidates] == [(shelf("other"), "unknown", 0.0)]
    assert [node.id for node in found.graph.nodes] == [shelf("grandchild")]
    assert found.verdict.settle
    nobody = trace(shelf("grandchild"), among=[])
    assert (nobody.verdict.kind, nobody.candidates) == ("unknown", ())


def test_independent_among_strangers(shelf: Shelf) -> None:
    found = trace(shelf("stranger"), among=shelf.all("parent", "child", "grandchild"))
    assert (found.verdict.kind, found.verdict.none_probability) == ("independent", 1.0)
    assert {candidate.kinship for candidate in found.candidates} == {"unrelated"}


def test_a_copy_of_a_file_is_a_duplicate(shelf: Shelf) -> None:
    found = trace(shelf("grandchild"), among=shelf.all("copy"))
    (candidate,) = found.candidates
    assert candidate.kinship == "duplicate" or candidate.relation == "duplicate"
    assert found.verdict.kind == "one_of"
    assert [(parent.id, parent.relation) for parent in found.verdict.parents] == [(shelf("copy"), "duplicate")]
    assert candidate.probability + found.verdict.none_probability == pytest.approx(1.0, abs=1e-3)
    check_acyclic(found.graph)


def test_among_many_copies_and_kin_nothing_breaks(shelf: Shelf, tmp_path: Path) -> None:
    copies = [str(shutil.copytree(shelf.root / "grandchild", tmp_path / f"copy{k}")) for k in range(60)]
    found = trace(shelf("grandchild"), among=[*copies, *shelf.all("child", "parent")], top=100)
    assert found.verdict.kind == "one_of"
    assert "to the bit" in found.verdict.summary
    check_acyclic(found.graph)


def test_top_limits_the_list_and_not_the_odds(answer: Trace, shelf: Shelf) -> None:
    found = trace(shelf("grandchild"), among=shelf.all(*NAMES, "other"), top=2)
    assert [c.id for c in found.candidates] == [c.id for c in answer.candidates[:2]]
    assert found.verdict == answer.verdict


def test_candidates_that_cannot_be_read_are_listed_and_spoil_nothing(answer: Trace, shelf: Shelf) -> None:
    found = trace(shelf("grandchild"), among=[*shelf.all(*NAMES), *shelf.all("truncated", "empty", "other")])
    assert found.verdict == answer.verdict
    assert found.candidates[:4] == answer.candidates
    assert {(Path(c.id).name, c.kinship) for c in found.candidates[4:]} == {
        (n, "unknown") for n in ("truncated", "empty", "other")
    }
    assert [c.rank for c in found.candidates] == list(range(1, 8))


def test_no_candidate_that_can_be_read_is_an_error(shelf: Shelf) -> None:
    with pytest.raises(BadWeights):
        trace(shelf("child"), among=shelf.all("truncated", "child"))


@pytest.mark.parametrize(
    ("child", "error"),
    [("empty", NoWeights), ("truncated", BadWeights), ("lying", BadWeights), ("missing", NotFound)],
)
def test_a_child_that_cannot_be_read_is_an_error_in_words(shelf: Shelf, child: str, error: type[NotFound]) -> None:
    with pytest.raises(error) as caught:
        trace(shelf(child), among=shelf.all("parent"))
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("child", "error"), [("org/none", NotFound), ("org/empty", NoWeights), ("org/truncated", BadWeights), ("a b", BadReference)]
)
def test_likewise_on_a_hub(served: Hub, child: str, error: type[NotFound]) -> None:
    with pytest.raises(error) as caught:
        trace(child, among=["org/parent"], hub=served)
    assert caught.value.hint


def test_a_depth_that_is_not_there_is_said(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="deep"):
        trace(shelf("child"), among=[], depth="deep")


def test_a_registry_that_is_not_there_is_said(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(RegistryError):
        trace(shelf("child"), registry=tmp_path / "none")


def test_a_registry_gives_the_same_answer_as_naming_its_models(served: Hub, tmp_path: Path) -> None:
    ids = [f"org/{name}" for name in NAMES]
    with Registry.open(tmp_path / "registry", write=True) as registry:
        crawl(registry, hub=served, ids=[*ids, "org/other"])
        found = trace("org/grandchild", registry=registry, hub=served, budget=0)
    named = trace("org/grandchild", among=ids, hub=served)
    assert close(plain(found), plain(named))
    again = trace("org/grandchild", registry=str(tmp_path / "registry"), hub=served, budget=0)
    assert plain(again) == plain(found)


@pytest.mark.parametrize(
    ("declared", "among", "agreements"),
    [
        (None, ["org/parent", "org/stranger"], {"undeclared"}),
        ("org/stranger", ["org/parent", "org/stranger"], {"contradicted", "unverifiable"}),
        ("org/nowhere", ["org/parent", "org/stranger"], {"unverifiable"}),
        ("org/copy", ["org/copy"], {"confirmed"}),
        ("org/parent", ["org/stranger", "org/parent"], {"confirmed", "unverifiable"}),
        ("org/stranger", ["org/stranger"], {"contradicted"}),
    ],
)
def test_what_is_declared_stands_beside_what_was_found(
    shelf: Shelf, declared: str | None, among: list[str], agreements: set[str]
) -> None:
    with LoopbackHub() as loopback:
        for name in ("parent", "stranger", "copy"):
            loopback.add_repo(f"org/{name}", folder=shelf.root / name)
        card = {"license": "mit", **({"base_model": declared, "base_model_relation": "finetune"} if declared else {})}
        loopback.add_repo("org/child", folder=shelf.root / "grandchild", card=card)
        with Hub(loopback.url, token=False) as hub:
            found = trace("org/child", among=among, hub=hub)
            silent = trace("org/child", among=among, hub=hub, declared=False)
    assert found.agreement in agreements
    assert [one.id for one in found.declared] == ([declared] if declared else [])
    assert (silent.declared, silent.agreement) == ((), "undeclared")
    # A declaration may be named as what would settle the answer; it never moves the answer.
    assert replace(silent.verdict, settle=found.verdict.settle) == found.verdict
    assert [edge.parent for edge in found.graph.edges if edge.declared] == ([declared] if declared else [])
    assert not any(edge.declared for edge in silent.graph.edges)
    check_acyclic(found.graph)
    assert {node.license for node in found.graph.nodes if node.id == "org/child"} == {"mit"}


def test_progress_is_told_in_order(shelf: Shelf) -> None:
    told: list[tuple[str, int, int]] = []
    trace(shelf("child"), among=shelf.all("parent", "stranger"), progress=lambda *step: told.append(step))
    assert told[0][0].startswith("Reading")
    assert [(done, total) for step, done, total in told if step == "Reading candidates"] == [(1, 2), (2, 2)]
    assert told[-1][0].startswith("Judging")
