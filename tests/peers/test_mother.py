"""Distances, kurtosis and costs of MoTHer against slower and hand-made figures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.peers import mother
from tests.peers.simulated import PARENTS, TREES, grown, sharpened
from tests.simulated import family_of


def test_kurtosis_is_that_of_statistics_summed_over_tensors() -> None:
    family = family_of(sharpened())
    slow = [sum(stats.kurtosis(tensor[k].astype(np.float64)) for tensor in family.raw) for k in range(len(family))]
    assert mother.kurtosis(family) == pytest.approx(slow)


def test_a_constant_tensor_has_no_kurtosis() -> None:
    random = np.random.default_rng(0).standard_normal((2, 40, 40))
    alone, beside = family_of([[model] for model in random]), family_of([[model, np.zeros((8, 8))] for model in random])
    assert mother.kurtosis(beside) == pytest.approx(mother.kurtosis(alone))
    assert np.allclose(mother.distances(beside), mother.distances(alone) / 2)


def test_a_distance_is_the_mean_over_tensors_each_in_its_own_scale() -> None:
    family = family_of([[tensor * 10.0**i for i, tensor in enumerate(model)] for model in grown()])
    slow = np.zeros((len(family), len(family)))
    for tensor in family.raw:
        exact = tensor.astype(np.float64)
        differences = exact[:, None, :] - exact[None, :, :]
        slow += np.sqrt((differences**2).mean(axis=2) / (exact**2).mean()) / len(family.raw)
    assert np.allclose(mother.distances(family), slow)


def test_an_edge_along_which_kurtosis_goes_the_wrong_way_costs_three_tenths_of_the_mean_more() -> None:
    distance, kurtosis = np.array([[0.0, 2.0], [2.0, 0.0]]), np.array([1.0, 5.0])
    assert mother.edge_weights(distance, kurtosis, "generalisation").tolist() == [[0.0, 2.3], [2.0, 0.0]]
    assert mother.edge_weights(distance, kurtosis, "specialisation").tolist() == [[0.0, 2.0], [2.3, 0.0]]
    assert mother.edge_weights(distance, np.ones(2)).tolist() == distance.tolist()


def test_the_stage_turns_the_direction() -> None:
    family = family_of(sharpened(parents=[-1, 0]))
    assert mother.forest(family, 1, "generalisation").tolist() == [-1, 0]
    assert mother.forest(family, 1, "specialisation").tolist() == [1, -1]


def test_clusters_are_the_trees_where_strangers_are_far() -> None:
    place = mother.clusters(mother.distances(family_of(grown())), TREES)
    assert [bool(k) for k in place == place[0]] == [k < PARENTS.index(-1, 1) for k in range(len(PARENTS))]
