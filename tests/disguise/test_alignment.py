"""Aligning what was permuted, scaled, turned and split restores it; what is unrelated isn't aligned at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.derivatives.disguised import DISGUISES, Subject
from hub_lineage.disguise import WORDS, find, normal, restored, sentence
from tests.disguise.nets import NETS, Weights, family
from tests.strategies import SELDOM, seeds

TOLD = {  # by disguise what must be told, and by net what can't be told apart or isn't there
    "neurons": ("permuted", set()),
    "stream": ("permuted", {"mlp-a", "cnn-a", "cnn_bn-a", "resnet-d"}),  # a group norm's four groups may stay in place
    "heads": ("heads", {"mlp-a", "cnn-a", "cnn_bn-a", "resnet-a", "resnet-d", "vit-a", "grouped"}),  # two heads may stay in place
    "rescaled": ("rescaled", {"resnet-d"}),
    "folded": ("folded", {"mlp-a", "cnn-a", "resnet-d"}),
    "transposed": ("transposed", set()),
    "renamed": ("renamed", set()),
}


def disguised(net: str, held: Weights, word: str, seed: int) -> Weights:
    trained = family(net)
    subject = Subject(held, trained.heads, rectified=trained.rectified, seed=seed)
    DISGUISES[word](subject)
    return subject.weights


def pairs(held: Weights) -> list[tuple[str, NDArray[np.float32]]]:
    return list(held.items())


@SELDOM
@given(seeds, st.lists(st.integers(12, 40), min_size=2, max_size=4), st.booleans(), st.booleans())
def test_a_random_permutation_of_random_weights_is_undone_exactly(
    seed: int, widths: list[int], turned: bool, moved: bool
) -> None:
    random = np.random.default_rng(seed)
    sizes = [48, *widths]
    source = {f"{i}.weight": random.standard_normal(sizes[i : i + 2][::-1]).astype(np.float32) for i in range(len(widths))}
    child, order = {}, np.arange(sizes[0])
    for name, value in source.items():
        after = random.permutation(len(value))
        held = value[after][:, order]
        if moved:
            gains = np.exp(random.uniform(-1, 1, len(value))), np.exp(random.uniform(-1, 1, len(order)))
            held = (held * gains[0][:, None] * gains[1]).astype(np.float32)
        child[f"x{name}"], order = np.ascontiguousarray(held.T if turned else held), after
    laid = find(pairs(child), pairs(source))
    assert laid is not None
    assert ("rescaled" in laid.disguises) == moved
    assert ("transposed" in laid.disguises) == turned
    assert "permuted" in laid.disguises
    for name, value in restored(pairs(child), pairs(source), laid).items():
        if moved:
            assert np.allclose(normal(value), normal(source[name]), atol=1e-4)
        else:
            assert np.array_equal(value, source[name])


@SELDOM
@given(seeds, st.integers(8, 40), st.integers(8, 40))
def test_the_normal_form_knows_no_gains(seed: int, rows: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    held = random.standard_normal((rows, columns)).astype(np.float32)
    gains = np.exp(random.uniform(-2, 2, rows)), np.exp(random.uniform(-2, 2, columns))
    assert np.allclose(normal((held * gains[0][:, None] * gains[1]).astype(np.float32)), normal(held), atol=1e-4)


@SELDOM
@given(seeds)
def test_unrelated_random_weights_are_not_aligned(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = ([(f"{i}", random.standard_normal((32, 32)).astype(np.float32)) for i in range(4)] for _ in range(2))
    assert find(one, other) is None


@pytest.mark.parametrize("net", NETS)
def test_a_copy_in_another_order_comes_back_to_the_bit(net: str) -> None:
    held = dict(family(net).held["parent"])
    child = held
    for word in ("neurons", "heads", "within heads", "stream", "renamed"):
        child = disguised(net, child, word, 4)
    laid = find(pairs(child), pairs(held))
    assert laid is not None
    assert laid.correlation > 0.999
    back = restored(pairs(child), pairs(held), laid)
    assert all(np.array_equal(value, held[name]) for name, value in back.items())
    assert {name for name, value in held.items() if value.ndim > 1 and value.size > 500} <= set(back)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("word", TOLD)
def test_a_disguised_child_lies_upon_its_parent_and_the_disguise_is_told(net: str, word: str) -> None:
    held = family(net).held
    laid = find(pairs(disguised(net, dict(held["child"]), word, 2)), pairs(dict(held["parent"])))
    assert laid is not None
    assert laid.p_value < 1e-6
    told, idle = TOLD[word]
    assert told in laid.disguises or net in idle


@pytest.mark.parametrize("net", NETS)
def test_what_is_restored_is_the_child(net: str) -> None:
    held = family(net).held
    child, parent = dict(held["child"]), dict(held["parent"])
    dressed = disguised(net, disguised(net, disguised(net, child, "neurons", 7), "stream", 8), "transposed", 9)
    laid = find(pairs(dressed), pairs(parent))
    assert laid is not None
    back = restored(pairs(dressed), pairs(parent), laid)
    same = sum(value.size for name, value in back.items() if np.array_equal(value, child[name]))
    assert same > 0.9 * sum(value.size for value in back.values())


@pytest.mark.parametrize("net", NETS)
def test_an_undisguised_child_wears_nothing_and_a_stranger_is_none(net: str) -> None:
    held = family(net).held
    laid = find(pairs(dict(held["child"])), pairs(dict(held["parent"])))
    assert laid is not None
    assert laid.disguises == ()
    assert find(pairs(disguised(net, dict(held["stranger"]), "all", 3)), pairs(dict(held["parent"]))) is None


@pytest.mark.parametrize("net", NETS)
def test_all_disguises_at_once_leave_the_parent_nearer_than_any_stranger(net: str) -> None:
    held = family(net).held
    laid = find(pairs(disguised(net, dict(held["child"]), "all", 5)), pairs(dict(held["parent"])))
    assert laid is not None
    assert laid.correlation > laid.null.mean + 5 * laid.null.sd


def test_disguises_are_told_in_words() -> None:
    assert sentence(()) == ""
    assert sentence(("permuted",)) == "its units stand in another order"
    assert sentence(("renamed", "permuted")) == "its units stand in another order and all tensors have other names"
    assert len({word for word, _, _ in WORDS}) == len(WORDS)
