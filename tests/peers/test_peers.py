"""What holds for every peer: laws, and the trees that their assumptions hold for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers import PEERS, Peer
from tests.peers.simulated import PARENTS, STEPS, TREES, grown, scaled, sharpened
from tests.peers.test_arborescence import reaches_root
from tests.simulated import Values, family_of, tree
from tests.strategies import SELDOM, orders, seeds

FITTING: dict[str, Callable[[int], list[Values]]] = {"MoTHer": sharpened, "Neural Phylogeny": grown}
peers = pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_family_of_its_own_kind_is_told_whole(name: str, seed: int) -> None:
    family = family_of(FITTING[name](seed))
    assert PEERS[name].forest(family, TREES).tolist() == list(PARENTS)
    scores = PEERS[name].scores(family, TREES)
    assert [int(scores[k].argmax()) for k, parent in enumerate(PARENTS) if parent >= 0] == [p for p in PARENTS if p >= 0]
    assert all(scores[child, parent] > scores[parent, child] for child, parent in enumerate(PARENTS) if parent >= 0)


@peers
@given(seed=seeds, data=st.data())
@SELDOM
def test_the_order_of_models_tells_nothing(peer: Peer, seed: int, data: st.DataObject) -> None:
    family, order = family_of(grown(seed)), data.draw(orders(len(PARENTS)))
    moved = family_of([grown(seed)[k] for k in order])
    assert np.allclose(peer.scores(moved, TREES), peer.scores(family, TREES)[np.ix_(order, order)], atol=1e-6)
    parents = peer.forest(family, TREES)
    assert [-1 if parent < 0 else order[parent] for parent in peer.forest(moved, TREES)] == parents[order].tolist()


@peers
@given(seed=seeds, power=st.integers(-6, 6))
@SELDOM
def test_the_scale_of_weights_tells_nothing(peer: Peer, seed: int, power: int) -> None:
    models = grown(seed)
    family, other = family_of(models), scaled(models, 2.0**power)
    assert np.allclose(peer.scores(other, TREES), peer.scores(family, TREES))
    assert peer.forest(other, TREES).tolist() == peer.forest(family, TREES).tolist()


@peers
@given(seed=seeds, trees=st.integers(1, 12))
@SELDOM
def test_a_forest_has_the_trees_it_was_told_and_no_cycle(peer: Peer, seed: int, trees: int) -> None:
    found = peer.forest(family_of(grown(seed)), trees)
    assert (found < 0).sum() == min(trees, len(PARENTS))
    assert all(reaches_root(found, node) for node in range(len(found)))


@peers
def test_nobody_of_another_tree_comes_before_the_childs_own(peer: Peer) -> None:
    scores = peer.scores(family_of(grown()), TREES)
    own = np.array([k < PARENTS.index(-1, 1) for k in range(len(PARENTS))])
    kin = (own[:, None] == own[None, :]) & ~np.eye(len(own), dtype=bool)
    for child in range(len(own)):
        assert scores[child, kin[child]].min() > scores[child, own != own[child]].max()
        assert scores[child, child] == -np.inf


@peers
def test_a_model_alone_is_a_root(peer: Peer) -> None:
    family = family_of(tree([-1], [1.0]))
    assert peer.forest(family, 1).tolist() == [-1]
    assert peer.scores(family, 1).tolist() == [[-np.inf]]


@peers
def test_copies_are_ranked_and_joined(peer: Peer) -> None:
    models = tree(PARENTS[:3], STEPS[:3])
    family = family_of([models[0], models[0], models[1], models[1]])
    found = peer.forest(family, 1)
    assert all(reaches_root(found, node) for node in range(4))
    assert not np.isnan(peer.scores(family, 1)).any()
