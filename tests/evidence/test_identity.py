"""Equal values and votes against slow counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence import identity
from hub_lineage.family import Matrix, gather
from hub_lineage.read import dtypes
from tests.simulated import family_of, fingerprint_of, tree
from tests.strategies import OFTEN, SELDOM, seeds

PARENTS = [-1, 0, 0, 1, 1]


def slow_votes(sites: list[list[float]]) -> list[list[float]]:
    count, length = len(sites), len(sites[0])
    votes = [[0.5] * count for _ in range(count)]
    for c in range(count):
        for s in range(count):
            said = total = 0.0
            for o in range(count):
                if o in (c, s):
                    continue
                with_c = sum(sites[o][n] == sites[c][n] != sites[s][n] for n in range(length))
                with_s = sum(sites[o][n] == sites[s][n] != sites[c][n] for n in range(length))
                weight = ((with_c + with_s) / length) ** 4
                said += weight * (with_c / (with_c + with_s)) if weight else 0.0
                total += weight
            votes[c][s] = said / total if total else 0.5
    return votes


@given(
    st.integers(2, 5).flatmap(lambda k: st.lists(st.lists(st.integers(0, 2), min_size=12, max_size=12), min_size=k, max_size=k))
)
@OFTEN
def test_votes_are_those_of_slow_counting(sites: list[list[float]]) -> None:
    np.testing.assert_allclose(identity._votes(np.array(sites, np.float32)), slow_votes(sites), atol=1e-6)


def slow_equal(words: list[str], models: list[list[float]]) -> Matrix:
    coarsest = min(words, key=lambda word: dtypes.FORMATS[word].significand)
    rounded = [dtypes.round_to(coarsest, np.array(model, np.float32)).tolist() for model in models]
    share = [[sum(a == b for a, b in zip(one, other, strict=True)) / len(one) for other in rounded] for one in rounded]
    return np.array(share)


@given(seeds, st.lists(st.sampled_from(["F32", "F16", "BF16"]), min_size=3, max_size=3))
@SELDOM
def test_equal_shares_are_counted_at_the_coarsest_precision(seed: int, words: list[str]) -> None:
    models = tree([-1, 0, 0], [1.0, 0.01, 0.01], seed, [(9, 8), (5, 7)])
    family = gather([fingerprint_of(model, word) for model, word in zip(models, words, strict=True)])
    flat = [[float(x) for tensor in family.raw for x in tensor[k]] for k in range(3)]
    np.testing.assert_allclose(identity.cues(family)["equal_share"], slow_equal(words, flat))


def test_a_light_touch_in_sixteen_bits_leaves_most_values_equal_and_relatives_vote_for_the_parent() -> None:
    found = identity.cues(family_of(tree(PARENTS, [1.0, 0.002, 0.002, 0.002, 0.002]), "BF16"))
    same = found["equal_share"]
    for child in (3, 4):
        assert 0.3 < same[child, 0] < same[child, 1] < 1
        assert found["difference_rank"][child, 1] == 0
        assert found["log_times_fewest_different"][child, 1] == pytest.approx(0)
    assert found["votes_for_child"][4, 1] < 0.4
    assert found["detour"][4, 1] < found["detour"][4, [0, 2, 3]].min() - 0.05
    np.testing.assert_allclose(found["votes_for_child"] + found["votes_for_child"].T, 1.0)


def test_where_nothing_is_equal_nobody_votes() -> None:
    found = identity.cues(family_of(tree(PARENTS, [1.0, 0.3, 0.3, 0.3, 0.3])))
    assert (found["votes_for_child"] == 0.5).all()
    assert np.array_equal(found["equal_share"], np.eye(5))
