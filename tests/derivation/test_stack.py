"""Stacks: which block of which model each block of a child is, for cut, grown and stacked networks, tuned ones too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_lineage.derivation import stack
from hub_lineage.derivation.matched import matched
from hub_lineage.types import Model
from tests.stacks import LANGUAGE, VISION, Block, Weights, fingerprint, headed, tuned
from tests.stacks import stack as stacked

DEPTH = 6


def model(name: str, weights: Weights) -> Model:
    return Model(name, None, fingerprint(weights))


def network(seed: int, layers: Sequence[int] = range(DEPTH), block: Block = LANGUAGE) -> Weights:
    return headed(stacked(seed, layers, block), seed)


def moved(parts: Sequence[tuple[int, int]], block: Block = LANGUAGE) -> Weights:
    """A network of the blocks given, each by the seed of its model and its number there."""
    made: Weights = {}
    for place, (seed, number) in enumerate(parts):
        names = stacked(seed, [number], block)
        made |= {name.replace("layers.0.", f"layers.{place}."): value for name, value in names.items()}
    return headed(made, 99)


KNOWN = [model("a", network(1)), model("b", network(2)), model("a-tuned", tuned(network(1), 0.3, seed=5)), model("c", network(3))]


def test_a_network_cut_in_depth_comes_from_the_one_it_was_cut_from() -> None:
    found = stack.explain(model("child", network(1, [0, 1, 4, 5])), KNOWN)
    assert found is not None
    assert (found.method, found.relation, [parent.id for parent in found.parents]) == ("depth_cut", "finetune", ["a"])
    assert found.unexplained == 0
    assert found.probability > 0.99
    assert found.summary == "Cut in depth from a: 4 of its 6 blocks are left (0-3 are 0, 1, 4, 5 of a)."
    assert found.null is not None
    assert found.null.mean > 1.5


def test_a_network_grown_in_depth_repeats_blocks() -> None:
    found = stack.explain(model("child", network(1, [0, 1, 2, 3, 2, 3, 4, 5])), KNOWN)
    assert found is not None
    assert (found.method, found.relation) == ("depth_grown", "finetune")
    assert found.summary == "Grown in depth from a, to 8 blocks (0-3 are 0-3 of a; 4-7 are 2-5 of a)."


def test_new_blocks_come_from_nobody() -> None:
    child = moved([(1, 0), (1, 1), (77, 0), (1, 2), (1, 3), (1, 4), (1, 5)])
    found = stack.explain(model("child", child), KNOWN)
    assert found is not None
    assert found.method == "depth_grown"
    assert "block 2 is of none of them" in found.summary
    assert {layer.unexplained for layer in found.layers if ".layers.2." in layer.tensor} == {1.0}
    assert found.unexplained == pytest.approx(1 / 7, abs=0.02)


@settings(max_examples=12, deadline=None)
@given(
    parts=st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.integers(0, DEPTH - 1)), min_size=7, max_size=9),
    step=st.sampled_from([0.0, 0.1]),
    block=st.sampled_from([LANGUAGE, VISION]),
)
def test_every_block_of_a_stack_goes_back_to_its_own(parts: list[tuple[int, int]], step: float, block: Block) -> None:
    names = {1: "a", 2: "b", 3: "c"}
    known = [model(name, network(seed, block=block)) for seed, name in names.items()]
    child = model("child", tuned(moved(parts, block), step))
    rows = stack.layers(child, known)
    assert len(rows) == len(child.fingerprint.samples)
    for row in rows:
        place = int(row.tensor.split(".")[2])
        assert row.origins == ((names[parts[place][0]], 1.0),)
        assert row.unexplained == (0.0 if step == 0 else pytest.approx(step**2, rel=0.3))
    found = stack.explain(child, known)
    assert found is not None
    assert {parent.id for parent in found.parents} == {names[seed] for seed, _ in parts}
    assert found.method == ("passthrough" if len(found.parents) > 1 else "depth_grown")


def test_the_order_of_the_candidates_decides_nothing() -> None:
    child = model("child", tuned(moved([(1, 0), (1, 1), (2, 2), (2, 3), (1, 3), (2, 4), (2, 5)]), 0.05))
    first, second = stack.explain(child, KNOWN), stack.explain(child, KNOWN[::-1])
    assert first is not None
    assert first == second


def test_a_tuned_stack_is_less_sure_than_a_copied_one() -> None:
    copied = stack.explain(model("child", network(1, [0, 1, 4, 5])), KNOWN)
    far = stack.explain(model("child", tuned(network(1, [0, 1, 4, 5]), 0.3, seed=8)), KNOWN)
    assert copied is not None
    assert far is not None
    assert [parent.id for parent in far.parents] == ["a"]
    assert 0.5 < far.probability < copied.probability
    assert far.unexplained == pytest.approx(0.09 / 1.09, abs=0.02)


def test_where_the_source_is_unknown_its_parent_is_never_sure() -> None:
    child = model("child", tuned(network(1, [0, 1, 4, 5]), 0.001, seed=8))
    found = stack.explain(child, KNOWN)
    assert found is not None
    assert [parent.id for parent in found.parents] == ["a"]
    assert found.probability == 0.85


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param(tuned(network(1), 0.1), id="fine-tune"),
        pytest.param(network(1), id="copy"),
        pytest.param(network(8), id="stranger"),
        pytest.param(network(8, [0, 1, 2]), id="shallower stranger"),
        pytest.param(moved([(1, 0), (8, 1), (8, 2), (8, 3), (8, 4)]), id="one block of a known model"),
    ],
)
def test_what_is_no_stack_is_not_called_one(weights: Weights) -> None:
    assert stack.explain(model("child", weights), KNOWN) is None


def test_reordered_blocks_of_one_model_are_a_stack() -> None:
    found = stack.explain(model("child", network(1, [0, 2, 1, 3, 4, 5])), KNOWN)
    assert found is not None
    assert (found.method, [parent.id for parent in found.parents]) == ("passthrough", ["a"])


def test_names_of_another_kind_are_matched_by_shape_and_order() -> None:
    source = {name.replace("model.layers", "transformer.h").replace("self_attn", "attn"): v for name, v in network(1).items()}
    found = stack.explain(model("child", network(1, [0, 1, 4, 5])), [model("a", source), model("b", network(2))])
    assert found is not None
    assert [parent.id for parent in found.parents] == ["a"]


def test_nothing_to_compare_is_no_answer() -> None:
    child = model("child", network(1, [0, 1]))
    assert stack.explain(child, []) is None
    assert stack.explain(child, [model("wide", network(1, block=VISION))]) is None
    assert all(row.origins == () and row.unexplained == 1 for row in stack.layers(child, []))


def test_strangers_of_another_depth_and_like_shapes_are_compared_without_harm() -> None:
    deep, shallow = fingerprint(network(1, [0, 1, 2, 1, 2, 3])), fingerprint(network(2, range(4)))
    for one, other in ((deep, shallow), (shallow, deep)):
        pairs = matched(one, other)  # by their names: nothing else tells who belongs to whom
        assert pairs
        assert all(abs(np.corrcoef(pair.child, pair.model)[0, 1]) < 0.3 for pair in pairs)
