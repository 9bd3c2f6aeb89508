"""Upload dates made up for a zoo, and what they do to the odds."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

from benchmarks.judgement.dates import DRAWS, dated, figures, seen_with_dates, uploads
from benchmarks.judgement.places import JUDGE
from hub_lineage.evidence import soft
from hub_lineage.types import Fingerprint, Model
from tests.judgement.hand_made import scene_of, zoo
from tests.judgement.test_lineage import TRUTH
from tests.strategies import SELDOM, seeds

MANY = {"root": None} | {f"c{k}": "root" for k in range(30)} | {f"g{k}": f"c{k}" for k in range(30)}


@given(seeds)
@SELDOM
def test_what_a_model_is_made_of_is_there_before_it_unless_it_was_uploaded_again(seed: int) -> None:
    when = uploads(TRUTH.models, seed)
    assert when == uploads(TRUTH.models, seed)
    assert set(when) == set(TRUTH.by_id)
    for model in TRUTH.models:
        children = [when[other.id] for other in TRUTH.models if other.parent == model.id]
        assert all(child > when[model.id] for child in children) or all(child < when[model.id] for child in children)
    assert all(later - earlier >= timedelta(days=1) for earlier, later in pairwise(sorted(when.values())))


def test_as_many_parents_are_uploaded_late_as_soft_evidence_takes_for_granted() -> None:
    models = zoo(MANY)
    late, before = [], []
    for seed in range(200):
        when = uploads(models, seed)
        late += [when[f"c{k}"] > when[f"g{k}"] for k in range(30)]
        before += [when["c0"] < when["c1"]]
    assert np.mean(late) == pytest.approx(soft.UPLOADED_LATER, abs=0.008)
    assert 0.4 < np.mean(before) < 0.6, "siblings come in any order"


def test_dates_move_odds_as_soft_evidence_does() -> None:
    scene = scene_of(zoo({"a": None, "b": "a", "c": "b"}), {("b", "a"): 0.4, ("b", "c"): 0.5, ("c", "b"): 0.6})
    when = uploads(scene.lineage.models, 1)
    models = [Model(m.id, None, Fingerprint("", "", 0, ()), created_at=when[m.id].isoformat()) for m in scene.crowd.models]
    ratio = soft.log_ratio("dates", models, scene.judgement.parent)
    wanted, _ = soft.moved(scene.judgement.parent, scene.judgement.none, ratio)
    found = dated(scene, when)
    np.testing.assert_array_equal(found, wanted)
    assert when["a"] < when["b"] < when["c"]
    assert found[1, 0] > found[1, 2], "the child of a model is no longer taken for its parent"


def test_cases_with_dates_stand_beside_weights_alone() -> None:
    scene = scene_of(zoo({"a": None, "b": "a", "c": "b"}), {("b", "a"): 0.4, ("b", "c"): 0.5, ("c", "b"): 0.6})
    cases, younger = seen_with_dates([scene])
    assert cases.places["weights alone"]["first"].tolist() == [0.0, 1.0]
    orders = [uploads(scene.lineage.models, seed) for seed in range(DRAWS)]
    assert younger == np.mean([[when["b"] < when["a"], when["c"] < when["b"]] for when in orders])
    wanted = []
    for when in orders:
        odds = dated(scene, when)
        wanted.append([odds[1, 0] > odds[1, 2], odds[2, 1] > odds[2, 0]])
    np.testing.assert_allclose(cases.places[JUDGE]["first"], np.mean(wanted, axis=0))
    rows = figures([scene])
    assert rows[0].id == "judge.parent_first_dates"
    assert rows[0].value == pytest.approx(np.mean(wanted))
    assert rows[0].baselines == {"weights alone": 0.5}
