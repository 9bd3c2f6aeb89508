from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.zoo.data import Task, examples
from benchmarks.zoo.derived import State
from benchmarks.zoo.nets import VARIANTS, in_body
from benchmarks.zoo.recipes import Optimiser, Recipe
from benchmarks.zoo.train import Job, train


def _fresh(variant: str, seed: int) -> State:
    torch.manual_seed(seed)
    return {name: value.clone() for name, value in VARIANTS[variant].make().state_dict().items()}


RECIPE = Recipe("adamw", 2e-3, 0.01, 12, 16)


def test_a_frozen_trunk_is_bit_identical_and_an_early_freeze_holds_the_first_half() -> None:
    start = _fresh("cnn_bn-a", 0)
    jobs = [Job(frozen, start, Task("digits"), replace(RECIPE, frozen=frozen), 3) for frozen in ("", "early", "trunk")]
    done = {trained.id: trained.state for trained in train(VARIANTS["cnn_bn-a"].make(), jobs)}
    body = [name for name in start if in_body(name)]
    assert all(torch.equal(done["trunk"][name], start[name]) for name in body)
    assert not torch.equal(done["trunk"]["classifier.weight"], start["classifier.weight"])
    assert torch.equal(done["early"]["features.0.weight"], start["features.0.weight"])
    assert not torch.equal(done["early"]["features.6.weight"], start["features.6.weight"])
    assert all(not torch.equal(done[""][name], start[name]) for name in body if name.endswith("weight"))


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_a_stack_trains_as_torch_does(optimiser: Optimiser) -> None:
    start, task, recipe = _fresh("mlp-a", 0), Task("digits"), replace(RECIPE, optimiser=optimiser, schedule="constant")
    others = [Job(str(seed), _fresh("mlp-a", seed), task, replace(RECIPE, steps=seed * 4), seed) for seed in (1, 2)]
    done = {
        trained.id: trained.state for trained in train(VARIANTS["mlp-a"].make(), [Job("it", start, task, recipe, 7), *others])
    }["it"]
    net = VARIANTS["mlp-a"].make()
    net.load_state_dict(start)
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    options = {"momentum": 0.9} if optimiser == "sgd" else {}
    steps = kinds[optimiser](net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, **options)
    data = examples(task)
    rows = torch.randint(len(data.x), (recipe.steps, recipe.batch), generator=torch.Generator().manual_seed(7))
    for row in rows:
        steps.zero_grad()
        torch.autograd.backward(torch.nn.functional.cross_entropy(net(data.x[row]), data.y[row]))
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        steps.step()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(done[name], value, rtol=1e-3, atol=2e-5)


def test_a_smaller_head_is_stored_small_and_learns_only_its_classes() -> None:
    task = Task("digits", classes=(1, 3, 5))
    start = {name: value if in_body(name) else value[:3] for name, value in _fresh("mlp-a", 0).items()}
    (done,) = train(VARIANTS["mlp-a"].make(), [Job("it", start, task, replace(RECIPE, steps=60), 0)])
    assert done.state["head.weight"].shape[0] == 3
    assert done.after > max(done.before, 0.6)


def test_pure_bfloat16_weights_stay_on_the_grid() -> None:
    start = {name: value.bfloat16().float() for name, value in _fresh("mlp-a", 0).items()}
    (done,) = train(VARIANTS["mlp-a"].make(), [Job("it", start, Task("digits"), replace(RECIPE, precision="pure"), 0)])
    assert all(torch.equal(value, value.bfloat16().float()) for value in done.state.values())
