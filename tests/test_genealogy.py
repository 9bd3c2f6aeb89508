"""Whole families from files that were written, in folders, on a Hub and in a registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from hub_lineage import terminal
from hub_lineage.crawl import crawl
from hub_lineage.errors import BadWeights, NotFound, UsageError
from hub_lineage.genealogy import family_of, phylogeny_of
from hub_lineage.graph import check_acyclic, pieces
from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub, write_model
from hub_lineage.trace import trace
from hub_lineage.types import SCHEMA, Kinship, Phylogeny
from tests.simulated import tree
from tests.test_trace import weights

#         0 base, 1 and 2 its children, 3 a child of 1; 4 another base, 5 its child; 6 a stranger
PARENTS = [-1, 0, 0, 1, -1, 4, -1]
NAMES = ["base", "left", "right", "deep", "other", "young", "stranger"]
FIRST, SECOND = {"base", "left", "right", "deep"}, {"other", "young"}
KEYS = {
    "": {"schema", "model", "models", "kinship", "graph", "outside", "unread", "cost"},
    "models": {
        "id",
        "revision",
        "architecture",
        "parameters",
        "family",
        "parent",
        "relation",
        "probability",
        "none_probability",
        "declared",
    },
    "kinship": {"child", "candidate", "kinship", "relation", "probability"},
    "unread": {"id", "code", "message"},
    "declared": {"id", "relation", "where"},
    "graph": {"nodes", "edges"},
    "nodes": {"id", "revision", "kind", "license"},
    "edges": {"parent", "child", "relation", "probability", "coefficient", "declared", "detected"},
    "cost": {"seconds", "requests", "bytes_read", "bytes_total"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, models = tmp_path_factory.mktemp("genealogy"), tree(PARENTS, [1.0, 0.3, 0.5, 0.4, 1.0, 0.4, 1.0], seed=8)
    for place, name in enumerate(NAMES):
        write_model(folder / name, weights(models, place))
    a = np.random.default_rng(0).standard_normal((30, 20)).astype(np.float32)
    write_model(folder / "mlp", {"a.weight": a, "b.weight": a.T.copy()})
    write_model(folder / "mlp-copy", {"a.weight": a, "b.weight": a.T.copy()})
    (folder / "broken").mkdir()
    (folder / "broken" / "model.safetensors").write_bytes(b"\xff" * 64)
    return folder


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Hub]:
    with LoopbackHub() as loopback:
        for day, name in enumerate([*NAMES, "mlp", "mlp-copy", "broken"], 1):
            card = {"base_model": "org/base"} if name in {"left", "stranger"} else None
            loopback.add_repo(f"org/{name}", folder=root / name, created_at=f"2024-01-{day:02}T00:00:00Z", card=card)
        with Hub(loopback.url, token=False) as hub:
            yield hub
        assert loopback.crashes == []


def on_hub(*names: str) -> list[str]:
    return [f"org/{name}" for name in names]


@pytest.fixture(scope="module")
def everything(served: Hub) -> Phylogeny:
    return phylogeny_of(on_hub(*NAMES, "mlp", "mlp-copy", "broken", "missing"), hub=served)


def short(name: str | None) -> str:
    return (name or "").rpartition("/")[2]


def test_every_family_has_a_graph_of_its_own_with_one_root(everything: Phylogeny) -> None:
    check_acyclic(everything.graph)
    families = [{short(n.id) for n in piece.nodes if n.kind == "model"} for piece in pieces(everything.graph)]
    assert sorted(map(sorted, families)) == sorted(map(sorted, [FIRST, SECOND, {"stranger"}, {"mlp", "mlp-copy"}]))
    for piece in pieces(everything.graph):
        assert len({node.id for node in piece.nodes} - {edge.child for edge in piece.edges}) == 1


def test_models_of_one_number_are_kin_and_who_has_none_has_no_number(everything: Phylogeny) -> None:
    numbers: dict[int | None, set[str]] = {}
    for member in everything.models:
        numbers.setdefault(member.family, set()).add(short(member.id))
    assert sorted(map(sorted, numbers.values())) == sorted(map(sorted, [FIRST, SECOND, {"stranger"}, {"mlp", "mlp-copy"}]))
    assert numbers[None] == {"stranger"}
    assert [one.family for one in everything.models] == sorted((one.family for one in everything.models), key=lambda n: n or 99)


def test_a_model_stands_below_the_parent_that_the_graph_gives_it(everything: Phylogeny) -> None:
    models = {one.id for one in everything.models}
    edges = {edge.child: edge for edge in everything.graph.edges if edge.parent in models}
    for member in everything.models:
        edge = edges.get(member.id)
        assert (member.parent, member.relation, member.probability) == (
            (edge.parent, edge.relation, edge.probability) if edge else (None, None, None)
        )
        assert 0 <= member.none_probability <= 1
    (copy,) = [edge for edge in everything.graph.edges if "mlp" in edge.parent]
    assert copy.relation == "duplicate"


def test_kinship_is_told_of_the_likeliest_candidates_and_always_of_the_parent(everything: Phylogeny) -> None:
    family = {one.id: one.family for one in everything.models}
    rows = everything.kinship
    assert all(row.kinship in get_args(Kinship) and family[row.child] == family[row.candidate] for row in rows)
    assert {short(row.child) for row in rows} == {*FIRST, *SECOND, "mlp", "mlp-copy"}
    for member in everything.models:
        mine = [row for row in rows if row.child == member.id]
        assert len(mine) <= 3
        if member.parent and member.relation != "duplicate":
            assert (mine[0].candidate, mine[0].kinship, mine[0].relation) == (member.parent, "parent", member.relation)


def test_what_cannot_be_read_is_named_with_its_reason(everything: Phylogeny) -> None:
    assert {(one.id, one.code) for one in everything.unread} == {("org/broken", "bad_weights"), ("org/missing", "not_found")}
    assert all(one.message for one in everything.unread)


def test_the_answer_is_that_of_the_schema(everything: Phylogeny) -> None:
    whole = json.loads(json.dumps(everything.to_dict(), allow_nan=False))
    assert whole["schema"] == SCHEMA
    seen = set()

    def check(name: str, value: Any) -> None:
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                assert set(inner) == KEYS[name], name
                seen.add(name)
                for key, deeper in inner.items():
                    check(key, deeper)

    check("", whole)
    assert seen == set(KEYS)


def test_a_declared_edge_is_marked_and_a_claim_alone_makes_none(everything: Phylogeny, served: Hub) -> None:
    declared = {(short(edge.parent), short(edge.child)) for edge in everything.graph.edges if edge.declared}
    assert declared <= {("base", "left")}
    assert [short(d.id) for one in everything.models if short(one.id) == "stranger" for d in one.declared] == ["base"]
    silent = phylogeny_of(on_hub(*NAMES), hub=served, declared=False)
    assert not any(one.declared for one in silent.models)
    assert not any(edge.declared for edge in silent.graph.edges)


def plain(found: Phylogeny) -> dict[str, Any]:
    whole = found.to_dict()
    del whole["cost"]
    return whole


def test_the_order_in_which_models_are_named_changes_nothing(root: Path) -> None:
    def answer(names: Sequence[str]) -> dict[str, Any]:
        return plain(phylogeny_of([str(root / name) for name in names]))

    expected = answer([*NAMES[:5], "mlp"])
    for order in list(permutations([*NAMES[:5], "mlp"]))[1::173]:
        assert answer(order) == expected
    assert answer([*NAMES[:5], "mlp", "base", "mlp"]) == expected, "named twice"


def test_a_family_is_that_of_the_phylogeny(everything: Phylogeny, served: Hub) -> None:
    found = family_of("org/deep", among=on_hub(*NAMES, "mlp"), hub=served)
    assert found.model == "org/deep"
    assert {short(one.id) for one in found.models} == FIRST
    assert {one.family for one in found.models} == {1}
    assert set(map(short, found.outside)) == {"other", "young", "stranger", "mlp"}
    assert len(pieces(found.graph)) == 1
    assert {(e.parent, e.child) for e in found.graph.edges} == {
        (e.parent, e.child) for e in everything.graph.edges if short(e.child) in FIRST
    }


def test_a_family_agrees_with_the_trace_of_its_members(served: Hub) -> None:
    found = family_of("org/deep", among=on_hub(*NAMES), hub=served)
    answer = trace("org/deep", among=on_hub(*NAMES), hub=served)
    told = {(edge.parent, edge.child, edge.probability) for edge in answer.graph.edges if ":" not in edge.parent}
    assert told <= {(edge.parent, edge.child, edge.probability) for edge in found.graph.edges}


def test_a_registry_gives_the_family_too(served: Hub, tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry", write=True) as registry:
        crawl(registry, hub=served, ids=on_hub(*NAMES, "mlp"))
        found = family_of("org/left", registry=registry, hub=served, budget=0)
    assert {short(one.id) for one in found.models} == FIRST


def test_a_family_of_one_stands_alone(served: Hub) -> None:
    found = family_of("org/stranger", among=on_hub("base", "mlp"), hub=served)
    assert [(one.id, one.family, one.parent) for one in found.models] == [("org/stranger", None, None)]
    assert (found.graph.edges, found.kinship) == ((), ())
    assert "no known relatives" in terminal.phylogeny(found)


def test_soft_evidence_moves_a_phylogeny_where_it_is_asked_for(served: Hub) -> None:
    plain_, dated = (phylogeny_of(on_hub("mlp", "mlp-copy"), hub=served, counted=c) for c in ((), ("dates",)))
    (edge,) = dated.graph.edges
    assert (edge.parent, edge.child) == ("org/mlp", "org/mlp-copy"), "the older one is the source"
    assert (edge.probability or 0) > (plain_.graph.edges[0].probability or 0)


def test_a_crowd_of_copies_is_one_root_with_its_copies(root: Path, tmp_path: Path) -> None:
    copies = [str(shutil.copytree(root / "mlp", tmp_path / f"copy{k:02}")) for k in range(40)]
    found = phylogeny_of(copies)
    check_acyclic(found.graph)
    assert not any(node.kind == "hidden" for node in found.graph.nodes)
    assert {edge.relation for edge in found.graph.edges} == {"duplicate"}
    assert len(pieces(found.graph)) == 1


def test_hidden_ancestors_of_several_architectures_are_told_apart(tmp_path: Path) -> None:
    names = []
    for number, shapes in enumerate((((30, 20), (40, 30), (24, 40)), ((20, 36), (36, 28), (28, 44)))):
        for place, model in enumerate(tree([-1, 0, 0, 0], [1.0, 0.6, 0.6, 0.6], seed=number, shapes=shapes)[1:]):
            names.append(str(tmp_path / f"m{number}{place}"))
            write_model(Path(names[-1]), {f"{i}.weight": tensor.astype(np.float32) for i, tensor in enumerate(model)})
    found = phylogeny_of(names)
    check_acyclic(found.graph)
    assert len({one.architecture for one in found.models}) == 2
    assert {one.family for one in found.models} == {1, 2}
    hidden = [node.id for node in found.graph.nodes if node.kind == "hidden"]
    assert hidden
    assert hidden == [f"hidden:{number}" for number in range(1, len(hidden) + 1)]


def test_what_cannot_be_done_is_said(root: Path, served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="No model is named"):
        phylogeny_of([])
    with pytest.raises(BadWeights):
        phylogeny_of([str(root / "broken")])
    with pytest.raises(NotFound):
        family_of("org/none", among=[], hub=served)
    with pytest.raises(UsageError, match="left out"):
        phylogeny_of(on_hub("base"), hub=served, declared=False, counted=("declared",))
    with pytest.raises(UsageError, match="'names'"):
        family_of("org/base", hub=served, counted=("names",))
    monkeypatch.setattr("hub_lineage.genealogy.MOST_TOGETHER", 2)
    with pytest.raises(UsageError, match="too many"):
        phylogeny_of([str(root / name) for name in NAMES])


def test_one_model_is_a_phylogeny(root: Path) -> None:
    found = phylogeny_of([str(root / "base")])
    assert [one.family for one in found.models] == [None]
    assert terminal.phylogeny(found).startswith("1 model: 0 families and 1 model without kin here.")


def test_progress_is_told(root: Path) -> None:
    told: list[str] = []
    phylogeny_of([str(root / "base"), str(root / "left")], progress=lambda step, _done, _total: told.append(step))
    assert told[-1].startswith("Judging")
    assert "Reading candidates" in told


def test_the_text_shows_every_model_under_its_architecture(everything: Phylogeny) -> None:
    text = terminal.phylogeny(everything, bold=lambda words: f"**{words}**")
    assert text.startswith("**9 models: 3 families and 1 model without kin here, of 2 architectures.**")
    assert text.count("**Architecture ") == 2
    for member in everything.models:
        assert sum(line.split("  [")[0].endswith(member.id) for line in text.splitlines()) == 1, member.id
    assert "Could not be read: org/missing." in text
    assert all(c.isprintable() or c == "\n" for c in text)
