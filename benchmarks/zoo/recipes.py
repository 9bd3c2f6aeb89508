"""How a model is trained: optimiser, learning rate, decay, steps, schedule, precision, and what is frozen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

Optimiser = Literal["sgd", "adam", "adamw"]
Frozen = Literal["", "early", "trunk"]


@dataclass(frozen=True)
class Recipe:
    """The settings of one training run.

    ``precision`` is ``full``, or ``pure`` where weights are rounded to bfloat16 after every step, as in training without
    a full-precision copy.
    """

    optimiser: Optimiser
    lr: float
    weight_decay: float
    steps: int
    batch: int
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    precision: Literal["full", "pure"] = "full"
    frozen: Frozen = ""


# How far a child goes from its parent: the tangent of the angle between them, as (lowest, highest), aimed at before training.
STRIDES = {"tiny": (0.004, 0.04), "small": (0.05, 0.3), "middle": (0.35, 1.0), "large": (1.2, 2.4)}

# log(distance) is about REACH + .7 log(lr) + GROWTH log(steps), found by least squares on children: (adaptive, SGD) by kind.
REACH = {
    "mlp": (1.2, -1.4),
    "cnn": (1.7, -1.25),
    "cnn_bn": (1.6, -1.45),
    "resnet": (1.8, -2.1),
    "restorer": (1.68, -2.55),
    "vit": (1.27, -2.35),
    "llama": (1.6, -2.4),
}
GROWTH = (0.35, 0.55)
FASTEST = (0.012, 0.3)  # above these learning rates a network forgets rather than learns
DECAYS = {"sgd": (0.0, 5e-4, 5e-3), "adam": (0.0, 1e-5, 1e-4), "adamw": (0.0, 0.01, 0.05, 0.1)}
MOMENTUM = 10.0  # the steps that a gradient lives on for, with a momentum of .9


def child_recipe(rng: Random, kind: str, stride: str, *, steps: int, batch: int, schedules: tuple[str, ...]) -> Recipe:
    """A recipe that should carry a child about as far from its parent as ``stride`` says."""
    low, high = STRIDES[stride]
    distance = math.exp(rng.uniform(math.log(low), math.log(high)))
    optimiser: Optimiser = rng.choice(("adamw", "adamw", "adam", "sgd"))
    plain = optimiser == "sgd"
    schedule = rng.choice(schedules)
    lr = math.exp((math.log(distance) - REACH[kind][plain] - GROWTH[plain] * math.log(steps)) / 0.7)
    lr = min(lr * (1.0 if schedule == "constant" else 1.6), FASTEST[plain])
    lr, decay = float(f"{lr:.2e}"), _decay(rng, optimiser, lr, steps, most=1.0)
    return Recipe(optimiser, lr, decay, steps, batch, schedule)  # type: ignore[arg-type]


def _decay(rng: Random, optimiser: Optimiser, lr: float, steps: int, *, most: float) -> float:
    """A weight decay that, left to itself, shrinks weights by no more than the exponential of ``-most``."""
    decay = rng.choice(DECAYS[optimiser])
    if optimiser == "sgd":
        decay = min(decay, most / (MOMENTUM * lr * steps))
    return float(f"{decay:.2e}")


def root_recipe(rng: Random, kind: str, *, steps: int, batch: int, schedules: tuple[str, ...]) -> Recipe:
    """A recipe for training from scratch."""
    optimiser: Optimiser = "adamw" if kind in ("vit", "llama", "restorer") else rng.choice(("adamw", "adam", "sgd"))
    lr = {"sgd": 0.05, "adam": 2e-3, "adamw": 2e-3}[optimiser] * math.exp(rng.uniform(-0.6, 0.6))
    decay = _decay(rng, optimiser, lr, steps, most=2.0)
    return Recipe(optimiser, float(f"{lr:.2e}"), decay, steps, batch, rng.choice(schedules))  # type: ignore[arg-type]
