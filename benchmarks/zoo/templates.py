"""The kinds of families that the zoo holds, one function a regime: each grows a family to a number of models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.zoo.data import Task
from benchmarks.zoo.family import DEEPEST, LEVELS, SOURCES, Family, Planned
from benchmarks.zoo.recipes import Recipe

EVERY_STRIDE = ("tiny", "small", "small", "middle", "middle", "large", "large", "large", "large")


def deep(family: Family, count: int, strides: Sequence[str] = EVERY_STRIDE, like: float = 0.55) -> None:
    """Regime 1: a tree of up to four generations below its root, with increments of every size; ``like`` tunes siblings alike."""
    rng = family.rng
    family.dtype = rng.choice(("F32", "F32", "F32", "F16", "BF16"))
    root = family.root(family.task(), steps=family.steps(400, 1000), hidden=rng.random() < 0.1)
    while len(family.models) < count:
        children = family.models[1:]
        if children and rng.random() < like:
            family.sibling(rng.choice(children))
            continue
        deepest = min(DEEPEST - 1, max(model.generation for model in family.models))
        wanted = deepest if rng.random() < 0.3 else rng.randint(0, deepest)
        parent = rng.choice([model for model in family.models if model.generation == wanted])
        stride = rng.choice(strides)
        long = stride in ("middle", "large")
        recipe = family.recipe(stride, family.steps(120, 600) if long else family.steps(60, 400))
        child = family.child(parent, family.other_task(parent.task), recipe)
        if not recipe.frozen and rng.random() < 0.12:
            family.models[-1] = replace(child, dtype=rng.choice(("F32", "F16", "BF16")))
    hide_some(family, root)


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
    strengths = [family.child(base, graded(family, task, level), recipe) for level in range(min(4, count - 2))]
    while len(family.models) < count:
        parent = rng.choice(strengths)
        family.child(parent, parent.task.like(1), family.recipe(rng.choice(("small", "middle")), family.steps(60, 300)))


def graded(family: Family, task: Task, level: int) -> Task:
    """A task at one of the levels of strength."""
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
        family.child(parent, task, faint(family))
    hide_some(family, root)


def faint(family: Family) -> Recipe:
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
        made = family.root(graded(family, first.task, level % 4), steps=first.recipe.steps)
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


def hide_some(family: Family, root: Planned) -> None:
    """Hides about one in ten of the models that have children."""
    inner = {model.parent for model in family.models} - {None, root.id}
    family.models[:] = [
        replace(model, hidden=True) if model.id in inner and family.rng.random() < 0.15 else model for model in family.models
    ]
