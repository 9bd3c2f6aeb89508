"""``parts.layers``: hybrids and stacks of trained models, and how many of their layers are given to their right origin.

Cut and grown in depth, passed through, of several models, some with a vocabulary of another size. Every model of the split is
a candidate: the parts' own siblings, children and parents too. A third of the children
are trained on after they were put together. Beside it stands what the nearest tensor of all candidates, each by itself, gives.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import torch

from benchmarks.derivatives import nets, prints
from benchmarks.derivatives.models import Made, derived, load, models, tensors
from benchmarks.derivatives.processes import spread
from benchmarks.derivatives.recipes import Split, recipe
from benchmarks.results_file import Figure
from hub_lineage.derivation import LEAST, hybrid, stack
from hub_lineage.derivation.origins import Held, compared
from hub_lineage.layers import table
from hub_lineage.types import Model

SEED = 61
WORDS, NEW_WORDS = 256, 32
STAGED = ("resnet", "convnext")
"""Architectures whose blocks differ in shape from stage to stage, so that none can be stacked."""
TUNED_EVERY = 3
"""One child in so many is trained on after it was put together."""
_BLOCK = re.compile(r"^(?P<before>.*?(?:layers|layer|h|stages)\.)(?P<number>\d+)(?P<after>\..*)$")
_WORDED = re.compile(r"embed_tokens|embed_in|embed_out|lm_head|wte")
_STEPS, _RATE = 30, 1e-4


@dataclass(frozen=True, slots=True)
class Put:
    """A child put together, and the model that each of its tensors came from."""

    made: Made
    truth: Mapping[str, str]
    kind: str
    tuned: bool
    resized: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What was found of one child: which layers were given to their right origin, by the table and by the nearest tensor."""

    kinds: tuple[str, ...]
    hits: tuple[bool, ...]
    nearest: tuple[bool, ...]
    right: bool | None  # whether the set of parents is right; None where nothing claims to explain the child
    absent: bool  # whether others were named for sure where no source was known


def rows(split: Split = "reporting") -> list[Figure]:
    """The rows of this part of the benchmark."""
    nets = list(_pools(split))
    asked = [one for answers in spread(partial(_asked, split), nets) for one in answers]
    false = [one for answers in spread(partial(_false, split), nets) for one in answers]
    right = [one.right for one in asked if one.right is not None]
    shares: dict[str, float] = {}
    for kind in dict.fromkeys(kind for one in asked for kind in one.kinds):
        shares[kind] = _mean([hit for one in asked if kind in one.kinds for hit in one.hits])
    layers = [hit for one in asked for hit in one.hits]
    beside = {"nearest tensor": _mean([hit for one in asked for hit in one.nearest]), **shares}
    note = f"{len(layers)} layers of {len(asked)} children, {len(models(split))} candidates"
    claims = "trained models, each with its parent known and left out, called a hybrid or a stack"
    unknown = "put together, no source known, and one claimed"
    return [
        Figure("parts.layers", _mean(layers), "of layers", ">= .97", beside, note),
        Figure("parts.origins", _mean(right), "of children", "", {}, "the set of parents right; tuned hybrids left out"),
        Figure("parts.false", _mean(false), "of answers", "", {}, f"{len(false)} answers: {claims}"),
        Figure("parts.absent", _mean([one.absent for one in asked]), "of children", "", {}, unknown),
    ]


def _mean(found: Sequence[bool]) -> float:
    return sum(found) / len(found)


def _asked(split: Split, net: str) -> list[Asked]:
    """All that is asked of the children of one architecture."""
    known = {one.id: prints.model(one) for one in models(split)}
    found = []
    for put in children(split, net):
        child, others = prints.model(put.made), [model for name, model in known.items() if name != put.made.id]
        hits = tuple(row.origins[:1] == ((put.truth[row.tensor], 1.0),) for row in table(child, others))
        right = None if put.kind == "hybrid" and put.tuned else _origins_right(child, others, put.truth)
        kinds = (put.kind, f"{put.kind}, tuned on" if put.tuned else "as put together", *(["resized"] if put.resized else []))
        found.append(Asked(kinds, hits, tuple(_by_nearest(child, others, put.truth)), right, _absent(child, known, put.truth)))
    return found


def _origins_right(child: Model, others: Sequence[Model], truth: Mapping[str, str]) -> bool:
    made = hybrid.explain(child, others) or stack.explain(child, others)
    return made is not None and {parent.id for parent in made.parents} == {truth[s.label] for s in child.fingerprint.samples}


