"""Hybrids: each tensor back to its own model, among siblings; what is none is not called one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from hub_lineage.derivation import hybrid
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.types import Model
from tests.simulated import Memory
from tests.stacks import Weights, fingerprint, headed, stack, tuned

DEPTH = 4
ROOT = headed(stack(1, range(DEPTH)), 1)
STRANGER = headed(stack(2, range(DEPTH)), 2)
NETWORKS = {
    "root": ROOT,
    "left": tuned(ROOT, 0.2, seed=1),
    "right": tuned(ROOT, 0.2, seed=2),
    "stranger": STRANGER,
    "stranger-on": tuned(STRANGER, 0.1, seed=3),
}
LABELS = [name for name in ROOT if "layers" in name]


def model(name: str, weights: Weights) -> Model:
    return Model(name, None, fingerprint(weights))


KNOWN = [model(name, weights) for name, weights in NETWORKS.items()]


def put(owners: dict[str, str]) -> Weights:
    return {name: NETWORKS[owners.get(name, "root")][name] for name in ROOT}


def trunk_and_neck(trunk: str, neck: str) -> dict[str, str]:
    return {name: neck if ".layers.3." in name else trunk for name in LABELS}


def test_a_trunk_and_a_neck_are_told() -> None:
    owners = trunk_and_neck("left", "stranger")
    found = hybrid.explain(model("child", put(owners)), KNOWN)
    assert found is not None
    assert (found.method, found.relation) == ("hybrid", "merge")
    assert [parent.id for parent in found.parents] == ["left", "stranger"]
    assert {layer.tensor: layer.origins for layer in found.layers} == {name: ((owners[name], 1.0),) for name in LABELS}
    assert found.unexplained == 0
    assert found.probability > 0.99
    assert found.null is not None
    assert found.null.mean > 1.5
    assert found.summary.startswith("Put together from 2 models: 21 tensors of left (")
    assert "; 7 tensors of stranger (" in found.summary


def test_parents_that_are_kin_are_less_sure() -> None:
    found = hybrid.explain(model("child", put(trunk_and_neck("left", "right"))), KNOWN)
    assert found is not None
    assert {parent.id for parent in found.parents} == {"left", "right"}
    assert found.probability == 0.9


@settings(max_examples=15, deadline=None)
@given(
    owners=st.fixed_dictionaries({name: st.sampled_from(sorted(NETWORKS)) for name in LABELS}), step=st.sampled_from([0.0, 0.03])
)
def test_each_tensor_goes_back_to_its_own(owners: dict[str, str], step: float) -> None:
    rows = hybrid.layers(model("child", tuned(put(owners), step)), KNOWN)
    assert {row.tensor: row.origins for row in rows} == {name: ((owners[name], 1.0),) for name in LABELS}
    assert all(row.unexplained == 0 if step == 0 else row.unexplained < 2 * step**2 for row in rows)


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param(tuned(ROOT, 0.1, seed=9), id="fine-tune"),
        pytest.param(ROOT, id="copy"),
        pytest.param(headed(stack(7, range(DEPTH)), 7), id="stranger"),
        pytest.param({**ROOT, **{n: v for n, v in tuned(ROOT, 0.1).items() if ".layers.3." in n}}, id="frozen trunk"),
        pytest.param(tuned(put(trunk_and_neck("left", "stranger")), 0.1, seed=4), id="a hybrid tuned on"),
        pytest.param({name: 0.6 * ROOT[name] + 0.4 * STRANGER[name] for name in ROOT}, id="linear merge"),
    ],
)
def test_what_is_none_is_not_called_a_hybrid(weights: Weights) -> None:
    assert hybrid.explain(model("child", weights), KNOWN) is None


def test_what_comes_from_nobody_has_no_origin() -> None:
    weights = ROOT | {name: value for name, value in headed(stack(7, range(DEPTH)), 7).items() if ".layers.0." in name}
    rows = hybrid.layers(model("child", weights), KNOWN)
    for row in rows:
        expected = (() if ".layers.0." in row.tensor else (("root", 1.0),), 1.0 if ".layers.0." in row.tensor else 0.0)
        assert (row.origins, row.unexplained) == expected


def test_rounding_is_no_difference() -> None:
    rounded = {name: value.astype(np.float16) for name, value in put(trunk_and_neck("left", "stranger")).items()}
    child = Model("child", None, read_fingerprint(Memory({"model.safetensors": save(rounded)})))
    found = hybrid.explain(child, KNOWN)
    assert found is not None
    assert {parent.id for parent in found.parents} == {"left", "stranger"}


def test_renamed_tensors_are_told_by_their_likeness() -> None:
    renamed = {name.replace("model.layers", "blocks"): value for name, value in put(trunk_and_neck("left", "stranger")).items()}
    found = hybrid.explain(model("child", renamed), KNOWN)
    assert found is not None
    assert {parent.id for parent in found.parents} == {"left", "stranger"}


def test_the_order_of_the_candidates_decides_nothing() -> None:
    child = model("child", put(trunk_and_neck("left", "right")))
    assert hybrid.explain(child, KNOWN) == hybrid.explain(child, KNOWN[::-1])


def test_a_vocabulary_of_another_size_is_said() -> None:
    body = {name: value for name, value in ROOT.items() if "layers" in name}
    child = model("child", headed(body, 5, vocabulary=340))
    said = "The body is that of root; its vocabulary, head or tables hold 3,840 more weights."
    assert hybrid.resized(child, KNOWN) == said
    assert hybrid.resized(model("child", headed(body, 5)), KNOWN) is None
    assert hybrid.resized(model("child", headed(tuned(body, 0.1), 5, vocabulary=340)), KNOWN) is None


def test_nothing_to_compare_is_no_answer() -> None:
    child = model("child", ROOT)
    assert hybrid.explain(child, []) is None
    assert all(row.origins == () and row.unexplained == 1 for row in hybrid.layers(child, []))
