"""Site patterns against slow counting, and what they say of a simulated family."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_lineage.evidence import sites
from hub_lineage.family import MOST_SITES, Family
from hub_lineage.read import dtypes
from tests.simulated import family_of, tree
from tests.strategies import OFTEN, SELDOM, seeds

STATES = st.integers(3, 6).flatmap(
    lambda k: st.lists(st.lists(st.integers(-1, 1), min_size=12, max_size=12), min_size=k, max_size=k)
)


def slow_cues(models: list[list[int]]) -> dict[str, list[list[float]]]:
    found = {name: [[0.0] * len(models) for _ in models] for name in sites._NAMES}
    columns = [Counter(column) for column in zip(*models, strict=True)]
    for i, c in enumerate(models):
        for j, p in enumerate(models):
            apart = [n for n in range(len(c)) if c[n] != p[n]]
            fewest = max(len(apart), 1)
            commoner = sum((columns[n][p[n]] > columns[n][c[n]]) - (columns[n][p[n]] < columns[n][c[n]]) for n in apart)
            found["commoner"][i][j] = commoner / fewest
            found["candidate_private"][i][j] = sum(column[state] == 1 for column, state in zip(columns, p, strict=True)) / fewest
            found["single_steps"][i][j] = sum(abs(c[n] - p[n]) == 1 for n in apart) / fewest
            for name, places in (("votes_of_all", apart), ("votes_slow", [n for n in apart if len(columns[n]) == 2])):
                third = [model for k, model in enumerate(models) if k not in (i, j)]
                with_c = sum(model[n] == c[n] for model in third for n in places)
                with_p = sum(model[n] == p[n] for model in third for n in places)
                found[name][i][j] = with_c / (with_c + with_p) if with_c + with_p else 0.5
    return found


def of_states(models: list[list[int]]) -> Family:
    """A family in bfloat16 whose values are neighbours in it where the states are."""
    least = 2.0**-133
    return Family((np.array(models, dtype=np.float32) * np.float32(least),), ("BF16",) * len(models), (1,))


@given(STATES)
@OFTEN
def test_cues_are_those_of_slow_counting(models: list[list[int]]) -> None:
    found = sites.cues(of_states(models))
    pairs = [(a, b) for i, a in enumerate(models) for j, b in enumerate(models) if i != j]
    if np.median([sum(x == y for x, y in zip(a, b, strict=True)) for a, b in pairs]) == 0:
        assert all((value == 0).all() for value in found.values())
        return
    for name, value in slow_cues(models).items():
        np.testing.assert_allclose(found[name], value, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("word", ["BF16", "F16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ"])
def test_neighbours_in_a_dtype_have_neighbouring_numbers(word: str) -> None:
    bits = dtypes.FORMATS[word].bits
    stored = np.arange(2**bits).astype(f"<u{bits // 8}").tobytes()
    values = dtypes.decode(word, stored)
    values = np.unique(values[np.isfinite(values)])
    family = Family((np.stack([values, values]),), (word, word), (1,))
    seen = values[np.arange(min(MOST_SITES, len(values))) * len(values) // min(MOST_SITES, len(values))]
    assert np.array_equal(sites._codes(family)[0].astype(int), np.searchsorted(values, seen) - np.searchsorted(values, 0.0))


@given(seeds)
@SELDOM
def test_a_parent_holds_the_commoner_states_and_none_of_its_own(seed: int) -> None:
    found = sites.cues(family_of(tree([-1, 0, 0, 1, 1], [1.0, 0.002, 0.002, 0.002, 0.002], seed), "BF16"))
    for child in (3, 4):
        assert found["commoner"][child, 1] > 0 > found["commoner"][1, child]
        assert found["candidate_private"][child, 1] < 0.8 * found["candidate_private"][1, child]
        assert max(found["votes_slow"][child, 1], found["votes_of_all"][child, 1]) < 0.45


@given(STATES)
@OFTEN
def test_votes_of_both_directions_sum_to_one_and_the_commoner_is_so_on_one_side(models: list[list[int]]) -> None:
    found = sites.cues(of_states(models))
    np.testing.assert_allclose(found["commoner"], -found["commoner"].T)
    if found["votes_of_all"].any():
        for name in ("votes_of_all", "votes_slow"):
            np.testing.assert_allclose(found[name] + found[name].T, 1.0)


def test_without_equal_values_there_are_no_sites() -> None:
    found = sites.cues(family_of(tree([-1, 0, 0], [1.0, 0.3, 0.3])))
    assert set(found) == set(sites._NAMES)
    assert all((value == 0).all() for value in found.values())
