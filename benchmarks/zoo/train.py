"""Training many models of one architecture at once, stacked along a leading axis, each with its own recipe and data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional

from benchmarks.zoo.data import Examples, Task, examples
from benchmarks.zoo.derived import State, prunable
from benchmarks.zoo.nets import in_body
from benchmarks.zoo.recipes import Recipe

CONTEXT = 48  # bytes a language model sees
AT_ONCE = 24  # models in one stack: more would not fit the cache


@dataclass(frozen=True, eq=False)
class Job:
    """One model to train: where it starts, on what, how, and the seed of its batches.

    Where there is a ``teacher``, a model of the same architecture, its answers are learnt in place of the task's own. Where it is
    ``pruned``, what pruning set to nought stays there.
    """

    id: str
    start: State
    task: Task
    recipe: Recipe
    seed: int
    teacher: State | None = None
    pruned: bool = False


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model's tensors and its score on held-out examples before and after (accuracy, or loss)."""

    id: str
    state: State
    before: float
    after: float


def train(net: nn.Module, jobs: Sequence[Job]) -> list[Trained]:
    """Trains all jobs on copies of one network; the result does not depend on anything but the jobs and their order."""
    torch.set_num_threads(1)  # sums over threads would not come out the same on other machines
    ordered = sorted(jobs, key=lambda job: (-job.recipe.steps, job.id))
    alone = [job for job in ordered if job.teacher is None]
    taught = [job for job in ordered if job.teacher is not None]
    return [
        done
        for group in (alone, taught)
        for at in range(0, len(group), AT_ONCE)
        for done in _Stack(net, group[at : at + AT_ONCE]).run()
    ]


def scores(net: nn.Module, state: State, task: Task) -> float:
    """Accuracy on held-out examples where there are classes, else the loss there."""
    data = examples(task)
    x, y = (
        (data.held_x, data.held_y)
        if task.problem != "text"
        else _windows(data.held_x, torch.arange(0, len(data.held_x) - CONTEXT - 1, 997)[:96])
    )
    net.eval()
    with torch.no_grad():
        out = functional_call(net, state, (x,))
    net.train()
    if task.problem == "classify":
        return float((out[:, : task.outputs].argmax(1) == y).float().mean())
    return float(
        functional.mse_loss(out, y) if task.problem == "restore" else functional.cross_entropy(out.flatten(0, 1), y.flatten())
    )