def _absent(child: Model, known: Mapping[str, Model], truth: Mapping[str, str]) -> bool:
    """Whether other models are named for sure where all that a child was put together from are unknown."""
    there = [model for name, model in known.items() if name not in truth.values()]
    made = [way(child, there) for way in (hybrid.explain, stack.explain)]
    return any(one is not None and one.probability >= LEAST for one in made)


def _false(split: Split, net: str) -> list[bool]:
    """Whether a trained model, its family present or its parent left out, is called a hybrid or a stack."""
    known = {one.id: prints.model(one) for one in models(split)}
    found = []
    for one in _pools(split)[net]:
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
def children(split: Split, net: str) -> tuple[Put, ...]:
    """All hybrids and stacks of one architecture, the same ones in every run."""
    pool, number = _pools(split)[net], list(_pools(split)).index(net)
    made = [*_hybrids(net, pool, random.Random(SEED + 10 * number)), *_stacks(net, pool, random.Random(SEED + 1 + 10 * number))]
    return tuple(_tuned(put) if i % TUNED_EVERY == 2 else put for i, put in enumerate(made))


def _pools(split: Split) -> dict[str, list[Made]]:
    """Models of one architecture, by its word."""
    found: dict[str, list[Made]] = {}
    for one in models(split):
        found.setdefault(one.net, []).append(one)
    return found


def _hybrids(net: str, pool: Sequence[Made], generator: random.Random) -> Iterator[Put]:
    """Of two to four models each, cut where their blocks end or between attention and the rest; one with a larger vocabulary."""
    for place, count in enumerate((2, 2, 3, 4)):
        chosen = generator.sample(pool, count)
        weights = [tensors(one) for one in chosen]
        labels = list(weights[0])
        owners = _by_depth(labels, chosen, generator) if count != 2 or generator.random() < 0.5 else _by_role(labels, chosen)
        by = {one.id: held for one, held in zip(chosen, weights, strict=True)}
        changed = {label: by[owners[label]][label].float() for label in labels}
        resized = place == 1 and chosen[0].kind == "language"
        config = _resize(changed) if resized else {}
        name = f"hybrid-{net}-{len(owners)}-{generator.randrange(10**6)}"
        yield Put(derived(chosen[0], changed, name, config=config), owners, "hybrid", tuned=False, resized=resized)


def _resize(changed: dict[str, torch.Tensor]) -> dict[str, object]:
    """Adds words to the vocabulary, in place, as tokenisers with further tokens do: new rows near the mean of the others."""
    drawn = torch.Generator().manual_seed(SEED)
    for label, value in changed.items():
        if value.shape[0] == WORDS and _WORDED.search(label):
            new = value.mean(dim=0) + 0.02 * torch.randn((NEW_WORDS, *value.shape[1:]), generator=drawn)
            changed[label] = torch.cat([value, new])
    return {"vocab_size": WORDS + NEW_WORDS}


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


def _stacks(net: str, pool: Sequence[Made], generator: random.Random) -> Iterator[Put]:
    """Cut, grown and stacked ones of transformers, with overlaps and siblings of the sources among the candidates."""
    if net in STAGED:
        return
    depth = len({match["number"] for label in tensors(pool[0]) if (match := _BLOCK.match(label))})
    one, two, three = generator.sample(list(pool), 3)
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
        yield _stacked(f"stack-{net}-{word}", plan, resized=word == "grown" and one.kind == "language")


def _stacked(name: str, plan: Sequence[tuple[Made, int]], *, resized: bool) -> Put:
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
    config = {key: len(plan), "layer_types": None, **(_resize(changed) if resized else {})}
    return Put(derived(first, changed, name, config=config), truth, "stack", tuned=False, resized=resized)


def _tuned(put: Put) -> Put:
    """The same trained on for some steps, under the names that it was written with."""
    torch.set_num_threads(1)
    root = recipe(put.made.root)
    net = load(put.made)
    nets.tune(net, replace(root, seed=root.seed + 7, steps=_STEPS, rate=_RATE))
    target = put.made.path.with_name(f"{put.made.path.name}-tuned")
    net.save_pretrained(target)  # by transformers, since names in memory aren't those in its files
    return replace(put, made=replace(put.made, id=f"{put.made.id}-tuned", path=target), tuned=True)


def main() -> None:
    """Prints the rows."""
    for figure in rows("choosing"):
        print(figure.id, round(figure.value, 4), figure.bar, figure.note)
        for name, value in figure.baselines.items():
            print(f"  {name}: {value:.4f}")


if __name__ == "__main__":
    main()
