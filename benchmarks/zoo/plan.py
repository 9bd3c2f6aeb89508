"""The families of the zoo, planned from a seed before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from benchmarks.zoo.family import Family, Planned
from benchmarks.zoo.grown import grown_deep, grown_hub, grown_star, published, revised_star
from benchmarks.zoo.nets import VARIANTS, Variant
from benchmarks.zoo.templates import deep, hub, recipe_twins, seed_twins, star

TEMPLATES: dict[str, Callable[[Family, int], None]] = {
    "deep": deep,
    "star": star,
    "hub": hub,
    "recipe_twins": recipe_twins,
    "seed_twins": seed_twins,
    "grown_deep": grown_deep,
    "grown_star": grown_star,
    "grown_hub": grown_hub,
    "published": published,
    "revised_star": revised_star,
}
REGIMES = {
    "recipe_twins": "scratch",
    "seed_twins": "scratch",
    "grown_deep": "deep",
    "grown_star": "star",
    "grown_hub": "hub",
    "revised_star": "published",
}

# What each size of zoo holds of each architecture: (template, fewest models, most models), and the effort spent on each model.
VISION = (("deep", 8, 28), ("deep", 4, 8), ("star", 5, 8), ("hub", 4, 9), ("recipe_twins", 3, 4), ("seed_twins", 2, 2))
RESTORERS = (("deep", 6, 16), ("star", 5, 9), ("star", 5, 7), ("hub", 4, 8), ("recipe_twins", 4, 5), ("seed_twins", 2, 2))
LANGUAGE = (("hub", 8, 16), ("hub", 6, 12), ("hub", 4, 7), ("deep", 5, 8), ("star", 5, 6), ("seed_twins", 2, 2))
MENUS = {"llama": LANGUAGE, "restorer": RESTORERS}
EFFORT = {"tiny": 0.1, "small": 0.4, "full": 1.0, "training": 1.0, "stars": 1.0, "validating": 1.0, "testing": 1.0}
EFFORT |= {"tiny-grown": 0.1, "grown": 1.0, "grown-training": 1.0, "grown-testing": 1.0}
MORE_STARS = (("star", 5, 8), ("star", 4, 7))
ONE_SPLIT = {
    "training": ("train", True, MORE_STARS),
    "stars": ("train", False, MORE_STARS * 4),
    "validating": ("validation", True, MORE_STARS * 2),
    "testing": ("test", True, ()),
}
"""Zoos that hold one split alone, more of it by other seeds: which one, whether with every regime, and stars."""

# The grown zoo: the same regimes and published stars, merges, students, pruned and noised children, in more architectures.
_TWINS = (("recipe_twins", 3, 4), ("seed_twins", 2, 2))
_PUBLISHED = (("published", 4, 8), ("revised_star", 6, 9))
_HUBS = (("grown_hub", 4, 7), ("grown_hub", 8, 16))
GROWN_VISION = (("grown_deep", 8, 22), *_PUBLISHED, ("grown_star", 5, 7), ("grown_hub", 4, 7), *_TWINS)
GROWN_MENUS = {
    "vit": (("grown_deep", 8, 20), *_PUBLISHED, ("grown_star", 4, 7), *_HUBS, *_TWINS),
    "resnet": (("grown_deep", 8, 20), *_PUBLISHED, ("grown_star", 4, 7), *_HUBS, *_TWINS),
    "restorer": (("grown_deep", 6, 16), *_PUBLISHED, ("grown_star", 5, 7), ("grown_hub", 4, 7), *_TWINS),
    "llama": (*_HUBS, ("grown_hub", 6, 12), ("grown_deep", 5, 9), *_PUBLISHED, ("seed_twins", 2, 2)),
}
WHOLE_TREES = ("mlp", "cnn", "cnn_bn", "resnet", "restorer", "vit")
"""The kinds whose first architecture in each split has a family of 20 to 60 besides."""
GROWN_SPLIT = {"grown-training": "train", "grown-testing": "test"}
"""Grown zoos that hold one split alone, by other seeds."""
TINY_GROWN = {"mlp-e": [("grown_deep", 14), ("revised_star", 6)], "mlp-f": [("grown_hub", 8)], "cnn_bn-g": [("grown_star", 10)]}


def plan(size: str, seed: int) -> list[Planned]:
    """Every model of a zoo, parents before children, with IDs that give nothing away."""
    rng = Random(seed)
    models: list[Planned] = []
    source = f"{size} {seed}" if "grown" in size else str(seed)  # a grown zoo has no root of the others
    for variant in VARIANTS.values():
        for at, (template, count) in enumerate(_families(size, variant, Random(f"{source} {variant.name}"))):
            family = Family(
                Random(f"{source} {variant.name} {at}"),
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
    if "grown" in size:
        yield from _grown_families(size, variant, rng)
        return
    if variant.grown:
        return
    menu = MENUS.get(variant.kind, VISION)
    if size in ONE_SPLIT:
        split, every, stars = ONE_SPLIT[size]
        menu = (*(menu if every else ()), *stars) if variant.split == split else ()
    for template, low, high in menu:
        few = (low + high) // 2 if size == "small" else high
        yield template, rng.randint(low, few)


def _grown_families(size: str, variant: Variant, rng: Random) -> Iterator[tuple[str, int]]:
    if size == "tiny-grown":
        yield from TINY_GROWN.get(variant.name, [])
        return
    if variant.split != GROWN_SPLIT.get(size, variant.split):
        return
    for template, low, high in GROWN_MENUS.get(variant.kind, GROWN_VISION):
        yield template, rng.randint(low, high)
    first = next(other for other in VARIANTS.values() if (other.kind, other.split) == (variant.kind, variant.split))
    if variant is first and variant.kind in WHOLE_TREES:
        yield "grown_deep", rng.randint(20, 50)  # and as many as a sixth more, made otherwise


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
            merged_from=tuple((names[source], coefficient) for source, coefficient in model.merged_from),
            distilled_from=new(model.distilled_from),
        )
        for model in models
    ]
