"""What the disguises of the benchmark are: changes of weights that leave what really trained networks compute."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.derivatives.disguised import DISGUISES, Subject
from benchmarks.derivatives.wires import batch_norm
from tests.disguise.nets import NETS, Trained, Weights, family

KEEPING = ("neurons", "heads", "within heads", "stream", "rescaled", "folded")
"""Those that leave names and shapes, so that the same network takes the weights."""
IDLE = {  # what has nothing to change in a network
    "mlp-a": {"heads", "within heads", "stream", "folded"},
    "cnn-a": {"heads", "within heads", "stream", "folded"},
    "cnn_bn-a": {"heads", "within heads", "stream"},
    "resnet-a": {"heads", "within heads"},
    "resnet-d": {"heads", "within heads", "rescaled", "folded"},
    "grouped": {"within heads"},
}


def disguise(trained: Trained, held: Weights, word: str, seed: int = 1) -> Weights:
    subject = Subject(held, trained.heads, rectified=trained.rectified, seed=seed)
    DISGUISES[word](subject)
    return subject.weights


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("word", KEEPING)
def test_a_disguise_changes_weights_and_not_what_is_computed(net: str, word: str) -> None:
    trained = family(net)
    held = dict(trained.held["child"])
    changed = disguise(trained, held, word)
    if set(changed) != set(held):  # batch norms are gone: put back such as do nothing but add the bias
        changed = _as_batch_norms(held, changed)
    moved = [name for name in held if not np.array_equal(held[name], changed[name])]
    assert bool(moved) == (word not in IDLE.get(net, set()))
    before, after = trained.outputs(held), trained.outputs(changed)
    assert np.abs(after - before).max() < 1e-4 * np.abs(before).max()


def _as_batch_norms(held: Weights, folded: Weights) -> Weights:
    found = dict(folded)
    for name in held:
        stem = batch_norm(name)
        if stem and f"{stem}running_var" in held:
            bias = found.pop(name.removesuffix("weight") + "bias")
            ones, variance = np.ones_like(bias), np.full_like(bias, 1 - 1e-5)
            found |= {f"{stem}weight": ones, f"{stem}bias": bias, f"{stem}running_mean": 0 * ones, f"{stem}running_var": variance}
    return found


@pytest.mark.parametrize("net", ["vit-a", "llama-a", "gpt2", "grouped"])
def test_fused_and_split_tensors_hold_the_same_rows(net: str) -> None:
    trained = family(net)
    held = dict(trained.held["child"])
    changed = disguise(trained, held, "fused")
    assert len(changed) != len(held)
    assert sorted(np.concatenate([value.ravel() for value in changed.values()])) == sorted(
        np.concatenate([value.ravel() for value in held.values()])
    )


def test_untied_weights_are_copies() -> None:
    trained = family("gpt2")
    changed = disguise(trained, dict(trained.held["child"]), "untied")
    assert np.array_equal(changed["lm_head.weight"], changed["transformer.wte.weight"])


def test_noise_is_small() -> None:
    trained = family("mlp-a")
    held = dict(trained.held["child"])
    changed = disguise(trained, held, "noisy")
    for name, value in held.items():
        assert 0 < np.std(changed[name] - value) < 0.03 * np.std(value)
