"""What stands for the fake initialisation, and K-means, against slower figures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.peers import neural_phylogeny
from tests.peers.simulated import PARENTS, TREES, grown
from tests.simulated import family_of, orthogonal_tree


def test_the_origin_gives_the_order_that_fake_initialisations_give_in_the_mean() -> None:
    models = orthogonal_tree([-1, 0, 1, 2, 0], [1.0, 0.4, 0.4, 0.4, 0.9], seed=3)
    weights = np.stack([model[0].reshape(-1) for model in models])
    drawn = 0.1 * np.random.default_rng(4).standard_normal((2000, weights.shape[1]))
    apart = np.square(weights[:, None, :] - drawn[None, :, :]).sum(axis=2).mean(axis=1)
    start = neural_phylogeny.from_start(family_of(models))
    assert np.argsort(apart).tolist() == np.argsort(start).tolist() == [0, 1, 2, 3, 4]
    assert np.diff(apart) / np.diff(start) == pytest.approx(np.square(weights).sum() / len(weights), rel=0.1)


@pytest.mark.parametrize("trees", [1, 2, 3])
def test_no_way_to_part_the_models_is_tighter_than_the_clusters(trees: int) -> None:
    models = grown(5)[:7]
    family = family_of(models)

    def spread(place: Sequence[int]) -> float:
        """The sum of squares around the centres, from squared distances alone."""
        groups = [np.flatnonzero(np.array(place) == k) for k in set(place)]
        return float(sum(family.distance[np.ix_(group, group)].sum() / (2 * len(group)) for group in groups))

    found = neural_phylogeny.clusters(family, trees)
    assert len(set(found.tolist())) == trees
    assert spread(found.tolist()) == pytest.approx(min(map(spread, itertools.product(range(trees), repeat=len(models)))))


def test_clusters_are_the_trees_where_strangers_are_far() -> None:
    place = neural_phylogeny.clusters(family_of(grown()), TREES)
    assert [bool(k) for k in place == place[0]] == [k < PARENTS.index(-1, 1) for k in range(len(PARENTS))]


def test_a_parent_is_the_likest_of_those_nearer_to_the_start() -> None:
    family = family_of(grown())
    found, start = neural_phylogeny.forest(family, TREES), neural_phylogeny.from_start(family)
    place = neural_phylogeny.clusters(family, TREES)
    for child, parent in enumerate(found):
        nearer = [k for k in range(len(PARENTS)) if place[k] == place[child] and start[k] < start[child]]
        by_distance = sorted(nearer, key=family.distance[child].__getitem__)
        assert parent == (by_distance[0] if nearer else -1)
