"""Models that no honest training makes, through all of it: a right answer or an honest one, never a crash or a warning."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from hub_lineage.cli import main
from hub_lineage.errors import NoWeights
from hub_lineage.evidence.soft import SOURCES as SOFT
from hub_lineage.family import gather
from hub_lineage.fingerprint import is_blank, is_broken
from hub_lineage.genealogy import family_of, phylogeny_of
from hub_lineage.graph import check_acyclic
from hub_lineage.judge import judge
from hub_lineage.terminal import render
from hub_lineage.testing import write_model
from hub_lineage.trace import trace
from hub_lineage.types import Candidate, Evidence, Kinship, Trace, VerdictKind
from hub_lineage.weighing import weigh
from tests.simulated import SHAPES, fingerprint_of, model_of, tree
from tests.stacks import headed, stack
from tests.test_trace import Shelf

Weights = dict[str, NDArray[Any]]
GROWN = tree([-1, 0, 0, -1, 1], [1.0, 0.3, 0.3, 1.0, 0.3], seed=11)
BASE, CHILD, SIBLING, STRANGER, GRANDCHILD = (
    {f"block.{i}.weight": tensor.astype(np.float32) for i, tensor in enumerate(model)} for model in GROWN
)
HONEST = {"base": BASE, "child": CHILD, "sibling": SIBLING, "stranger": STRANGER}
ALL = 10_000


def filled(value: float) -> Weights:
    return {name: np.full_like(tensor, value) for name, tensor in BASE.items()}


def holed(value: float, share: float) -> Weights:
    """The child with a share of its values replaced."""
    random = np.random.default_rng(3)
    return {name: np.where(random.random(t.shape) < share, np.float32(value), t) for name, t in CHILD.items()}


def scaled(factor: float) -> Weights:
    return {name: (tensor * factor).astype(np.float32) for name, tensor in CHILD.items()}


BROKEN = {
    f"{word}, {how}": holed(value, share)
    for word, value in {"no number": np.nan, "infinite": np.inf, "minus infinite": -np.inf}.items()
    for how, share in {"a few": 0.01, "half": 0.5}.items()
}
BLANK = {
    "no number at all": filled(np.nan),
    "infinite throughout": filled(np.inf),
    "zero": filled(0.0),
    "one": filled(1.0),
    "beyond any weight": filled(3e38),
    "each tensor another constant": {name: np.full_like(t, k) for k, (name, t) in enumerate(BASE.items())},
}
ODD = {
    "a few beyond any weight": holed(3e38, 0.01),
    "a dead tensor": {**CHILD, "block.1.weight": np.zeros_like(CHILD["block.1.weight"])},
    "tiny": scaled(1e-38),
    "large": scaled(1e6),
    "negative": scaled(-1.0),
    "one value that differs": {name: np.where(np.arange(t.size).reshape(t.shape) == 5, t, 0) for name, t in CHILD.items()},
    "a stranger with one layer of the child's": {**STRANGER, "block.3.weight": CHILD["block.3.weight"]},
}
COPIES: dict[str, Weights] = {
    "with tensors of no size": {**CHILD, "none.weight": np.zeros((0, 24), np.float32), "none.bias": np.zeros(0, np.float32)},
    "with scalars": {**CHILD, "temperature": np.array(0.07, np.float32), "steps": np.array([12], np.int64)},
    "in half precision": {name: tensor.astype(np.float16) for name, tensor in CHILD.items()},
    "in brain precision": {name: tensor.astype(ml_dtypes.bfloat16) for name, tensor in CHILD.items()},
}
CASTS = ["in half precision", "in brain precision"]
"""Of the copies those that hold fewer digits than what they are copies of."""
ELSEWHERE = {
    "one tensor": {"weight": CHILD["block.3.weight"]},
    "four values": {"weight": np.array([[1, 2], [3, 4]], np.float32)},
    "one layer of the child's": {"a.weight": CHILD["block.3.weight"], "b.weight": STRANGER["block.2.weight"]},
}
NOTHING: dict[str, Weights] = {
    "no size": {"weight": np.zeros((0, 24), np.float32)},
    "scalars alone": {"a": np.array(3, np.float32), "b": np.ones(1, np.float32)},
    "vectors alone": {"a": np.ones(64, np.float32)},
    "whole numbers": {"weight": np.ones((30, 20), np.int8)},
}
READABLE: dict[str, Weights] = {**BROKEN, **BLANK, **ODD, **COPIES, **ELSEWHERE}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    root = tmp_path_factory.mktemp("odd")
    everything: dict[str, Weights] = {**HONEST, "grandchild": GRANDCHILD, **READABLE, **NOTHING}
    for name, weights in everything.items():
        write_model(root / name, weights)
    return Shelf(root)


def checked(found: Trace) -> dict[str, Candidate]:
    """The candidates of an answer in which all are listed, by the names of their folders, once all that must hold does."""
    json.dumps(found.to_dict(), allow_nan=False)
    check_acyclic(found.graph)
    assert render(found).strip()
    verdict, rows = found.verdict, {Path(row.id).name: row for row in found.candidates}
    assert verdict.kind in get_args(VerdictKind)
    assert 0 <= verdict.probability <= 1
    total = sum(row.probability for row in found.candidates) + verdict.none_probability
    assert total == pytest.approx(1.0, abs=1e-6) or verdict.kind == "merge"  # each parent of a merge has its own odds
    for row in rows.values():
        assert row.kinship in get_args(Kinship)
        assert 0 <= row.probability <= 1
        assert 0 <= row.family_probability <= 1
        assert (row.relation is not None) == (row.kinship == "parent")
        for one in row.evidence:
            stands_beside_its_null(one)
    is_true(found, rows)
    return rows


def stands_beside_its_null(one: Evidence) -> None:
    assert np.isfinite(one.value)
    if one.source not in (*SOFT, "weights_alone", "shapes"):
        assert one.null is not None
        assert one.null.n >= 3
        assert np.isfinite(one.null.mean)
        assert 0 <= one.null.sd < np.inf
        assert "this shape" in one.null.source or "turned channels" in one.null.source
        assert one.p_value is None or 0 <= one.p_value <= 1


def is_true(found: Trace, rows: Mapping[str, Candidate]) -> None:
    """What the sentence says is what the figures say, and an answer that is open says what would settle it."""
    verdict, said = found.verdict, found.verdict.summary
    assert said[0].isupper()
    assert said[-1] == "."
    assert {parent.id for parent in verdict.parents} <= {row.id for row in found.candidates}
    compared = [row for row in rows.values() if row.kinship != "unknown"]
    if verdict.kind == "parent":
        assert len(verdict.parents) == 1
        assert verdict.parents[0].id in said
        assert verdict.parents[0].probability >= 0.5
        assert ("Probably" in said) == (verdict.settle is not None)
    elif verdict.kind == "merge":
        assert len(verdict.parents) > 1
    else:
        assert verdict.settle
    if verdict.kind in {"unknown", "independent"}:
        assert verdict.none_probability == 1.0
        assert {row.kinship for row in compared} <= {"unrelated"}
    if verdict.kind == "one_of":
        assert (len(verdict.parents) > 1) or verdict.parents[0].relation == "duplicate"
    if "probably not among them" in said or "probably not its parent" in said:
        assert verdict.none_probability >= 0.5
    if "to the bit" in said:
        assert {parent.relation for parent in verdict.parents} == {"duplicate"}


def asked(shelf: Shelf, child: str, *among: str) -> tuple[Trace, dict[str, Candidate]]:
    found = trace(shelf(child), among=shelf.all(*among), top=ALL)
    rows = checked(found)
    assert set(rows) == set(among) - {child}
    return found, rows


@pytest.mark.parametrize("name", READABLE)
def test_a_child_without_honest_weights_gets_an_answer(shelf: Shelf, name: str) -> None:
    asked(shelf, name, *HONEST)


@pytest.mark.parametrize("name", READABLE)
def test_one_candidate_without_honest_weights_gets_an_answer(shelf: Shelf, name: str) -> None:
    asked(shelf, "grandchild", name)


def test_all_of_them_together_get_an_answer_and_so_does_each_family(shelf: Shelf) -> None:
    names = [*HONEST, *READABLE, *NOTHING]
    _, rows = asked(shelf, "grandchild", *names)
    assert {name for name, row in rows.items() if row.kinship == "unknown"} >= {*ELSEWHERE, *NOTHING}
    found = phylogeny_of(shelf.all(*names))
    json.dumps(found.to_dict(), allow_nan=False)
    check_acyclic(found.graph)
    assert {Path(one.id).name for one in found.models} == {*HONEST, *READABLE}
    assert {Path(one.id).name: one.code for one in found.unread} == dict.fromkeys(NOTHING, "no_weights")
    alone = {Path(one.id).name for one in found.models if one.family is None}
    assert alone >= {*BLANK}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_number_neither_hides_kin_nor_makes_any(shelf: Shelf, name: str) -> None:
    _, rows = asked(shelf, name, *HONEST)
    assert {kin for kin, row in rows.items() if row.kinship != "unrelated"} == {"base", "child", "sibling"}
    assert rows["child"].family_probability > 0.99


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("beside", [(), ("base", "sibling", "stranger")])
def test_nobody_comes_from_weights_that_are_no_numbers(shelf: Shelf, name: str, beside: Sequence[str]) -> None:
    found, rows = asked(shelf, "child", name, *beside)
    assert rows[name].probability == 0
    assert rows[name].kinship not in {"parent", "ancestor", "unrelated"}
    assert shelf(name) not in {parent.id for parent in found.verdict.parents}


def test_what_is_trained_from_broken_weights_may_be_broken_and_a_copy_may_be_mended() -> None:
    hole = [np.where(np.arange(t.size).reshape(t.shape) % 9, t, np.nan) for t in GROWN[0]]
    worse = [np.where(np.isnan(t), t, t + 0.2 * s) for t, s in zip(hole, GROWN[3], strict=True)]
    mended = [np.nan_to_num(t) for t in hole]
    models = [model_of(name, t) for name, t in {"worse": worse, "hole": hole, "mended": mended}.items()]
    by_values = judge(gather([model.fingerprint for model in models]))
    weighed = weigh(models).judgement
    assert weighed.parent[0, 1] == by_values.parent[0, 1] > 0
    assert weighed.clone[2, 1]
    assert weighed.parent[2, 1] > 0
    assert weighed.parent[2, 0] == 0 < by_values.parent[2, 0]
    np.testing.assert_allclose(weighed.parent.sum(axis=1) + weighed.none, 1.0)


@pytest.mark.parametrize("name", BLANK)
def test_weights_without_variation_can_be_compared_with_nothing(shelf: Shelf, name: str) -> None:
    found, rows = asked(shelf, name, *HONEST, *BLANK)
    assert found.verdict.kind == "unknown"
    assert "can't be compared" in found.verdict.summary
    assert {row.probability for row in rows.values()} == {0.0}
    other, _ = asked(shelf, "child", *BLANK)
    assert other.verdict.kind == "unknown"
    assert "Nothing to compare with" in other.verdict.summary
    assert found.agreement == other.agreement == "undeclared"


@pytest.mark.parametrize("name", BLANK)
def test_weights_without_variation_are_nobody_s_kin_and_not_counted(shelf: Shelf, name: str) -> None:
    found, rows = asked(shelf, "stranger", name, "base", "child")
    assert found.verdict.kind == "independent"
    assert "any of the 2 models" in found.verdict.summary
    assert rows[name].kinship in {"unrelated", "unknown"}
    _, rows = asked(shelf, "child", name, "base", "sibling")
    assert rows[name].kinship in {"unrelated", "unknown"}
    assert rows[name].family_probability < 0.95
    assert rows["base"].kinship != "unrelated"


@pytest.mark.parametrize("name", [name for name in COPIES if name not in CASTS])
def test_what_is_no_weight_makes_no_other_body(shelf: Shelf, name: str) -> None:
    found, rows = asked(shelf, name, *HONEST)
    assert found.verdict.kind == "one_of"
    assert [(Path(parent.id).name, parent.relation) for parent in found.verdict.parents] == [("child", "duplicate")]
    assert rows["base"].probability > 0, "the copy may have come from what the other came from"


@pytest.mark.parametrize("name", CASTS)
def test_a_copy_with_fewer_digits_came_from_what_has_them(shelf: Shelf, name: str) -> None:
    found, rows = asked(shelf, name, *HONEST)
    assert found.verdict.kind == "parent"
    assert [(Path(parent.id).name, parent.relation) for parent in found.verdict.parents] == [("child", "quantized")]
    assert rows["child"].kinship == "parent"
    assert not rows["base"].probability
    back, _ = asked(shelf, "child", "base", name)
    assert back.verdict.kind == "one_of", "by its digits the finer one can't be the copy, and weights say no more of it"


@pytest.mark.parametrize("name", NOTHING)
def test_what_holds_no_weight_is_an_error_with_a_hint_and_spoils_no_other_answer(shelf: Shelf, name: str) -> None:
    for child, among in ((name, shelf.all("base")), ("child", shelf.all(name))):
        with pytest.raises(NoWeights) as caught:
            trace(shelf(child), among=among)
        assert caught.value.hint
    found, rows = asked(shelf, "child", name, "base", "sibling")
    assert rows[name].kinship == "unknown"
    plain, _ = asked(shelf, "child", "base", "sibling")
    assert found.verdict == plain.verdict


@pytest.mark.parametrize("candidate", ["base", "stranger", "grandchild", "in half precision"])
def test_one_candidate_is_enough(shelf: Shelf, candidate: str) -> None:
    found, rows = asked(shelf, "child", candidate)
    assert (rows[candidate].kinship == "unrelated") == (found.verdict.kind == "independent") == (candidate == "stranger")
    assert family_of(shelf("child"), among=shelf.all(candidate)).outside == (
        (shelf("stranger"),) if candidate == "stranger" else ()
    )


def test_no_candidate_but_the_child_itself_is_none(shelf: Shelf) -> None:
    found, rows = asked(shelf, "child", "child")
    assert (found.verdict.kind, rows) == ("unknown", {})
    assert family_of(shelf("child"), among=shelf.all("child")).kinship == ()


SMALL = ((12, 12), (9, 12), (12, 9))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, list[str]]:
    """A parent of small weights with a child, a stranger, and a thousand copies of the parent."""
    root = tmp_path_factory.mktemp("crowd")
    for name, model in zip(("parent", "child", "stranger"), tree([-1, 0, -1], [1.0, 0.3, 1.0], 4, SMALL), strict=True):
        write_model(root / name, {f"{k}.weight": tensor.astype(np.float32) for k, tensor in enumerate(model)})
    names = [f"copy{k}" for k in range(1000)]
    for name in names:
        (root / name).mkdir()
        (root / name / "model.safetensors").hardlink_to(root / "parent" / "model.safetensors")
    return Shelf(root), names


@pytest.mark.parametrize("child", ["parent", "child", "stranger"])
def test_a_thousand_copies_of_one_model_are_one_candidate(crowd: tuple[Shelf, list[str]], child: str) -> None:
    shelf, copies = crowd
    found = trace(shelf(child), among=shelf.all(*copies), top=ALL)
    rows = checked(found)
    once = trace(shelf(child), among=shelf.all("copy0"), top=ALL)
    assert found.verdict.none_probability == pytest.approx(once.verdict.none_probability, abs=0.01)
    assert len({round(row.probability, 6) for row in rows.values()}) == 1
    expected = {"parent": {"one_of"}, "child": {"one_of", "family"}, "stranger": {"independent"}}[child]
    assert found.verdict.kind in expected
    if child == "child":
        assert (found.verdict.kind == "one_of") == (found.verdict.none_probability <= 0.5)


def test_candidates_of_many_architectures_are_judged_within_each(tmp_path: Path) -> None:
    names = []
    for number in range(12):
        shapes = ((16 + number, 30), (30, 16 + number), (24 + number, 30))
        for place, model in enumerate(tree([-1, 0], [1.0, 0.3], number, shapes)):
            names.append(f"{number}-{place}")
            write_model(tmp_path / names[-1], {f"{k}.weight": tensor.astype(np.float32) for k, tensor in enumerate(model)})
    shelf = Shelf(tmp_path)
    found, rows = asked(shelf, "5-1", *names)
    assert {name for name, row in rows.items() if row.kinship != "unknown"} == {"5-0"}
    assert found.verdict.kind in {"parent", "family"}
    assert found.verdict.none_probability + rows["5-0"].probability == pytest.approx(1.0)
    families: dict[str, set[int | None]] = {}
    for one in phylogeny_of(shelf.all(*names)).models:
        families.setdefault(one.architecture, set()).add(one.family)
    assert sorted(map(list, families.values())) == [[number] for number in range(1, 13)]


def test_one_layer_of_another_model_is_shown_and_makes_no_parent(shelf: Shelf) -> None:
    name = "a stranger with one layer of the child's"
    for child, candidate in (("child", name), (name, "child")):
        found, rows = asked(shelf, child, candidate)
        assert (found.verdict.kind, rows[candidate].kinship, rows[candidate].probability) == ("family", "component", 0.0)
        assert "Holds some tensors of" in found.verdict.summary
        layers = {layer["tensor"]: layer["correlation"] for layer in rows[candidate].layers}
        assert layers.pop("block.3.weight") == 1.0
        assert max(map(abs, layers.values())) < 0.3


def test_one_layer_shared_across_architectures_is_nothing_that_can_be_told_and_blocks_are(shelf: Shelf, tmp_path: Path) -> None:
    found, rows = asked(shelf, "child", "one layer of the child's", "one tensor")
    assert found.verdict.kind == "unknown"
    assert {row.kinship for row in rows.values()} == {"unknown"}
    shared = stack(0, [4]) | stack(2, range(3), prefix="more.layers")
    for place, weights in {"whole": headed(stack(0, range(6)), 0), "mixed": shared}.items():
        write_model(tmp_path / place, weights)
    found = trace(str(tmp_path / "mixed"), among=[str(tmp_path / "whole")])
    rows = checked(found)
    assert rows["whole"].kinship == "component"
    assert found.verdict.kind == "family"
    assert rows["whole"].probability == 0
    assert "At least 1 of the 4" in found.verdict.summary


@pytest.mark.parametrize("name", ["base", *READABLE, *NOTHING])
def test_the_command_line_prints_an_answer_or_an_error_in_words(
    shelf: Shelf, name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_LINEAGE_REGISTRY", str(tmp_path / "none"))
    status = main(["trace", shelf(name), "--json", "--among", *shelf.all("base", "child", "stranger", "scalars alone")])
    printed = capsys.readouterr()
    whole = json.loads(printed.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert status == (5 if name in NOTHING else 0)
    assert not any(word in printed.err for word in ("Traceback", "Warning", "nan"))
    if name in NOTHING:
        assert set(whole["error"]) == {"code", "message", "hint"}
    else:
        total = sum(row["probability"] for row in whole["candidates"]) + whole["verdict"]["none_probability"]
        assert total == pytest.approx(1.0, abs=1e-6) or whole["verdict"]["kind"] == "merge"
        assert whole["verdict"]["kind"] in get_args(VerdictKind)


def test_the_command_line_draws_the_families_of_all_of_them(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phylogeny", "--json", "--among", *shelf.all(*HONEST, *READABLE, *NOTHING)]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert {one["code"] for one in whole["unread"]} == {"no_weights"}
    assert len(whole["models"]) == len(HONEST) + len(READABLE)


def test_blank_and_broken_are_told_from_sound_weights() -> None:
    sound = fingerprint_of(GROWN[0])
    assert not is_blank(sound)
    assert not is_broken(sound)
    assert is_blank(fingerprint_of([np.full(shape, np.nan) for shape in SHAPES]))
    assert not is_blank(fingerprint_of([np.zeros(SHAPES[0]), *GROWN[0][1:]]))
    assert is_broken(fingerprint_of([np.full(SHAPES[0], np.inf), *GROWN[0][1:]]))
    assert not is_broken(fingerprint_of([np.full(SHAPES[0], 1e30), *GROWN[0][1:]]))
