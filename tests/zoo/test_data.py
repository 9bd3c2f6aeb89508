from __future__ import annotations

import pytest
import torch

from benchmarks.zoo.data import TEXT_KINDS, Task, examples, text
from benchmarks.zoo.plan import plan


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_every_kind_of_text_is_at_hand(kind: str) -> None:
    assert len(text(kind)) > 30_000


@pytest.mark.parametrize("source", ["digits", "mnist-a", "mnist-b", "mnist-c", "fashion", "photos-a", "photos-b", "photos-c"])
def test_every_source_of_images_has_training_and_held_out_examples(source: str) -> None:
    data = examples(Task(source))
    assert len(data.x) >= 700
    assert len(data.held_x) >= 200
    assert torch.isfinite(data.x).all()


def test_like_tasks_share_a_source_and_no_example() -> None:
    first, second = examples(Task("digits").like(1)), examples(Task("digits").like(2))
    assert not {tuple(row) for row in first.x.flatten(1).tolist()} & {tuple(row) for row in second.x.flatten(1).tolist()}


def test_a_description_tells_tasks_apart() -> None:
    tasks = {model.task for model in plan("full", 0)}
    assert len({task.describe() for task in tasks}) == len(tasks)
