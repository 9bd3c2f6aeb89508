"""Merges by plain code, after the papers and as mergekit has them; the oracle of the tests, and what the benchmark solves.

All work on weights by name, tensor by tensor, in float32: what they are stored in is another matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Weights = dict[str, Array]

_LINE = 0.9995  # the cosine above which SLERP is a line
_NEAR_ZERO = 1e-8


def linear(models: Sequence[Weights], weights: Sequence[float], *, normalised: bool = False) -> Weights:
    """The weighted sum: model soups (Wortsman et al. 2022)."""
    total = sum(weights) if normalised else 1.0
    return {name: _sum([np.float32(w / total) * m[name] for w, m in zip(weights, models, strict=True)]) for name in models[0]}


def task_arithmetic(base: Weights, models: Sequence[Weights], weights: Sequence[float]) -> Weights:
    """The base and the weighted differences from it (Ilharco et al. 2023)."""
    return {
        name: own + _sum([np.float32(w) * (m[name] - own) for w, m in zip(weights, models, strict=True)])
        for name, own in base.items()
    }


def slerp(first: Weights, second: Weights, place: float) -> Weights:
    """The arc from one model, at place 0, to the other (Shoemake 1985), every tensor a vector."""
    return {name: _arc(first[name], second[name], place) for name in first}


def _arc(first: Array, second: Array, place: float) -> Array:
    norms = [max(float(np.linalg.norm(side)), _NEAR_ZERO) for side in (first, second)]
    cosine = float(np.sum((first / np.float32(norms[0])) * (second / np.float32(norms[1]))))
    if abs(cosine) > _LINE:
        return np.float32(1 - place) * first + np.float32(place) * second
    angle = float(np.arccos(cosine))
    ends = [np.float32(np.sin(part * angle) / np.sin(angle)) for part in (1 - place, place)]
    return ends[0] * first + ends[1] * second


def model_stock(base: Weights, models: Sequence[Weights]) -> Weights:
    """Between the base and the mean of its fine-tunes, by their mean angle, tensor by tensor (Jang et al. 2024)."""
    return {name: _stock(own, [m[name] for m in models]) for name, own in base.items()}


def _stock(base: Array, tuned: Sequence[Array]) -> Array:
    deltas = [(one - base).ravel() for one in tuned]
    norms = [max(float(np.linalg.norm(delta)), _NEAR_ZERO) for delta in deltas]
    pairs = [(i, j) for i in range(len(deltas)) for j in range(i)]
    cosine = float(np.mean([float(deltas[i] @ deltas[j]) / norms[i] / norms[j] for i, j in pairs]))
    ratio = np.float32(len(tuned) * cosine / (1 + (len(tuned) - 1) * cosine))
    return ratio * (_sum(tuned) / np.float32(len(tuned))) + (np.float32(1) - ratio) * base


def ties(
    base: Weights,
    models: Sequence[Weights],
    density: float,
    scale: float = 1.0,
    weights: Sequence[float] | None = None,
) -> Weights:
    """Trim, elect sign and merge (Yadav et al. 2023): of each difference the largest share, averaged where they agree."""
    shares = np.array(weights or [1.0] * len(models), dtype=np.float32)
    made = {}
    for name, own in base.items():
        deltas = np.stack([_trimmed(m[name] - own, density) for m in models])
        weighed = deltas * shares.reshape(-1, *[1] * own.ndim)
        agree = np.sign(deltas) == np.sign(weighed.sum(axis=0))
        agree &= deltas != 0
        total = (agree * shares.reshape(-1, *[1] * own.ndim)).sum(axis=0)
        mean = np.divide((weighed * agree).sum(axis=0), total, out=np.zeros_like(own), where=total > _NEAR_ZERO)
        made[name] = own + np.float32(scale) * mean
    return made


def _trimmed(delta: Array, density: float) -> Array:
    kept = int(density * delta.size)
    if kept >= delta.size:
        return delta
    order = np.argsort(np.abs(delta).ravel(), kind="stable")[: delta.size - kept]
    left = delta.ravel().copy()
    left[order] = 0
    return left.reshape(delta.shape)


def dare(
    base: Weights,
    models: Sequence[Weights],
    density: float,
    weights: Sequence[float],
    *,
    elect: bool,
    seed: int,
) -> Weights:
    """Drop and rescale (Yu et al. 2024): a random share of each difference, enlarged, then summed; with a sign elected or not."""
    drawn = np.random.default_rng(seed)
    made = {}
    for name, own in base.items():
        masks = [drawn.random(own.shape) < density for _ in models]
        kept = np.stack([np.where(mask, (m[name] - own) / np.float32(density), 0) for mask, m in zip(masks, models, strict=True)])
        weighed = kept * np.array(weights, dtype=np.float32).reshape(-1, *[1] * own.ndim)
        if elect:
            weighed = np.where(np.sign(weighed) == np.sign(weighed.sum(axis=0)), weighed, 0)
        made[name] = (own + weighed.sum(axis=0)).astype(np.float32)
    return made


def swapped(models: Sequence[Weights]) -> Weights:
    """Every tensor from one of the models in turn: layers swapped, as passthrough does with models of one depth."""
    return {name: models[k % len(models)][name] for k, name in enumerate(sorted(models[0]))}


def _sum(parts: Sequence[Array]) -> Array:
    total = parts[0].copy()
    for part in parts[1:]:
        total = total + part
    return total
