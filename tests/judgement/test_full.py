"""Depth ``full`` as the benchmark asks for it: the models' own files, all their weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.bench_judgement import options
from benchmarks.cases import Crowd
from benchmarks.judgement.full import judgement
from hub_lineage.family import gather
from hub_lineage.fingerprint import read_fingerprint
from hub_lineage.hub import open_source, parse_reference
from hub_lineage.judge import judge
from hub_lineage.testing import write_model
from tests.judgement.hand_made import zoo
from tests.simulated import tree

NAMES = {"a": None, "b": "a", "c": "a", "d": "b"}


def crowd(folder: Path, shape: tuple[int, int]) -> Crowd:
    """Models of two matrices on disk, read as a crowd is: by their fingerprints."""
    grown = tree([-1, 0, 0, 1], [1.0, 0.3, 0.3, 0.3], shapes=[shape, shape[::-1]])
    for name, (one, other) in zip(NAMES, grown, strict=True):
        write_model(folder / name, {"x.weight": one.astype(np.float32), "y.weight": other.astype(np.float32)})
    models = [replace(model, path=folder / model.id) for model in zoo(NAMES)]
    prints = [read_fingerprint(open_source(parse_reference(str(model.path)))) for model in models]
    return Crowd(tuple(models), gather(prints), np.array([-1, 0, 0, 1]))


def test_a_large_network_is_judged_by_all_its_weights(tmp_path: Path) -> None:
    found, full = crowd(tmp_path, (400, 200)), options(["--full", "benchmarks.judgement.full:judgement"]).full
    assert full is not None
    models = tree([-1, 0, 0, 1], [1.0, 0.3, 0.3, 0.3], shapes=[(400, 200), (200, 400)])
    flat = [np.concatenate([tensor.astype(np.float32).reshape(-1) for tensor in model[:1]]) for model in models]
    told = full(found)
    assert told.kin.all()
    sampled = sum(found.family.sizes)
    whole = gather([read_fingerprint(open_source(parse_reference(str(m.path))), full=True) for m in found.models])
    np.testing.assert_array_equal(whole.raw[whole.shapes.index((400, 200))], np.stack(flat))
    np.testing.assert_array_equal(told.parent, judge(whole).parent)
    assert sampled < 2 * 400 * 200 == sum(whole.sizes)
    assert not np.array_equal(told.cues["cosine"], judge(found.family).cues["cosine"])


def test_nothing_changes_for_a_network_that_a_fingerprint_holds_whole(tmp_path: Path) -> None:
    found = crowd(tmp_path, (80, 40))
    np.testing.assert_array_equal(judgement(found).parent, judge(found.family).parent)
