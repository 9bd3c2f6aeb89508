"""Families of the grown zoo: published stars, whole trees, and models that are merged, distilled, pruned or noised."""

from __future__ import annotations

import math
from dataclasses import replace

from benchmarks.zoo.data import Task
from benchmarks.zoo.family import LEVELS, SOURCES, Family, Planned
from benchmarks.zoo.recipes import Recipe
from benchmarks.zoo.templates import deep, faint, graded, hide_some, star

NEAR = (2e-4, 6e-3)  # learning rate times steps: rounding does not undo all of it, and every cosine stays above .999
EXTRAS = 0.16  # models made otherwise than by training, as a share of those of a family


def grown_deep(family: Family, count: int) -> None:
    """A deep tree with few faint increments, of which hubs hold enough, and models made otherwise."""
    deep(family, count, ("small", "small", "middle", "middle", *("large",) * 6), like=0.62)
    extend(family)


def grown_star(family: Family, count: int) -> None:
    """A star and models made otherwise."""
    star(family, count)
    extend(family)


def grown_hub(family: Family, count: int) -> None:
    """Three generations in bfloat16 within a cosine of .999 of one another below a root that had not done learning.

    Siblings often read the same examples in the same order, so that all are pulled one way.
    """
    rng = family.rng
    family.dtype = "BF16"
    root = family.root(family.task(), steps=family.steps(400, 1200))
    settled = replace(root.recipe, weight_decay=min(root.recipe.weight_decay, 1e-4))  # what decay made small turns far
    family.models[0] = root = replace(root, recipe=settled)
    while len(family.models) < count:
        inner = {model.parent for model in family.models}
        bushy = rng.random() < 0.5 and len(inner) > 1
        parent = rng.choice([model for model in family.models if model.generation < 3 and (model.id in inner or not bushy)])
        children = [model for model in family.models if model.parent == parent.id]
        recipe = _near(family)
        if not children or rng.random() < 0.2:
            family.child(parent, family.other_task(parent.task), recipe)
            continue
        sibling, same = rng.choice(children), rng.random() < 0.8
        child = family.child(parent, sibling.task if same else sibling.task.like(rng.choice((0, 1, 2))), recipe)
        family.models[-1] = replace(child, seed=sibling.seed) if same and rng.random() < 0.8 else child
    hide_some(family, root)
    extend(family)


def _near(family: Family) -> Recipe:
    """AdamW, for few steps at a small learning rate, with or without a full-precision copy."""
    rng = family.rng
    recipe = faint(family)
    low, high = NEAR
    far = math.exp(rng.uniform(math.log(low), math.log(high)))
    lr = max(far / recipe.steps, 1e-5) if recipe.precision == "pure" else far / recipe.steps
    return replace(recipe, lr=float(f"{lr:.2e}"))


def published(family: Family, count: int, *, revised: bool = False) -> None:
    """A root trained 5 to 20 times longer than its children, who are graded in strength on like data.

    Children share the change of task and often the order of batches, so they are nearer to one another than to where they
    come from. Where it is ``revised``, they start from a hidden revision, whose training went on before it was served.
    """
    rng = family.rng
    family.dtype = rng.choice(("F32", "F16", "F16", "BF16"))
    task = family.task()
    length = family.steps(1500, 2600)
    base = family.root(task, steps=length)
    if revised:
        final = family.child(base, task, family.recipe("small", max(8, length // rng.randint(4, 10))))
        family.models[0] = base = replace(base, hidden=True, checkpoint_of=final.id)
    common = family.other_task(task)
    while replace(common, noise=task.noise, part=task.part) == task:
        common = family.other_task(task)
    longer = math.exp(rng.uniform(math.log(5), math.log(20)))
    recipe = family.recipe(rng.choice(("small", "middle", "large", "large")), max(8, int(length / longer)))
    order = rng.randrange(1 << 30) if rng.random() < 0.8 else None
    strengths = []
    for level in range(min(len(LEVELS), count - len(family.models))):
        child = family.child(base, _strength(family, common, level), recipe)
        if order is not None:
            family.models[-1] = child = replace(child, seed=order)
        strengths.append(child)
    while len(family.models) < count:
        parent = rng.choice(strengths)
        stride = rng.choice(("small", "middle"))
        family.child(parent, parent.task.like(1), family.recipe(stride, max(8, recipe.steps // rng.randint(1, 3))))
    extend(family)


def revised_star(family: Family, count: int) -> None:
    """A published star whose children start from an earlier revision than the one that is served."""
    published(family, count, revised=True)


def _strength(family: Family, common: Task, level: int) -> Task:
    """The common task at one of the levels of strength; of text, with that many other kinds mixed in."""
    if family.problem != "text":
        return graded(family, common, level)
    others = [kind for kind in SOURCES[family.variant.split]["text"] if kind != common.source]
    return Task("+".join(sorted({common.source, *others[:level]})))


def extend(family: Family) -> None:
    """Adds merges, students, pruned and noised children to a family, about one in six, and now and then a child of such."""
    rng = family.rng
    ways = HUB_WAYS if family.regime == "hub" else WAYS
    trained = tuple(model for model in family.models if model.recipe.frozen != "trunk")
    for _ in range(max(1, round(EXTRAS * len(trained) + rng.uniform(-0.5, 0.5)))):
        made = rng.choice(ways)(family, trained)
        if family.regime != "hub" and made.generation < 4 and rng.random() < 0.2:
            stride = rng.choice(("small", "middle", "large"))
            family.child(made, family.other_task(made.task), family.recipe(stride, family.steps(80, 400)))


def _merge(family: Family, trained: tuple[Planned, ...]) -> Planned:
    """A linear merge of two or three kin, whose heads must be of one shape."""
    rng = family.rng
    first = rng.choice(trained)
    others = [model for model in trained if model.id != first.id and model.task.outputs == first.task.outputs]
    if not others:
        return _noise(family, trained)
    chosen = [first, *rng.sample(others, min(len(others), rng.choice((1, 1, 2))))]
    shares = [rng.uniform(0.25, 1.0) for _ in chosen]
    coefficients = [round(share / sum(shares), 3) for share in shares[:-1]]
    return family.merged(list(zip(chosen, [*coefficients, round(1 - sum(coefficients), 3)], strict=True)))


def _distil(family: Family, trained: tuple[Planned, ...]) -> Planned:
    return family.distilled(family.rng.choice(trained), steps=family.steps(300, 800))


def _prune(family: Family, trained: tuple[Planned, ...]) -> Planned:
    """A pruned child, in half of the cases tuned further."""
    rng = family.rng
    parent, share = rng.choice(trained), round(rng.uniform(0.2, 0.8), 2)
    tuned = rng.random() < 0.5
    recipe = family.recipe(rng.choice(("small", "middle")), family.steps(60, 300)) if tuned else family.untrained()
    return family.pruned(parent, share, replace(recipe, frozen=""))


def _noise(family: Family, trained: tuple[Planned, ...]) -> Planned:
    rng = family.rng
    low, high = (0.004, 0.03) if family.regime == "hub" else (0.01, 0.5)
    return family.noised(rng.choice(trained), float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.2e}"))


WAYS = (_merge, _merge, _distil, _distil, _prune, _prune, _noise)
HUB_WAYS = (_merge, _merge, _distil, _noise)  # pruning would carry a child out of the hub
