"""Judges measured on what they were not fitted on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.judgement.left_out import architectures, regimes
from benchmarks.judgement.places import JUDGE, ranked_by
from benchmarks.judgement.scenes import Scene
from hub_lineage.judge import judge, shipped
from tests.judgement.hand_made import scene_of, zoo

NAMES = {"a": None, "b": "a", "c": "a", "d": "c", "e": "d"}


def of_kind(kind: str, **changes: dict[str, str]) -> Scene:
    names = list(NAMES)
    return scene_of(zoo(NAMES, kind=dict.fromkeys(names, kind), family=dict.fromkeys(names, kind), **changes))


def firsts(scene: Scene) -> float:
    found = ranked_by([scene], [{JUDGE: judge(scene.crowd.family).parent}])
    return found.sums(found.first_regime).value


def test_each_kind_is_measured_under_its_own_judge_and_the_mean_is_over_kinds() -> None:
    backwards = replace(shipped(), slope=-shipped().slope)
    scenes = [of_kind("mlp"), of_kind("vit"), of_kind("cnn")]
    rows = architectures(scenes, {"mlp": shipped(), "vit": backwards})
    good, bad = firsts(scenes[0]), scenes[1].under(backwards)
    worse = ranked_by([bad], [{JUDGE: bad.judgement.parent}])
    assert rows[0].value == pytest.approx((good + worse.sums(worse.first_regime).value) / 2)
    assert good > worse.sums(worse.first_regime).value
    assert [row.id for row in rows] == ["judge.parent_first_new_architecture", "judge.first_three_new_architecture"]
    assert rows[0].note.startswith("8 cases")
    assert "fewer than the 4 kinds wanted" in rows[0].note


def test_the_regime_nearer_to_the_hub_is_left_out_and_no_judge_makes_no_row() -> None:
    hub = of_kind("mlp", regime=dict.fromkeys(NAMES, "hub"))
    assert architectures([hub], {"mlp": shipped()}) == []
    assert architectures([hub], {}) == []


def test_a_regime_is_measured_alone() -> None:
    scene = of_kind("mlp", regime={"d": "star", "e": "star"})
    found = regimes([scene], {"star": shipped(), "hub": shipped()})
    assert set(found) == {"star"}
    assert {model.id for model in found["star"].models} == {"d", "e"}
    assert len(found["star"].stated) == 4, "each with its parent in sight and without"
