"""The families of the zoo, planned from a seed before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from benchmarks.zoo.data import Task
from benchmarks.zoo.nets import VARIANTS, Variant
from benchmarks.zoo.recipes import Recipe, child_recipe, root_recipe

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
    """A model to be trained, and its place in its family."""

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
            replace(
                parent,
                id=f"{self.name}/{len(self.models)}",
                parent=parent.id,
                generation=parent.generation + 1,
                task=task,
                recipe=recipe,
                seed=self._seed(),
                hidden=False,
                head_replaced=replaced,
                twin_of_seed=None,
                recipe_group=None,
                checkpoint_of=None,
            )
        )

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


def deep(family: Family, count: int) -> None:
    """Regime 1: a tree of up to four generations below its root, with increments of every size."""
    rng = family.rng
    family.dtype = rng.choice(("F32", "F32", "F32", "F16", "BF16"))
    root = family.root(family.task(), steps=family.steps(400, 1000), hidden=rng.random() < 0.1)
    while len(family.models) < count:
        children = family.models[1:]
        if children and rng.random() < 0.55:
            family.sibling(rng.choice(children))
            continue
        deepest = min(DEEPEST - 1, max(model.generation for model in family.models))
        wanted = deepest if rng.random() < 0.3 else rng.randint(0, deepest)
        parent = rng.choice([model for model in family.models if model.generation == wanted])
        stride = rng.choice(("tiny", "small", "small", "middle", "middle", "large", "large", "large", "large"))
        long = stride in ("middle", "large")
        recipe = family.recipe(stride, family.steps(120, 600) if long else family.steps(60, 400))
        child = family.child(parent, family.other_task(parent.task), recipe)
        if not recipe.frozen and rng.random() < 0.12:
            family.models[-1] = replace(child, dtype=rng.choice(("F32", "F16", "BF16")))
    _hide_some(family, root)


def star(family: Family, count: int) -> None:
    """Children of one root graded in the strength of one task, as published restoration networks are."""
    rng = family.rng
    family.dtype = rng.choice(("F32", "F16", "F16"))
    as_long = rng.random() < 0.6
    task = family.task()
    length = family.steps(500, 900) if as_long else family.steps(1500, 2200)
    root = family.root(task, steps=length)
    base = root
    if rng.random() < 0.5:  # children start from an earlier revision than the one that is served, which then went on training
        base = replace(root, hidden=True)
        family.models[0] = base
        final = family.child(base, task, family.recipe("small", length // 6))
        family.models[0] = base = replace(base, checkpoint_of=final.id)
    stride = rng.choice(("middle", "large")) if as_long else rng.choice(("small", "middle"))
    steps = int(length * rng.uniform(0.5, 1.0)) if as_long else int(length * rng.uniform(0.05, 0.2))
    recipe = family.recipe(stride, steps)
    graded = [family.child(base, _graded(family, task, level), recipe) for level in range(min(4, count - 2))]
    while len(family.models) < count:
        parent = rng.choice(graded)
        family.child(parent, parent.task.like(1), family.recipe(rng.choice(("small", "middle")), family.steps(60, 300)))


def _graded(family: Family, task: Task, level: int) -> Task:
    if family.problem == "text":
        kinds = SOURCES[family.variant.split]["text"]
        return Task("+".join(sorted({kinds[0], *kinds[1 : 1 + level]})))
    return replace(task, noise=LEVELS[level] * (1 if family.problem == "restore" else 5))


def hub(family: Family, count: int) -> None:
    """Regime 2: bfloat16, small learning rates of AdamW, every cosine above .999."""
    rng = family.rng
    family.dtype = "BF16"
    root = family.root(family.task(), steps=family.steps(1000, 1800))
    while len(family.models) < count:
        parent = rng.choice([model for model in family.models if model.generation < 3])
        children = [model for model in family.models if model.parent == parent.id]
        if children and rng.random() < 0.5:
            task = rng.choice(children).task.like(rng.choice((0, 1, 2)))
        else:
            task = family.other_task(parent.task)
        family.child(parent, task, _faint(family))
    _hide_some(family, root)


def _faint(family: Family) -> Recipe:
    """AdamW at 2e-6 to 1e-4, with or without a full-precision copy; never so faint that rounding undoes all of it."""
    rng = family.rng
    recipe = family.recipe("tiny", family.steps(40, 200))
    pure = rng.random() < 0.3
    lr = 10 ** rng.uniform(-5.7, -4)
    lr = max(lr, 1e-5) if pure else max(lr, 6e-4 / recipe.steps)
    decay = rng.choice((0.0, 0.01, 0.1))
    return replace(recipe, optimiser="adamw", lr=float(f"{lr:.2e}"), weight_decay=decay, precision="pure" if pure else "full")


def recipe_twins(family: Family, count: int) -> None:
    """Models of one recipe, each from its own initialisation: alike in every figure, and no kin."""
    first = family.root(family.task(), steps=family.steps(300, 700))
    family.models[0] = first = replace(first, recipe_group=first.id)
    for level in range(1, count):
        graded = _graded(family, first.task, level % 4)
        made = family.root(graded, steps=first.recipe.steps)
        family.models[-1] = replace(made, recipe=first.recipe, recipe_group=first.id)


def seed_twins(family: Family, count: int) -> None:
    """Models of one initialisation on other data by other recipes, and descendants of one of them: correlated, and no kin."""
    first = family.root(family.task(), steps=family.steps(500, 1000))
    for _ in range(1, count):
        made = family.root(family.other_task(first.task), steps=family.steps(300, 1000), seed=first.seed)
        family.models[-1] = replace(made, twin_of_seed=first.id)
    roots = tuple(family.models)
    for _ in range(family.rng.randint(1, 2)):
        parent = family.rng.choice(roots)
        stride = family.rng.choice(("small", "middle", "large"))
        family.child(parent, family.other_task(parent.task), family.recipe(stride, family.steps(100, 400)))


def _hide_some(family: Family, root: Planned) -> None:
    """Hides about one in ten of the models that have children."""
    inner = {model.parent for model in family.models} - {None, root.id}
    family.models[:] = [
        replace(model, hidden=True) if model.id in inner and family.rng.random() < 0.15 else model for model in family.models
    ]


TEMPLATES: dict[str, Callable[[Family, int], None]] = {
    "deep": deep,
    "star": star,
    "hub": hub,
    "recipe_twins": recipe_twins,
    "seed_twins": seed_twins,
}
REGIMES = {"recipe_twins": "scratch", "seed_twins": "scratch"}

# What each size of zoo holds of each architecture: (template, fewest models, most models), and the effort spent on each model.
VISION = (("deep", 8, 28), ("deep", 4, 8), ("star", 5, 8), ("hub", 4, 9), ("recipe_twins", 3, 4), ("seed_twins", 2, 2))
RESTORERS = (("deep", 6, 16), ("star", 5, 9), ("star", 5, 7), ("hub", 4, 8), ("recipe_twins", 4, 5), ("seed_twins", 2, 2))
LANGUAGE = (("hub", 8, 16), ("hub", 6, 12), ("hub", 4, 7), ("deep", 5, 8), ("star", 5, 6), ("seed_twins", 2, 2))
MENUS = {"llama": LANGUAGE, "restorer": RESTORERS}
EFFORT = {"tiny": 0.1, "small": 0.4, "full": 1.0, "training": 1.0, "stars": 1.0}
MORE_STARS = (("star", 5, 8), ("star", 4, 7))
TRAINING = {"training": (True, MORE_STARS), "stars": (False, MORE_STARS * 4)}
"""Zoos that hold the training split alone, more of it to fit on by other seeds: whether with every regime, and stars."""


def plan(size: str, seed: int) -> list[Planned]:
    """Every model of a zoo, parents before children, with IDs that give nothing away."""
    rng = Random(seed)
    models: list[Planned] = []
    for variant in VARIANTS.values():
        for at, (template, count) in enumerate(_families(size, variant, Random(f"{seed} {variant.name}"))):
            family = Family(
                Random(f"{seed} {variant.name} {at}"),
                variant,
                REGIMES.get(template, template),
                f"{variant.name}:{at}",
                EFFORT[size],
            )
            TEMPLATES[template](family, count)
            models += family.models
    return _renamed(models, rng)


def _families(size: str, variant: Variant, rng: Random) -> Iterator[tuple[str, int]]:
    if size == "tiny":
        chosen = {"mlp-a": [("deep", 5)], "mlp-c": [("hub", 3)], "cnn_bn-d": [("star", 6)], "cnn-d": [("seed_twins", 2)]}
        yield from chosen.get(variant.name, [])
        return
    menu = MENUS.get(variant.kind, VISION)
    if size in TRAINING:
        every, stars = TRAINING[size]
        menu = (*(menu if every else ()), *stars) if variant.split == "train" else ()
    for template, low, high in menu:
        few = (low + high) // 2 if size == "small" else high
        yield template, rng.randint(low, few)


def _renamed(models: list[Planned], rng: Random) -> list[Planned]:
    numbers = list(range(1, len(models) + 1))
    rng.shuffle(numbers)
    names = {model.id: f"m{number:04d}" for model, number in zip(models, numbers, strict=True)}
    families = {name: f"f{at:03d}" for at, name in enumerate(dict.fromkeys(model.family for model in models))}

    def new(name: str | None) -> str | None:
        return None if name is None else names[name]

    return [
        replace(
            model,
            id=names[model.id],
            parent=new(model.parent),
            root=names[model.root],
            family=families[model.family],
            twin_of_seed=new(model.twin_of_seed),
            recipe_group=new(model.recipe_group),
            checkpoint_of=new(model.checkpoint_of),
        )
        for model in models
    ]
