"""Whole families on the validation split: what a maximum branching gains, and what nearness tells of hidden ancestors.

``python -m benchmarks.bench_whole --zoo benchmarks/cache/zoo benchmarks/cache/validating-21``
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Crowd, crowds, variations
from benchmarks.judgement.lineage import Lineage
from benchmarks.zoo import ZooModel, load_truth
from hub_lineage.judge import Judgement, judge
from hub_lineage.phylogeny import GONE, Forest, forest

BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)


def surest_first(judgement: Judgement) -> NDArray[np.intp]:
    """The baseline: claims taken by their odds, each that closes no cycle."""
    count = len(judgement.none)
    parent = np.full(count, -1, dtype=np.intp)
    pairs = sorted((-judgement.parent[c, p], c, p) for c in range(count) for p in range(count) if c != p)
    for odds, child, candidate in pairs:
        line = Forest(parent, parent).ancestors(candidate)
        if parent[child] < 0 and -odds > GONE * judgement.none[child] and child not in line:
            parent[child] = candidate
    return parent


def shared(lineage: Lineage, one: ZooModel, other: ZooModel) -> int:
    """How many models, hidden ones too, stand above both or are one of them."""
    return len({one.id, *lineage.ancestors(one.id)} & {other.id, *lineage.ancestors(other.id)})


def triples(crowd: Crowd, tops: list[int], lineage: Lineage) -> Iterator[tuple[float, bool]]:
    """Of three models without a known parent: how much nearer two are than to the third, and whether they are in truth."""
    cosine = crowd.family.cosine
    for three in combinations(tops, 3):
        for third in three:
            one, other = (k for k in three if k != third)
            rest = max(cosine[one, third], cosine[other, third])
            if cosine[one, other] > rest:
                a, b, c = (crowd.models[k] for k in (one, other, third))
                deeper = shared(lineage, a, b) > max(shared(lineage, a, c), shared(lineage, b, c))
                yield float((cosine[one, other] - rest) / (1 - rest)), deeper


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zoo", type=Path, nargs="+", required=True)
    found: Counter[str] = Counter()
    margins: list[tuple[float, bool]] = []
    random = np.random.default_rng(0)
    for folder in parser.parse_args().zoo:
        lineage = Lineage(load_truth(folder))
        for whole in crowds(folder, "validation"):
            for crowd in variations(whole, judge(whole.family).kin, random, 2):
                judgement = judge(crowd.family)
                likeliest = forest(judgement, whole=True).parent
                for name, told in (("maximum branching", likeliest), ("surest first", surest_first(judgement))):
                    found[f"{name}: right"] += int(((told >= 0) & (told == crowd.parents)).sum())
                    found[f"{name}: stated"] += int((told >= 0).sum())
                found["edges there"] += int((crowd.parents >= 0).sum())
                tops = [
                    k for k in np.flatnonzero(likeliest < 0).tolist() if judgement.clone[k].sum() == 1 and not crowd.merged[k]
                ]
                tops = [k for k in tops if judgement.kin[k, tops].sum() > 1]
                pairs = [(crowd.models[a].id, crowd.models[b].id) for a, b in combinations(tops, 2) if judgement.kin[a, b]]
                found.update(f"two without a known parent: {lineage.kinship(a, b)}" for a, b in pairs)
                margins += [
                    one
                    for top in {int(judgement.kin[k].argmax()) for k in tops}
                    for one in triples(crowd, [k for k in tops if judgement.kin[k, top]], lineage)
                ]
    for name, count in sorted(found.items()):
        print(f"{name}: {count}")
    for low, high in pairwise(BINS):
        inside = [deeper for margin, deeper in margins if low <= margin < high or margin == high == 1]
        print(f"nearer by {low}-{high}: {len(inside)} triples, {np.mean(inside):.2f} share a deeper ancestor")


if __name__ == "__main__":
    main()
