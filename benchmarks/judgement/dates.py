"""Upload dates for a zoo, which has none: in the order in which its models were made, and sometimes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np

from benchmarks.judgement.places import JUDGE, Seen, ranked_by
from benchmarks.judgement.scenes import Scene
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel
from hub_lineage.evidence import soft
from hub_lineage.family import Matrix
from hub_lineage.types import Fingerprint, Model

_BEGINNING = datetime(2023, 1, 1, tzinfo=timezone.utc)
DRAWS = 10


def uploads(models: Sequence[ZooModel], seed: int) -> dict[str, datetime]:
    """When each model of a zoo was uploaded, a day apart from any other.

    Parents are made before their children, what is merged or taught from before what comes of it, siblings and strangers in
    a random order. Of the parents, as many as soft evidence takes for granted (:data:`soft.UPLOADED_LATER`) are uploaded
    after the last of their children.
    """
    generator = np.random.default_rng(seed)
    made: dict[str, float] = {}
    for model in _sources_first(models):
        begun = max((made[source] for source in _sources(model)), default=float(generator.uniform(0.0, 3.0)))
        made[model.id] = begun + float(generator.exponential())
    children: dict[str, list[str]] = {}
    for model in models:
        if model.parent is not None:
            children.setdefault(model.parent, []).append(model.id)
    late = {
        parent: max(made[child] for child in found) + 1e-9
        for parent, found in sorted(children.items())
        if generator.random() < soft.UPLOADED_LATER
    }
    order = sorted(made, key=lambda name: (late.get(name, made[name]), name))
    return {name: _BEGINNING + timedelta(days=day) for day, name in enumerate(order)}


def dated(scene: Scene, when: Mapping[str, datetime]) -> Matrix:
    """The odds of a scene once its dates are counted, as ``trace`` counts them; shape [K, K]."""
    nothing = Fingerprint("", "", 0, ())
    models = [Model(model.id, None, nothing, created_at=when[model.id].isoformat()) for model in scene.crowd.models]
    judgement = scene.judgement
    ratios = soft.log_ratio("dates", models, judgement.parent)
    return soft.moved(judgement.parent, judgement.none, ratios)[0]


def seen_with_dates(found: Sequence[Scene]) -> tuple[Seen, float]:
    """The cases once dates are counted, weights alone beside them; and the share of parents that are younger than the child.

    Both are means over :data:`DRAWS` orders of upload, since few parents are late and it matters which.
    """
    drawn = [_drawn(found, seed) for seed in range(DRAWS)]
    first = drawn[0][0]
    places = {
        rule: {place: np.mean([cases.places[rule][place] for cases, _ in drawn], axis=0) for place in both}
        for rule, both in first.places.items()
    }
    return replace(first, places=places), float(np.mean([younger for _, younger in drawn]))


def _drawn(found: Sequence[Scene], seed: int) -> tuple[Seen, float]:
    when = {lineage: uploads(lineage.models, seed) for lineage in {scene.lineage for scene in found}}
    told = [{JUDGE: dated(scene, when[scene.lineage]), "weights alone": scene.judgement.parent} for scene in found]
    younger = [
        when[scene.lineage][model.id] < when[scene.lineage][model.parent]
        for scene in found
        for model, parent in zip(scene.crowd.models, scene.crowd.parents, strict=True)
        if parent >= 0 and model.parent is not None
    ]
    return ranked_by(found, told), float(np.mean(younger))


def figures(found: Sequence[Scene]) -> list[Figure]:
    """The parent first with dates counted, beside weights alone."""
    cases, younger = seen_with_dates(found)
    note = f"mean of {DRAWS} orders of making; {younger:.1%} of parents were uploaded after the child"
    return [
        cases.row("judge.parent_first_dates", cases.first_regime, ">= .90", note=f"first regime; {note}"),
        cases.row("judge.parent_first_dates_hub", cases.hub, note="second regime, likewise"),
    ]


def _sources(model: ZooModel) -> list[str]:
    named = [model.parent, model.distilled_from, *(source for source, _ in model.merged_from or ())]
    return [source for source in named if source is not None]


def _sources_first(models: Sequence[ZooModel]) -> list[ZooModel]:
    """The models with what each is made of before it."""
    by_id = {model.id: model for model in models}
    placed: dict[str, ZooModel] = {}

    def place(model: ZooModel) -> None:
        if model.id not in placed:
            for source in _sources(model):
                place(by_id[source])
            placed[model.id] = model

    for model in models:
        place(model)
    return list(placed.values())