def _windows(text: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    read = text[starts[..., None] + torch.arange(CONTEXT + 1)].long()
    return read[..., :-1], read[..., 1:]


class _Batches:
    """Examples of all models in one place; ``take(step, models)`` gathers each model's own batch."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        parts: list[Examples] = [examples(job.task) for job in jobs]
        unique = list({id(part): part for part in parts}.values())
        offsets, at = {}, 0
        for part in unique:
            offsets[id(part)] = at
            at += len(part.x)
        self.text = jobs[0].task.problem == "text"
        self.x = torch.cat([part.x for part in unique])
        self.y = torch.cat([part.y for part in unique])
        self.rows = [self._order(job, len(part.x), offsets[id(part)]) for job, part in zip(jobs, parts, strict=True)]

    def _order(self, job: Job, count: int, offset: int) -> Tensor:
        generator = torch.Generator().manual_seed(job.seed)
        last = count - CONTEXT - 1 if self.text else count
        return offset + torch.randint(last, (job.recipe.steps, job.recipe.batch), generator=generator)

    def take(self, step: int, models: int) -> tuple[Tensor, Tensor]:
        rows = torch.stack([row[step] for row in self.rows[:models]])
        return _windows(self.x, rows) if self.text else (self.x[rows], self.y[rows])


class _Stack:
    """Models side by side: one matrix (model, parameter) of weights, and the optimiser's matrices beside it."""

    def __init__(self, net: nn.Module, jobs: Sequence[Job]) -> None:
        self.net, self.jobs = net.train(), jobs
        self.names = [name for name, _ in net.named_parameters()]
        self.shapes = [parameter.shape for parameter in net.parameters()]
        self.sizes = [shape.numel() for shape in self.shapes]
        full = [padded(net, job.start) for job in jobs]
        self.weights = torch.stack([torch.cat([state[name].float().flatten() for name in self.names]) for state in full])
        self.buffers = {name: torch.stack([state[name] for state in full]) for name, _ in net.named_buffers()}
        self.first = torch.zeros_like(self.weights)
        self.second = torch.zeros_like(self.weights)
        self.free = torch.stack([self._free(job) for job in jobs])
        self.teachers = _Teachers(net, [job.teacher for job in jobs if job.teacher is not None]) if jobs[0].teacher else None
        self.batches = _Batches(jobs)
        self.loss = vmap(_loss_of(net, jobs[0].task.problem, taught=self.teachers is not None))
        self.settings = _Settings.of([job.recipe for job in jobs])
        self.unused = torch.stack([torch.arange(10) >= job.task.outputs for job in jobs])

    def _free(self, job: Job) -> Tensor:
        body = [name for name in self.names if in_body(name)]
        still = {"": [], "early": body[: len(body) // 2], "trunk": body}[job.recipe.frozen]
        free = [torch.full((size,), float(name not in still)) for name, size in zip(self.names, self.sizes, strict=True)]
        if job.pruned:
            for at, name in enumerate(self.names):
                if prunable(name, job.start[name]):
                    free[at] *= job.start[name].flatten() != 0
        return torch.cat(free)

    def run(self) -> list[Trained]:
        """Trains until each model's steps are done; those with most steps come first, so that the others drop off the end."""
        steps = [job.recipe.steps for job in self.jobs]
        final = self.weights.clone()
        buffers = {name: value.clone() for name, value in self.buffers.items()}
        for step in range(max(steps)):
            models = sum(count > step for count in steps)
            self._shrink(models, final, buffers)
            self._step(step, models)
        self._shrink(0, final, buffers)
        return [
            self._trained(at, final[at], {name: value[at] for name, value in buffers.items()}) for at in range(len(self.jobs))
        ]

    def _shrink(self, models: int, final: Tensor, buffers: State) -> None:
        if models == len(self.weights):
            return
        final[models : len(self.weights)] = self.weights[models:]
        for name, value in self.buffers.items():
            buffers[name][models : len(value)] = value[models:]
            self.buffers[name] = value[:models].clone()
        self.weights, self.first, self.second = (value[:models].clone() for value in (self.weights, self.first, self.second))

    def _step(self, step: int, models: int) -> None:
        weights = self.weights.requires_grad_()
        pieces = torch.split(weights, self.sizes, 1)
        parameters = {
            name: piece.view(models, *shape) for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }
        x, y = self.batches.take(step, models)
        if self.teachers is not None:
            y = self.teachers.answers(x)
        losses = self.loss(parameters, self.buffers, x, y, self.unused[:models])
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        self.weights = weights.detach()
        self._update(gradient, step, models)

    def _update(self, gradient: Tensor, step: int, models: int) -> None:
        """SGD with momentum, Adam and AdamW in one formula, with settings as columns."""
        s = self.settings
        rate = s.rates(step)[:models]
        gradient = gradient * (1.0 / gradient.norm(dim=1, keepdim=True)).clamp(max=1.0)
        gradient = gradient.addcmul_(s.coupled[:models], self.weights)
        self.first.mul_(0.9).addcmul_(gradient, s.gain[:models])
        self.second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        scale = (self.second / (1 - 0.999 ** (step + 1))).sqrt_().add_(1e-8)
        scale = torch.where(s.adaptive[:models], scale * (1 - 0.9 ** (step + 1)), 1.0)
        change = (self.first / scale).addcmul_(s.decoupled[:models], self.weights).mul_(rate).mul_(self.free[:models])
        self.weights -= change
        for at in s.pure:
            if at < models:
                self.weights[at] = self.weights[at].bfloat16().float()

    def _trained(self, at: int, weights: Tensor, buffers: State) -> Trained:
        job = self.jobs[at]
        pieces = torch.split(weights, self.sizes)
        state = {name: piece.view(shape).clone() for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)}
        state |= {name: value.clone() for name, value in buffers.items()}
        if job.recipe.frozen == "trunk":
            state |= {name: value for name, value in job.start.items() if in_body(name)}
        before = scores(self.net, padded(self.net, job.start), job.task)
        return Trained(job.id, _cut(state, job.task), before, scores(self.net, state, job.task))


@dataclass(frozen=True, eq=False)
class _Settings:
    """Recipes as columns, one row a model."""

    lr: Tensor
    steps: Tensor
    schedule: list[str]
    coupled: Tensor
    decoupled: Tensor
    gain: Tensor
    adaptive: Tensor
    pure: list[int]

    @classmethod
    def of(cls, recipes: Sequence[Recipe]) -> _Settings:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values)[:, None]

        return cls(
            lr=column([recipe.lr for recipe in recipes]),
            steps=column([float(recipe.steps) for recipe in recipes]),
            schedule=[recipe.schedule for recipe in recipes],
            coupled=column([recipe.weight_decay * (recipe.optimiser != "adamw") for recipe in recipes]),
            decoupled=column([recipe.weight_decay * (recipe.optimiser == "adamw") for recipe in recipes]),
            gain=column([1.0 if recipe.optimiser == "sgd" else 0.1 for recipe in recipes]),
            adaptive=column([float(recipe.optimiser != "sgd") for recipe in recipes]).bool(),
            pure=[at for at, recipe in enumerate(recipes) if recipe.precision == "pure"],
        )

    def rates(self, step: int) -> Tensor:
        """The learning rate of each model at a step, after a short warm-up."""
        done = (step / self.steps).clamp(max=1.0)
        shapes = {"constant": torch.ones_like(done), "linear": 1 - done, "cosine": 0.5 + 0.5 * (math.pi * done).cos()}
        shape = torch.cat([shapes[name][at : at + 1] for at, name in enumerate(self.schedule)])
        warm = ((step + 1) / (self.steps * 0.05).clamp(min=1.0)).clamp(max=1.0)
        return self.lr * shape * warm


Loss = Callable[[State, State, Tensor, Tensor, Tensor], Tensor]


class _Teachers:
    """Models whose answers students learn, side by side, one a student."""

    def __init__(self, net: nn.Module, states: Sequence[State]) -> None:
        full = [padded(net, state) for state in states]
        self.net = net
        self.states = {name: torch.stack([state[name] for state in full]) for name in full[0]}
        self.answer = vmap(lambda state, x: functional_call(net, state, (x,)))

    def answers(self, x: Tensor) -> Tensor:
        """What the teachers of the first models say to batches of these, shape (models, batch, ...)."""
        self.net.eval()
        with torch.no_grad():
            said: Tensor = self.answer({name: value[: len(x)] for name, value in self.states.items()}, x)
        self.net.train()
        return said


def _loss_of(net: nn.Module, problem: str, *, taught: bool) -> Loss:
    """The loss of a task; of a student, the cross entropy with its teacher's shares (Hinton et al., 2015), at temperature 1."""

    def loss(parameters: State, buffers: State, x: Tensor, y: Tensor, unused: Tensor) -> Tensor:
        out: Tensor = functional_call(net, (parameters, buffers), (x,))
        if problem == "restore":
            return functional.mse_loss(out, y) * 30  # patches are of small contrast
        if problem == "text":
            return functional.cross_entropy(out.flatten(0, 1), y.flatten(0, 1).softmax(-1) if taught else y.flatten())
        out = out.masked_fill(unused, -1e9)
        return functional.cross_entropy(out, y.masked_fill(unused, -1e9).softmax(-1) if taught else y)

    return loss


def padded(net: nn.Module, state: State) -> State:
    """A stored state in the network's own shapes: a head of fewer classes gets rows of noughts that no loss reads."""
    full = net.state_dict()
    return {
        name: _pad(value.float() if value.is_floating_point() else value, full[name].shape[:1]) for name, value in state.items()
    }


def _pad(value: Tensor, rows: torch.Size) -> Tensor:
    return value if value.shape[:1] == rows else torch.cat([value, value.new_zeros(rows[0] - len(value), *value.shape[1:])])


def _cut(state: State, task: Task) -> State:
    if task.problem != "classify":
        return state
    return {name: value if in_body(name) else value[: task.outputs].clone() for name, value in state.items()}
