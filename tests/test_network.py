"""The network by numpy against the one that was trained, and the laws that it must keep."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from benchmarks.fit_network import PairNetwork, Schooling, fit
from benchmarks.training import Measured
from hub_lineage.network import KINDS, Network, from_tensors, spread, to_tensors

NAMES = ("near", "far", "flat")
KNOTS = (np.linspace(0, 1, 9), np.sort(np.random.default_rng(1).normal(size=12)), np.zeros(1))


def _torch() -> PairNetwork:
    torch.manual_seed(3)
    net = PairNetwork(len(NAMES), Schooling(width=16, blocks=2)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return net


def _network(net: PairNetwork) -> Network:
    return Network(NAMES, KNOTS, {name: value.numpy() for name, value in net.state_dict().items()})


def _halved(network: Network) -> Network:
    return Network(NAMES, KNOTS, {name: value.astype(np.float16).astype(np.float32) for name, value in network.weights.items()})


def _cues(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=(count, count)) for name in NAMES}


@pytest.mark.parametrize("count", [1, 2, 7])
def test_numpy_says_what_torch_says_among_larger_families_too(count: int) -> None:
    net, cues = _torch(), _cues(count)
    padded = np.zeros((2, count + 3, count + 3, len(NAMES)), dtype=np.float32)
    padded[1, :count, :count] = spread(np.stack([cues[name] for name in NAMES], axis=-1), KNOTS)
    there = np.ones((2, count + 3), dtype=np.float32)
    there[1, count:] = 0
    with torch.no_grad():
        scores, kinds = (part[1, :count, :count].numpy() for part in net(torch.from_numpy(padded), torch.from_numpy(there)))
    parent, told = _network(net)(cues)
    expected = scores - np.diagonal(scores)[:, None]
    np.testing.assert_allclose(parent, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(told, torch.from_numpy(kinds).softmax(-1).numpy(), rtol=1e-3, atol=1e-4)
    assert told.shape == (count, count, len(KINDS))


def test_the_order_of_the_models_tells_nothing() -> None:
    network, cues = _network(_torch()), _cues(8)
    order = np.random.default_rng(5).permutation(8)
    parent, kinds = network(cues)
    again, kinds_again = network({name: cue[np.ix_(order, order)] for name, cue in cues.items()})
    np.testing.assert_allclose(again, parent[np.ix_(order, order)], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(kinds_again, kinds[np.ix_(order, order)], rtol=1e-4, atol=1e-4)


def test_the_diagonal_of_cues_tells_nothing() -> None:
    network, cues = _network(_torch()), _cues(5)
    other = {name: cue + 9.0 * np.eye(5) for name, cue in cues.items()}
    np.testing.assert_array_equal(network(cues)[0], network(other)[0])


def test_a_network_is_read_as_it_was_stored() -> None:
    network, cues = _halved(_network(_torch())), _cues(6)
    again = from_tensors(NAMES, load(save(to_tensors(network))))
    assert again.names == NAMES
    np.testing.assert_array_equal(again(cues)[0], network(cues)[0])


def test_cues_beyond_all_seen_in_training_count_as_the_farthest_seen() -> None:
    found = spread(np.array([[-1e300, -1e300, 5.0], [1e300, 1e300, -5.0]]), KNOTS)
    np.testing.assert_allclose(found, [[-1.7, -1.7, 0.0], [1.7, 1.7, 0.0]], rtol=1e-6)


def _families(count: int, seed: int) -> list[Measured]:
    """Families in which one cue alone tells the parent, and no parent where it is low throughout."""
    generator = np.random.default_rng(seed)
    found = []
    for at in range(count):
        size = int(generator.integers(3, 7))
        label = np.zeros((size, size))
        for child in range(1, size):
            if generator.random() < 0.7:
                label[child, generator.integers(child)] = 1.0
        cues = {"near": 2 * label + 0.5 * generator.normal(size=label.shape), "far": generator.normal(size=label.shape)}
        kinds = np.where(label > 0, 0, np.where(label.T > 0, 2, 4))
        np.fill_diagonal(kinds, -1)
        nothing = np.zeros((size, size), dtype=bool)
        found.append(Measured(cues, label, f"r{at}", nothing[0], kinds, "mlp", "deep"))
    return found


def test_training_learns_whose_parent_is_whose_and_repeats_itself() -> None:
    schooling = Schooling(width=16, blocks=1, epochs=20, rate=5e-3, dropout=0.0, noise=0.0, blind=0.0, pairs=400)
    network = fit(_families(150, 0), schooling, 0, "cpu")
    right, none = [], []
    for family in _families(40, 1):
        parent, kinds = network(family.cues)
        np.fill_diagonal(parent, -np.inf)
        has = family.label.any(axis=1)
        right += list(parent.argmax(axis=1)[has] == family.label.argmax(axis=1)[has])
        none += list((parent.max(axis=1) > 0) == has)
        np.testing.assert_allclose(kinds.sum(axis=-1), 1.0, rtol=1e-5)
    assert np.mean(right) > 0.85
    assert np.mean(none) > 0.8
    again = fit(_families(150, 0), schooling, 0, "cpu")
    for name, weight in network.weights.items():
        np.testing.assert_array_equal(weight, again.weights[name])
