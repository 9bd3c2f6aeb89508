"""Every source of evidence alone on families that no honest network makes: figures for each pair, and no warning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from benchmarks.kinds import latent_tree
from hub_lineage.evidence import (
    asymmetry,
    correlation,
    growth,
    identity,
    independence,
    null,
    shrinkage,
    sites,
    spectra,
    tree,
)
from hub_lineage.family import Family, Matrix, gather
from hub_lineage.judge import judge
from tests.simulated import SHAPES, Values, family_of, fingerprint_of
from tests.simulated import tree as grow

SOURCES: dict[str, Callable[[Family], dict[str, Matrix]]] = {
    source.__name__.rpartition(".")[2]: source.cues
    for source in (asymmetry, correlation, growth, identity, independence, latent_tree, shrinkage, sites, spectra, tree)
}
NEAREST_OF_NONE = {"correlation", "identity", "asymmetry"}  # a model alone has no nearest one, which the judge never asks for


def with_vectors(family: Family, *fills: float) -> Family:
    """The family with gains and biases that hold one value throughout, one a fill."""
    vectors = tuple(np.full((len(family), 12), fill, dtype=np.float32) for fill in fills)
    return replace(family, vectors=vectors)


def families() -> dict[str, Family]:
    model, kin, other, *more = grow([-1, 0, -1, 0, 1, 1], [1.0, 0.3, 1.0, 0.3, 0.2, 0.2])
    dead: Values = [np.zeros_like(model[0]), *model[1:]]
    holes: Values = [np.where(np.arange(t.size).reshape(t.shape) % 7, t, np.nan) for t in kin]
    vast: Values = [np.where(np.arange(t.size).reshape(t.shape) % 7, t, -np.inf) * 1e3 for t in kin]
    return {
        "one": family_of([model]),
        "two": family_of([model, kin]),
        "clones alone": family_of([model] * 4),
        "a crowd of clones and one more": family_of([*[model] * 30, kin]),
        "all constant": family_of([[np.full(shape, k) for shape in SHAPES] for k in range(4)]),
        "one constant": family_of([model, kin, [np.full(shape, 2.5) for shape in SHAPES]]),
        "a dead tensor": family_of([model, dead, kin, other]),
        "a tensor dead in all": family_of([dead, dead, [np.zeros_like(kin[0]), *kin[1:]]]),
        "no numbers and infinities": family_of([model, holes, vast, kin]),
        "no number at all": family_of([[np.full(shape, np.nan) for shape in SHAPES]] * 3),
        "huge": family_of([[9e6 * tensor for tensor in each] for each in (model, kin, other)]),
        "tiny": family_of([[1e-30 * tensor for tensor in each] for each in (model, kin, other)]),
        "huge beside tiny": family_of([[1e7 * t for t in model], [1e-30 * t for t in kin], other]),
        "smaller than any normal number": family_of([[1e-40 * t for t in model], [1e-42 * t for t in kin], other]),
        "one tensor": family_of([each[3:] for each in (model, kin, other, *more)]),
        "one value a tensor": family_of([[t[:1, :1] for t in each] for each in (model, kin, other)]),
        "a negative": family_of([model, [-t for t in model], kin]),
        "copies of all scales": family_of([[scale * t for t in model] for scale in (1.0, 2.0, 3.0, 1e4)]),
        "one kernel": family_of([[t[:1, :1] for t in each[:1]] for each in (model, kin, other)]),
        "four bits' worth": family_of([model, kin, other, *more], "F8_E5M2"),
        "many dtypes": gather([fingerprint_of(kin, word) for word in ("F32", "F16", "BF16", "F8_E4M3", "F64")]),
        "vectors where training starts": with_vectors(family_of([model, kin, other]), 1.0, 0.0),
        "vectors of nothing and much": with_vectors(family_of([model, kin]), 9e7, -9e7, 1e-40),
    }


FAMILIES = families()
everywhere = pytest.mark.parametrize(("source", "case"), list(product(SOURCES, FAMILIES)))


@everywhere
def test_every_ordered_pair_has_a_finite_figure(source: str, case: str) -> None:
    family = FAMILIES[case]
    off = ~np.eye(len(family), dtype=bool)
    alone = len(family) == 1 and source in NEAREST_OF_NONE
    with np.errstate(divide="ignore", invalid="ignore") if alone else np.errstate():
        found = SOURCES[source](family)
    for name, value in found.items():
        assert value.shape == (len(family), len(family)), name
        assert np.isfinite(value[off]).all(), name


@everywhere
def test_the_names_of_cues_depend_on_no_value(source: str, case: str) -> None:
    """A judge reads its cues by name, so none may be missing where a family is odd."""
    with np.errstate(divide="ignore", invalid="ignore"):
        assert list(SOURCES[source](FAMILIES[case])) == list(SOURCES[source](FAMILIES["two"]))


@pytest.mark.parametrize("case", FAMILIES)
def test_copies_get_the_figures_of_one_another(case: str) -> None:
    """Whoever has the same values has the same figures to any third model, in all sources but those that rank or count kin."""
    family = FAMILIES[case]
    same = [k for k in range(1, len(family)) if all(np.array_equal(t[0], t[k]) for t in (*family.raw, *family.vectors))]
    same = [k for k in same if family.storage[k] == family.storage[0]]
    others = [k for k in range(len(family)) if k not in (0, *same)]
    for name in ("correlation", "growth", "identity", "spectra"):
        for cue, value in SOURCES[name](family).items() if len(family) > 1 else ():
            for k in same:
                np.testing.assert_allclose(value[0, others], value[k, others], rtol=1e-6, atol=1e-9, err_msg=cue)
                np.testing.assert_allclose(value[others, 0], value[others, k], rtol=1e-6, atol=1e-9, err_msg=cue)


@pytest.mark.parametrize("case", FAMILIES)
def test_odds_and_nulls_of_any_family_are_figures(case: str) -> None:
    family = FAMILIES[case]
    found = judge(family)
    np.testing.assert_allclose(found.parent.sum(axis=1) + found.none, 1.0, atol=1e-9)
    assert (found.parent >= 0).all()
    assert (found.clone <= found.kin).all(), "a copy is kin"
    beside = null.measured(family, 0, found.kin, None, 0.25)
    for cue, k in product(beside.figures, range(1, len(family))):
        strangers = beside.null(cue, k)
        assert strangers is not None
        assert strangers.n >= 3
        assert strangers.sd > 0
        assert np.isfinite([strangers.mean, strangers.sd]).all()
        assert 0 < null.p_value(float(family.cosine[0, k]), strangers) <= 1
