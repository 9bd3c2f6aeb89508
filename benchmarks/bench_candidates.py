"""How often the parent is among the candidates that a search finds on a Hub with nothing known: ``candidates.recall``.

``candidates.recall_parts`` asks the same of sources of another architecture: of networks cut in depth, of towers lifted out
of larger ones, and of adapters that name no base.

``python -m benchmarks.bench_candidates --zoo benchmarks/cache/zoo`` serves the zoo's validation split on loopback: models of
a few authors, with the kind of network in ``config.json``, downloads drawn at random, names that tell nothing, and every
other child silent about its parent. Each sampled child is searched for with an empty registry.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.parts import PartCase, cases
from benchmarks.results_file import Figure
from benchmarks.zoo import ZooModel, load_truth
from hub_lineage.candidates import sharing
from hub_lineage.gathering import read_model
from hub_lineage.hub import Hub, parse_reference
from hub_lineage.read import declared, mentioned
from hub_lineage.search import Search, search
from hub_lineage.testing import LoopbackHub

AUTHORS = ("ada", "kim", "loom", "mira", "zoe")
MOST_DOWNLOADS = 100_000
SMALL_BUDGET = 60


class Shelf:
    """The models on a Hub: their names there, and which of them say nothing of their parents."""

    def __init__(self, models: Sequence[ZooModel], seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.names = {model.id: f"{self.random.choice(AUTHORS)}/{model.id}" for model in models}
        self.children = [model for model in models if model.parent in self.names]
        order = self.random.permutation(len(self.children))
        self.silent = {self.children[int(place)].id for place in order[::2]}
        self.models = models

    def sample(self, count: int) -> list[ZooModel]:
        """Children drawn at random, as many silent ones as others."""
        drawn = [self.children[int(place)] for place in self.random.permutation(len(self.children))]
        silent = [child for child in drawn if child.id in self.silent]
        telling = [child for child in drawn if child.id not in self.silent]
        return silent[: count // 2] + telling[: count - count // 2]

    def hits(self, children: Sequence[ZooModel], results: Sequence[Search]) -> NDArray[np.bool_]:
        """Whether each child's true parent is among what was found for it."""
        pairs = zip(children, results, strict=True)
        return np.array([self.names[str(child.parent)] in {model.id for model in found.models} for child, found in pairs])

    @contextmanager
    def served(self, parts: Sequence[PartCase] = ()) -> Iterator[Hub]:
        """A Hub with all of them, less what the parts take away and with what they add."""
        gone = {case.gone for case in parts}
        with LoopbackHub() as loopback:
            for case in parts:
                for name, files in case.served.items():
                    text = {"README.md": f"---\nlicense: mit\n---\n{case.card}"} if case.card and name == case.child else {}
                    loopback.add_repo(name, files={**files, **text}, downloads=int(self.random.integers(MOST_DOWNLOADS)))
            for model in self.models:
                if self.names[model.id] in gone:
                    continue
                told = model.parent in self.names and model.id not in self.silent
                loopback.add_repo(
                    self.names[model.id],
                    files={
                        "model.safetensors": model.path.read_bytes(),
                        "config.json": json.dumps({"model_type": model.architecture}),
                    },
                    card={"base_model": self.names[str(model.parent)]} if told else {"license": "mit"},
                    downloads=int(self.random.integers(MOST_DOWNLOADS)),
                )
            with Hub(loopback.url, token=False) as hub:
                yield hub


def found_for(name: str, hub: Hub, budget: int) -> Search:
    """What a search finds for one child with nothing known, by what its repository says."""
    source = hub.open(parse_reference(name))
    subject = read_model(source)
    said, links = declared.of_files(source), mentioned.models(source)
    return search(
        subject, source.card, said, hub=hub, store=None, budget=budget, read=read_model, suggested=links, tell=lambda *_: None
    )


