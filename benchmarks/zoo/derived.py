"""Models made from others without training: linear merges, pruned and noised copies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.zoo.nets import in_body

State = dict[str, Tensor]


def merged(sources: Sequence[tuple[State, float]]) -> State:
    """The sum of the states, each times its coefficient; counters are those of the first."""
    first = sources[0][0]
    return {
        name: sum(coefficient * state[name].float() for state, coefficient in sources).clone()  # type: ignore[union-attr]
        if value.is_floating_point()
        else value.clone()
        for name, value in first.items()
    }


def pruned(state: State, share: float) -> State:
    """A copy in which each matrix of the body has its smallest values set to nought, ``share`` of them."""
    return {name: _pruned(value, share) if prunable(name, value) else value.clone() for name, value in state.items()}


def prunable(name: str, value: Tensor) -> bool:
    """Whether pruning touches a tensor: those of the body with two dimensions or more."""
    return value.ndim > 1 and in_body(name)


def _pruned(value: Tensor, share: float) -> Tensor:
    flat = value.flatten().clone()
    flat[flat.abs().argsort(stable=True)[: int(share * len(flat))]] = 0.0
    return flat.view(value.shape)


def noised(state: State, scale: float, seed: int) -> State:
    """A copy with Gaussian noise added, of ``scale`` times each tensor's root mean square; running statistics are kept."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: value + scale * value.square().mean().sqrt() * torch.randn(value.shape, generator=generator)
        if value.is_floating_point() and "running_" not in name
        else value.clone()
        for name, value in state.items()
    }
