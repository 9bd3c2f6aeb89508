"""The likeliest tree: its likelihood against the plain Gaussian one, and what it says of parents in sight and hidden."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.kinds import latent_tree
from benchmarks.kinds.latent_tree import Tree
from hub_lineage.family import Matrix
from tests.simulated import SHAPES, family_of, orthogonal_tree, tree


def _correlations(shape: Tree) -> Matrix:
    """What a tree gives all its nodes, by multiplying along paths."""
    found = np.eye(shape.nodes)
    around = shape.neighbours()

    def walk(start: int, node: int, before: int, product: float) -> None:
        found[start, node] = product
        for after, branch in around[node]:
            if after != before:
                walk(start, after, node, product * float(shape.strength[branch]))

    for start in range(shape.nodes):
        walk(start, start, -1, 1.0)
    return found


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    count = draw(st.integers(3, 9))
    edges = [(node, draw(st.integers(0, node - 1))) for node in range(1, count)]
    strength = draw(st.lists(st.floats(0.05, 0.95), min_size=count - 1, max_size=count - 1))
    return Tree(np.array(edges, dtype=np.intp), np.array(strength), count)


@given(trees(), st.integers(1, 3))
def test_the_likelihood_is_that_of_the_gaussian(shape: Tree, hidden: int) -> None:
    seen = max(shape.nodes - hidden, 2)
    covariance = _correlations(shape)[:seen, :seen]
    random = np.random.default_rng(seen)
    values = random.standard_normal((seen, 50))
    correlation = np.asarray(np.corrcoef(values), dtype=np.float64)
    plain = -(np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, correlation)) - seen) / 2
    assert latent_tree.log_likelihood(correlation, shape) == pytest.approx(plain, abs=1e-8)


@given(trees())
def test_a_step_never_lowers_the_likelihood(shape: Tree) -> None:
    random = np.random.default_rng(shape.nodes)
    seen = max(shape.nodes - 2, 2)
    mixed = random.standard_normal((seen, 60)) + 1.5 * random.standard_normal(60)
    correlation = np.clip(np.corrcoef(mixed), 0.0, 1.0)
    before = latent_tree.log_likelihood(correlation, shape)
    after = latent_tree.log_likelihood(correlation, latent_tree.refined(correlation, shape, 1))
    assert after >= before - 1e-6


def test_paths_are_those_that_one_walks() -> None:
    shape = Tree(np.array([[0, 4], [1, 4], [4, 5], [2, 5], [3, 5]]), np.array([0.9, 0.8, 0.7, 0.6, 0.5]), 6)
    length, own, hidden = latent_tree.paths(shape, 4)
    assert length[0, 3] == pytest.approx(-np.log(0.9 * 0.7 * 0.5))
    assert own[0, 3] == pytest.approx(-np.log(0.9))
    assert own[3, 0] == pytest.approx(-np.log(0.5))
    assert hidden[0, 1] == 1
    assert hidden[0, 2] == 2
    np.testing.assert_allclose(length, length.T)


def test_a_parent_costs_nothing_and_a_sibling_under_a_hidden_model_does() -> None:
    grown = orthogonal_tree([-1, 0, 0, 0, 1, 1, 1], [1.0, 0.5, 0.4, 0.6, 0.4, 0.3, 0.5], length=400)
    seen = latent_tree.cues(family_of(grown))
    assert np.abs(seen["joint_cost"][0, [0, 1]]).max() < 1e-3
    assert seen["joint_cost"][0, 4] > 0.01
    for child in (4, 5, 6):
        costs = np.delete(seen["direct_cost"][child], child)
        assert costs.argmin() == 1
        assert costs[1] == pytest.approx(0.0, abs=0.01)
    hidden = latent_tree.cues(family_of([grown[k] for k in (0, 2, 3, 4, 5, 6)]))
    for child in (3, 4, 5):
        assert np.delete(hidden["direct_cost"][child], child).min() > 0.05
        assert hidden["joint_cost"][0, child] > 0.05


def test_uniform_decay_moves_no_figure() -> None:
    grown = tree([-1, 0, 0, 1, 1], [1.0, 0.5, 0.5, 0.4, 0.4])
    shrunk = [[factor * tensor for tensor in model] for factor, model in zip((1.0, 0.7, 0.9, 0.5, 0.8), grown, strict=True)]
    for one, other in zip(latent_tree.cues(family_of(grown)).values(), latent_tree.cues(family_of(shrunk)).values(), strict=True):
        np.testing.assert_allclose(one, other, atol=0.08)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_constant_tensors_and_copies_give_finite_figures(count: int) -> None:
    constant = [[np.full(shape, float(k)) for shape in SHAPES] for k in range(count)]
    copies = [tree([-1], [1.0])[0]] * count
    for models in (constant, copies):
        for value in latent_tree.cues(family_of(models)).values():
            assert value.shape == (count, count)
            assert np.isfinite(value).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_models_tells_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    parents = [-1, *(int(random.integers(0, k)) for k in range(1, 9))]
    family = family_of(tree(parents, [1.0, *random.uniform(0.2, 0.7, 8)], seed))
    order = random.permutation(len(family))
    there, here = latent_tree.cues(family.only(order)), latent_tree.cues(family)
    for name, value in here.items():
        np.testing.assert_allclose(there[name], value[np.ix_(order, order)], atol=1e-6)
