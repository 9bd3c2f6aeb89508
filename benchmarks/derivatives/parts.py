"""``parts.layers``: hybrids and stacks of trained models, and how many of their layers are given to their right origin.

Every model of the benchmark is a candidate: the parts' own siblings, children and parents too. A third of the children
are trained on after they were put together. Beside it stands what the nearest tensor of all candidates, each by itself, gives.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch

from benchmarks.derivatives import nets, prints
from benchmarks.derivatives.models import Made, derived, load, models, tensors
from benchmarks.derivatives.recipes import recipes
from benchmarks.results_file import Figure
from hub_lineage.derivation import LEAST, hybrid, stack
from hub_lineage.derivation.origins import Held, compared
from hub_lineage.layers import table
from hub_lineage.types import Model

SEED = 61
TUNED_EVERY = 3
"""One child in so many is trained on after it was put together."""
_BLOCK = re.compile(r"^(?P<before>.*?(?:layers|layer|h)\.)(?P<number>\d+)(?P<after>\..*)$")
_STEPS, _RATE = 30, 1e-4


@dataclass(frozen=True, slots=True)
class Put:
    """A child put together, and the model that each of its tensors came from."""

    made: Made
    truth: Mapping[str, str]
    kind: str
    tuned: bool


def rows() -> list[Figure]:
    """The rows of this part of the benchmark."""
    known = {one.id: prints.model(one) for one in models()}
    right: dict[str, list[bool]] = {}
    nearest: list[bool] = []
    found: list[bool] = []
    for put in children():
        child, others = prints.model(put.made), [model for name, model in known.items() if name != put.made.id]
        hits = [row.origins[:1] == ((put.truth[row.tensor], 1.0),) for row in table(child, others)]
        for kind in ("all", put.kind, f"{put.kind}, tuned on" if put.tuned else "as put together"):
            right.setdefault(kind, []).extend(hits)
        nearest += _by_nearest(child, others, put.truth)
        made = hybrid.explain(child, others) or stack.explain(child, others)
        if not (put.kind == "hybrid" and put.tuned):  # which nothing claims to explain
            truth = {put.truth[sample.label] for sample in child.fingerprint.samples}
            found.append(made is not None and {parent.id for parent in made.parents} == truth)
    shares = {kind: sum(hits) / len(hits) for kind, hits in right.items()}
    rest = {kind: share for kind, share in shares.items() if kind != "all"}
    beside = {"nearest tensor": sum(nearest) / len(nearest), **rest}
    note = f"{len(right['all'])} layers of {len(children())} children, {len(known)} candidates"
    false, absent = _false(known), _absent(known)
    claims = "trained models, each with its parent known and left out, called a hybrid or a stack"
    return [
        Figure("parts.layers", shares["all"], "of layers", ">= .97", beside, note),
        Figure(
            "parts.origins", sum(found) / len(found), "of children", "", {}, "the set of parents right; tuned hybrids left out"
        ),
        Figure("parts.false", sum(false) / len(false), "of answers", "", {}, f"{len(false)} answers: {claims}"),
        Figure(
            "parts.absent", sum(absent) / len(absent), "of children", "", {}, "put together, no source known, and one claimed"
        ),
    ]


def _absent(known: Mapping[str, Model]) -> list[bool]:
    """Whether other models are named for sure where all that a child was put together from are unknown."""
    found = []
    for put in children():
        there = [model for name, model in known.items() if name not in put.truth.values()]
        made = [way(prints.model(put.made), there) for way in (hybrid.explain, stack.explain)]
        found.append(any(one is not None and one.probability >= LEAST for one in made))
    return found


def _false(known: Mapping[str, Model]) -> list[bool]:
    """Whether a trained model, its family present or its parent left out, is called a hybrid or a stack."""
    found = []
    for one in models():
        others = [model for name, model in known.items() if name != one.id]
        orphaned = [model for model in others if model.id != one.parent]
        for there in (others, orphaned):
            child = known[one.id]
            found.append((hybrid.explain(child, there) or stack.explain(child, there)) is not None)
    return found


def _by_nearest(child: Model, others: Sequence[Model], truth: Mapping[str, str]) -> list[bool]:
    """The baseline: each tensor by itself to the candidate that holds the nearest one of its shape, wherever it stands."""
    hits = []
    pool = [(model.id, Held.of(sample)) for model in others for sample in model.fingerprint.samples]
    for sample in child.fingerprint.samples:
        mine = Held.of(sample)
        pairs = [(pair.left, name) for name, held in pool if (pair := compared(mine, held)) is not None]
        hits.append(min(pairs, default=(0.0, ""))[1] == truth[sample.label])
    return hits


@cache
def children() -> tuple[Put, ...]:
    """All hybrids and stacks, the same ones in every run."""
    made = [*_hybrids(), *_stacks()]
    return tuple(_tuned(put) if i % TUNED_EVERY == 2 else put for i, put in enumerate(made))


def _pools() -> dict[str, list[Made]]:
    """Models of one architecture, by its word."""
    found: dict[str, list[Made]] = {}
    for one in models():
        found.setdefault(one.net, []).append(one)
    return found


def _hybrids() -> Iterator[Put]:
    """Of two to four models each, cut where their blocks end or between attention and the rest."""
    generator = random.Random(SEED)
    for net, pool in _pools().items():
        for count in (2, 2, 3, 4):
            chosen = generator.sample(pool, count)
            weights = [tensors(one) for one in chosen]
            labels = list(weights[0])
            owners = _by_depth(labels, chosen, generator) if count != 2 or generator.random() < 0.5 else _by_role(labels, chosen)
            by = {one.id: held for one, held in zip(chosen, weights, strict=True)}
            changed = {label: by[owners[label]][label].float() for label in labels}
            name = f"hybrid-{net}-{len(owners)}-{generator.randrange(10**6)}"
            yield Put(derived(chosen[0], changed, name), owners, "hybrid", tuned=False)


def _by_depth(labels: Sequence[str], chosen: Sequence[Made], generator: random.Random) -> dict[str, str]:
    """Runs of blocks; what stands before the first block goes with the first model, what stands after the last with the last."""
    numbers = sorted({int(match["number"]) for label in labels if (match := _BLOCK.match(label))})
    cuts = sorted(generator.sample(numbers[1:], min(len(chosen) - 1, len(numbers) - 1)))
    last = len(cuts)
    found = {}
    for label in labels:
        match = _BLOCK.match(label)
        place = sum(int(match["number"]) >= cut for cut in cuts) if match else (0 if "embed" in label else last)
        found[label] = chosen[place].id
    return found


def _by_role(labels: Sequence[str], chosen: Sequence[Made]) -> dict[str, str]:
    return {label: chosen[1 if "att" in label or "convolution" in label else 0].id for label in labels}


def _stacks() -> Iterator[Put]:
    """Cut, grown and stacked ones of each kind of transformer, with overlaps and siblings of the sources among the candidates."""
    generator = random.Random(SEED + 1)
    for net, pool in _pools().items():
        if net == "resnet":
            continue
        depth = len({match["number"] for label in tensors(pool[0]) if (match := _BLOCK.match(label))})
        one, two, three = generator.sample(pool, 3)
        half = depth // 2
        plans = {
            "cut": [(one, i) for i in range(depth) if i != half],
            "grown": [(two, i) for i in range(depth - 1)] + [(two, i) for i in range(1, depth)],
            "stacked": [(one, i) for i in range(depth - 1)] + [(two, i) for i in range(1, depth)],
            "three": [
                *((one, i) for i in range(half)),
                *((two, i) for i in range(1, depth)),
                *((three, i) for i in range(half, depth)),
            ],
            "short": [(three, 0), (one, depth - 2), (one, depth - 1)],
        }
        for word, plan in plans.items():
            yield _stacked(f"stack-{net}-{word}", plan)


def _stacked(name: str, plan: Sequence[tuple[Made, int]]) -> Put:
    weights = {one.id: tensors(one) for one, _ in plan}
    first = plan[0][0]
    changed, truth = {}, {}
    for label, value in weights[first.id].items():
        if not _BLOCK.match(label):
            changed[label], truth[label] = value.float(), first.id
    for place, (one, number) in enumerate(plan):
        for label, value in weights[one.id].items():
            match = _BLOCK.match(label)
            if match and int(match["number"]) == number:
                new = f"{match['before']}{place}{match['after']}"
                changed[new], truth[new] = value.float(), one.id
    key = "n_layer" if first.net == "gpt2" else "num_hidden_layers"
    made = derived(first, changed, name, config={key: len(plan), "layer_types": None})
    return Put(made, truth, "stack", tuned=False)


def _tuned(put: Put) -> Put:
    """The same trained on for some steps, under the names that it was written with."""
    torch.set_num_threads(1)
    root = next(recipe for recipe in recipes() if recipe.id == put.made.root)
    net = load(put.made)
    nets.tune(net, replace(root, seed=root.seed + 7, steps=_STEPS, rate=_RATE))
    target = put.made.path.with_name(f"{put.made.path.name}-tuned")
    net.save_pretrained(target)  # by transformers, since names in memory aren't those in its files
    return replace(put, made=replace(put.made, id=f"{put.made.id}-tuned", path=target), tuned=True)


def main() -> None:
    """Prints the rows."""
    for figure in rows():
        print(figure.id, round(figure.value, 4), figure.bar, figure.note)
        for name, value in figure.baselines.items():
            print(f"  {name}: {value:.4f}")


if __name__ == "__main__":
    main()