def figures(zoo: Path, split: str, count: int, budget: int, seed: int = 0) -> list[Figure]:
    """The recall over a sample of children, that of the silent ones, and the requests that were spent."""
    shelf = Shelf([model for model in load_truth(zoo, served=True) if model.split == split], seed)
    sample = shelf.sample(count)
    with shelf.served() as hub:
        results = [found_for(shelf.names[child.id], hub, budget) for child in sample]
        thrifty = [found_for(shelf.names[child.id], hub, SMALL_BUDGET) for child in sample]
    hits = shelf.hits(sample, results)
    silent = np.array([child.id in shelf.silent for child in sample])
    spent = [found.cost.requests for found in results]
    note = f"{len(sample)} children of {len(shelf.models)} models, half of them silent; budget {budget}, most spent {max(spent)}"
    return [
        Figure("candidates.recall", float(hits.mean()), "share", ">= .95", note=note),
        Figure("candidates.recall_silent", float(hits[silent].mean()), "share", note="children that declare nothing"),
        Figure("candidates.recall_small", float(shelf.hits(sample, thrifty).mean()), "share", note=f"by {SMALL_BUDGET} requests"),
        Figure("candidates.found", float(np.median([len(found.models) for found in results])), "models", note="median"),
        Figure("candidates.requests", float(np.median(spent)), "requests", f"<= {budget}", note=f"median; most {max(spent)}"),
        *figures_of_parts(shelf, count // 3, budget),
    ]


def figures_of_parts(shelf: Shelf, count: int, budget: int) -> list[Figure]:
    """The recall of sources of another architecture, and how often an unrelated network was said to share weights."""
    made = cases(shelf.models, shelf.names, count)
    roots = {shelf.names[model.id]: model.root for model in shelf.models}
    started = {model.id: model.twin_of_seed or model.id for model in shelf.models}  # whose random numbers a root began with
    hits: dict[str, list[bool]] = {}
    claims: dict[bool, list[bool]] = {True: [], False: []}
    with shelf.served(made) as hub:
        for case in made:
            found = found_for(case.child, hub, budget)
            child = read_model(hub.open(parse_reference(case.child))).fingerprint
            unlike = [model for model in found.models if model.fingerprint.architecture != child.architecture]
            shared = {model.id for model, _ in sharing(child, unlike)[0]}
            named = {fit.id for fit in found.fits} if case.kind == "adapter" else shared
            hits.setdefault(case.kind, []).append(case.source in named)
            for model in unlike:
                root = roots.get(model.id, case.root)
                if root != case.root:
                    claims[started.get(root) == started.get(case.root)].append(model.id in shared)
    every = [hit for kind in hits.values() for hit in kind]
    words = {
        "cut": "networks cut in depth",
        "tower": "towers lifted out of larger networks",
        "adapter": "adapters without a base",
    }
    twins = f"{sum(claims[True])} of {len(claims[True])} that only share an initialisation are said to"
    return [
        Figure(
            "candidates.recall_parts",
            float(np.mean(every)),
            "share",
            ">= .95",
            note=f"{len(every)} children of another architecture than their source, empty registry; budget {budget}",
        ),
        *(
            Figure(f"candidates.recall_{kind}", float(np.mean(found)), "share", note=f"{len(found)} {words[kind]}")
            for kind, found in hits.items()
        ),
        Figure(
            "candidates.parts_claimed",
            float(np.mean(claims[False])) if claims[False] else 0.0,
            "share",
            "<= .001",
            note=f"of {len(claims[False])} unrelated networks with blocks of one kind said to share weights; {twins}",
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, default=Path("benchmarks/cache/zoo"))
    parser.add_argument("--split", choices=("train", "validation", "test"), default="validation")
    parser.add_argument("--children", type=int, default=60)
    parser.add_argument("--budget", type=int, default=200)
    options = parser.parse_args(arguments)
    found = figures(options.zoo, options.split, options.children, options.budget)
    for figure in found:
        print(f"{figure.id:28s} {figure.value:10.4g} {figure.unit:10s} {figure.bar:8s} {figure.note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
