"""How one family of the zoo grows: what a planned model is, and the ways to add one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from benchmarks.zoo.data import Task
from benchmarks.zoo.nets import Variant
from benchmarks.zoo.recipes import Recipe, child_recipe, root_recipe
from benchmarks.zoo.truth import MadeBy

SOURCES = {
    "train": {
        "classify": ("digits", "mnist-a"),
        "restore": ("photos-a",),
        "text": ("python", "javascript", "stubs", "markdown", "docs"),
    },
    "validation": {"classify": ("mnist-b",), "restore": ("photos-b",), "text": ("css", "typescript", "cmake")},
    "test": {
        "classify": ("fashion",),
        "restore": ("photos-c",),
        "text": ("cpp", "json", "licences", "cython", "tables", "fonts"),
    },
}
SCHEDULES = {"train": ("constant", "linear"), "validation": ("constant", "linear"), "test": ("constant", "cosine")}
LEVELS = (0.0, 0.05, 0.12, 0.25)  # strength of the noise that graded siblings learn to take away or to bear
DEEPEST = 4


@dataclass(frozen=True)
class Planned:
    """A model to be made, and its place in its family.

    ``merged_from`` holds the models that a linear merge is made of, with their coefficients; ``distilled_from`` the teacher of
    a student that starts from scratch; ``pruned`` the share of weights set to nought; ``noise`` the deviation of the Gaussian
    noise added, against each tensor's root mean square. A recipe of no steps trains nothing.
    """

    id: str
    parent: str | None
    root: str
    family: str
    generation: int
    variant: str
    regime: str
    dtype: str
    task: Task
    recipe: Recipe
    seed: int
    hidden: bool = False
    head_replaced: bool = False
    twin_of_seed: str | None = None
    recipe_group: str | None = None
    checkpoint_of: str | None = None
    merged_from: tuple[tuple[str, float], ...] = ()
    distilled_from: str | None = None
    pruned: float = 0.0
    noise: float = 0.0

    @property
    def made_by(self) -> MadeBy:
        """The way in which the model came to be."""
        if self.merged_from:
            return "merge"
        if self.distilled_from is not None:
            return "distil"
        if self.pruned:
            return "prune"
        if self.noise:
            return "noise"
        return "train" if self.checkpoint_of is None else "checkpoint"

    @property
    def made_from(self) -> tuple[str, ...]:
        """The models that must be there before this one is made: parent, teacher, or what is merged."""
        sources = [self.parent, self.distilled_from, *(source for source, _ in self.merged_from)]
        return tuple(source for source in sources if source is not None)


class Family:
    """Grows one family of one architecture: every method adds a model and returns it."""

    def __init__(self, rng: Random, variant: Variant, regime: str, name: str, effort: float) -> None:
        self.rng, self.variant, self.regime, self.name, self.effort = rng, variant, regime, name, effort
        self.models: list[Planned] = []
        self.batch = variant.batch // {"llama": 4, "restorer": 3}.get(variant.kind, 1)
        self.dtype = "F32"

    def steps(self, low: int, high: int) -> int:
        """A number of steps, in proportion to the effort this size of zoo allows."""
        return max(8, int(self.rng.triangular(low, high, low) * self.effort))

    @property
    def problem(self) -> str:
        """What this architecture is for."""
        return {"llama": "text", "restorer": "restore"}.get(self.variant.kind, "classify")

    def task(self) -> Task:
        """A task to start from."""
        sources = SOURCES[self.variant.split][self.problem]
        if self.problem == "text":
            return Task("+".join(sorted(self.rng.sample(sources, 3))))
        return Task(self.rng.choice(sources), upscale=self.problem == "restore")

    def other_task(self, task: Task) -> Task:
        """Another task for the same architecture: other classes, labels, looks or data."""
        sources = SOURCES[self.variant.split][self.problem]
        rng = self.rng
        if self.problem == "text":
            return Task(rng.choice(sources), part=rng.choice((0, 1, 2)))
        if self.problem == "restore":
            return replace(
                task,
                noise=rng.choice(LEVELS),
                rotation=rng.choice((0, 90, 180)),
                upscale=rng.random() < 0.7,
                part=rng.choice((0, 1, 2)),
            )
        change = rng.choice(("classes", "relabel", "rotation", "invert", "noise", "source"))
        changes = {
            "classes": lambda: replace(task, classes=tuple(sorted(rng.sample(range(10), 5))), relabel=0),
            "relabel": lambda: replace(task, relabel=rng.randrange(1, 1000)),
            "rotation": lambda: replace(task, rotation=rng.choice((90, 180, 270))),
            "invert": lambda: replace(task, invert=not task.invert),
            "noise": lambda: replace(task, noise=rng.choice((0.3, 0.6, 1.0))),
            "source": lambda: Task(rng.choice(sources), part=rng.choice((1, 2))),
        }
        return changes[change]()

    def root(self, task: Task, *, steps: int, seed: int | None = None, hidden: bool = False) -> Planned:
        """Adds a model trained from scratch."""
        recipe = root_recipe(self.rng, self.variant.kind, steps=steps, batch=self.batch, schedules=SCHEDULES[self.variant.split])
        name = f"{self.name}/{len(self.models)}"
        seed = self._seed() if seed is None else seed
        return self._add(
            Planned(name, None, name, self.name, 0, self.variant.name, self.regime, self.dtype, task, recipe, seed, hidden)
        )

    def child(self, parent: Planned, task: Task, recipe: Recipe) -> Planned:
        """Adds a model trained from ``parent``."""
        replaced = task.outputs != parent.task.outputs or (task.relabel != parent.task.relabel and self.rng.random() < 0.5)
        return self._add(
            Planned(
                id=f"{self.name}/{len(self.models)}",
                parent=parent.id,
                root=parent.root,
                family=self.name,
                generation=parent.generation + 1,
                variant=parent.variant,
                regime=parent.regime,
                dtype=parent.dtype,
                task=task,
                recipe=recipe,
                seed=self._seed(),
                head_replaced=replaced,
            )
        )

    def noised(self, parent: Planned, noise: float) -> Planned:
        """Adds a copy of ``parent`` disguised by Gaussian noise."""
        self.child(parent, parent.task, self.untrained())
        return self._change(noise=noise)

    def pruned(self, parent: Planned, share: float, recipe: Recipe) -> Planned:
        """Adds ``parent`` with its smallest weights set to nought, tuned further where the recipe has steps."""
        self.child(parent, parent.task, recipe)
        return self._change(pruned=share)

    def merged(self, sources: Sequence[tuple[Planned, float]]) -> Planned:
        """Adds a linear merge of models of one tree; it has no one parent."""
        first = sources[0][0]
        self.child(first, first.task, self.untrained())
        return self._change(
            parent=None,
            generation=1 + max(source.generation for source, _ in sources),
            merged_from=tuple((source.id, coefficient) for source, coefficient in sources),
        )

    def distilled(self, teacher: Planned, *, steps: int) -> Planned:
        """Adds a student that learns from scratch what ``teacher`` answers: no lineage of weights."""
        self.root(teacher.task, steps=steps)
        return self._change(distilled_from=teacher.id)

    def untrained(self) -> Recipe:
        """The recipe of a model that is made without training."""
        return Recipe("sgd", 0.0, 0.0, 0, self.batch)

    def _change(self, **changes: Any) -> Planned:
        self.models[-1] = replace(self.models[-1], **changes)
        return self.models[-1]

    def sibling(self, model: Planned) -> Planned:
        """Adds a child of the same parent tuned on like data, by the same recipe or another of that kind."""
        parent = next(other for other in self.models if other.id == model.parent)
        part = self.rng.choice((0, 1, 2))
        if self.rng.random() < 0.4:
            group = model.recipe_group or model.id
            self.models[self.models.index(model)] = replace(model, recipe_group=group)
            self.child(parent, model.task.like(part), model.recipe)
            self.models[-1] = replace(self.models[-1], recipe_group=group)
            return self.models[-1]
        speed = math.exp(self.rng.uniform(-0.7, 0.7))
        recipe = replace(model.recipe, lr=float(f"{model.recipe.lr * speed:.2e}"), steps=self.steps(60, 500))
        return self.child(parent, model.task.like(part), recipe)

    def recipe(self, stride: str, steps: int) -> Recipe:
        """A recipe of the wanted stride, sometimes with frozen layers."""
        found = child_recipe(
            self.rng, self.variant.kind, stride, steps=steps, batch=self.batch, schedules=SCHEDULES[self.variant.split]
        )
        draw = self.rng.random()
        if stride in ("middle", "large") or self.variant.kind in ("restorer", "llama"):
            return found
        return replace(found, frozen="trunk" if draw < 0.08 else "early" if draw < 0.2 else "")

    def _seed(self) -> int:
        return self.rng.randrange(1 << 30)

    def _add(self, model: Planned) -> Planned:
        self.models.append(model)
        return model
