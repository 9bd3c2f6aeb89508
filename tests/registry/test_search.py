"""The search against a slow oracle."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hub_lineage.fingerprint import block_vector, short_vector
from hub_lineage.registry import Hit, Registry, vectors
from hub_lineage.types import Block, Fingerprint, Floats, Model, Sample
from tests.registry.models import fingerprints, numbered


def oracle(models: list[Model], query: Fingerprint, top: int) -> list[Hit]:
    """Every model that was put, in the order put: plain numpy over all."""
    newest = {model.id: model for model in models}
    asked = short_vector(query).astype(np.float64)
    hits = [
        Hit(model.id, model.revision, float((short_vector(model.fingerprint).astype(np.float64) * asked).sum()))
        for model in newest.values()
        if (model.fingerprint.architecture, model.fingerprint.scheme) == (query.architecture, query.scheme)
    ]
    return sorted(hits, key=lambda hit: (-hit.similarity, hit.id))[:top]


def like(number: int, kind: int, revision: str) -> Model:
    """One of few kinds of weights, so that ties are common."""
    raw = np.random.default_rng(kind).standard_normal(3000).astype("<f4").tobytes()
    return Model(f"o/{number:03}", revision, Fingerprint("hl1", "a", 3000, (Sample((1500, 2), "F32", raw),)))


@settings(max_examples=40, deadline=None)
@given(
    puts=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.sampled_from(["r1", "r2"])), max_size=80),
    top=st.integers(0, 12),
    cuts=st.integers(1, 20),
)
def test_search_equals_the_oracle_with_ties_and_superseded_revisions(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, int, str]], top: int, cuts: int
) -> None:
    models = [like(*each) for each in puts]
    folder = tmp_path_factory.mktemp("r")
    with Registry.open(folder, write=True) as registry:
        for first in range(0, len(models), cuts):
            registry.put(models[first : first + cuts])
        for kind in (0, 9):
            query = like(0, kind, "q").fingerprint
            assert registry.search(query, top) == oracle(models, query, top)


def test_search_of_several_blocks_equals_the_oracle(tmp_path: Path) -> None:
    models = [numbered(i, architecture="a" if i % 3 else "b") for i in range(2000)]
    with Registry.open(tmp_path, write=True) as registry:
        registry.put(models)
        for query in (models[0].fingerprint, models[1].fingerprint):
            assert registry.search(query, 30) == oracle(models, query, 30)
            assert len(registry.search(query, 5000)) == len(oracle(models, query, 5000))


def test_threads_share_one_reader(tmp_path: Path) -> None:
    models = [numbered(i) for i in range(300)]
    with Registry.open(tmp_path, write=True) as registry:
        registry.put(models)
    with Registry.open(tmp_path) as reader, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda model: reader.search(model.fingerprint, 1)[0].id, models))
    assert found == [model.id for model in models]


def stack(number: int, depth: int, kind: int, revision: str = "r1") -> Model:
    """A network of some depth in one of a few architectures, made of blocks of one or two kinds."""
    random = np.random.default_rng(kind)
    samples = [Sample((40, 30), "F32", random.standard_normal(1200).astype("<f4").tobytes()) for _ in range(6)][:depth]
    kinds = [Block("a", depth, tuple(range(depth)), ((40, 30),))]
    kinds += [Block("b", 2, (0, 1), ((30, 30), (40, 30), (40, 30)))] if number % 3 == 0 else []
    return Model(f"o/{number:02}", revision, Fingerprint("hl2", f"key-{depth}", 3000, tuple(samples), (), tuple(kinds)))


def blocks_oracle(models: list[Model], query: Fingerprint, top: int) -> list[Hit]:
    newest = {model.id: model for model in models}
    best: dict[str, Hit] = {}
    for mine in query.blocks:
        asked = block_vector(query, mine).astype(np.float64)
        for model in newest.values():
            for its in model.fingerprint.blocks:
                if its.key == mine.key:
                    cosine = float((block_vector(model.fingerprint, its).astype(np.float64) * asked).sum())
                    if model.id not in best or cosine > best[model.id].similarity:
                        best[model.id] = Hit(model.id, model.revision, cosine)
    return sorted(best.values(), key=lambda hit: (-hit.similarity, hit.id))[:top]


@settings(max_examples=40, deadline=None)
@given(
    puts=st.lists(
        st.tuples(st.integers(0, 20), st.integers(2, 6), st.integers(0, 2), st.sampled_from(["r1", "r2"])), max_size=40
    ),
    top=st.integers(0, 30),
)
def test_search_by_blocks_equals_the_oracle(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[int, int, int, str]], top: int
) -> None:
    models = [stack(*each) for each in puts]
    with Registry.open(tmp_path_factory.mktemp("r"), write=True) as registry:
        registry.put(models)
        for query in (stack(0, 3, 0), stack(1, 5, 9)):
            assert registry.search_blocks(query.fingerprint, top) == blocks_oracle(models, query.fingerprint, top)
        assert registry.info().architectures == len({model.fingerprint.architecture for model in models})


def test_what_was_stored_by_another_scheme_is_not_found_by_its_blocks(tmp_path: Path) -> None:
    other = stack(1, 4, 0)
    with Registry.open(tmp_path, write=True) as registry:
        registry.put([replace(other, fingerprint=replace(other.fingerprint, scheme="hl1"))])
        assert registry.search_blocks(other.fingerprint) == []


def test_an_adapter_finds_what_holds_all_shapes_that_it_changes(tmp_path: Path) -> None:
    def asking(*shapes: tuple[int, ...], scheme: str = "hl2", depth: int = 3) -> list[str]:
        block = Block("none", depth, (), tuple(sorted(shapes)))
        return [fit.id for fit in registry.bases(Fingerprint(scheme, "lora", 1, (), (), (block,)), 9)]

    with Registry.open(tmp_path, write=True) as registry:
        registry.put([stack(1, 5, 0), stack(2, 3, 0), stack(4, 4, 1), stack(4, 2, 1, "r2"), stack(6, 6, 2)])
        assert asking((40, 30)) == ["o/02", "o/01", "o/06"], "nearest in depth first"
        assert asking((40, 30), (40, 30), depth=2) == asking((30, 30), (40, 30), depth=2) == ["o/06"]
        assert asking((40, 30), (40, 30)) == [], "too shallow"
        assert asking((40, 30), (30, 40)) == asking((40, 30), (40, 30), (40, 30)) == asking() == []
        assert asking((40, 30), scheme="hl1") == []
        assert asking(*((40 + i, 30) for i in range(3000))) == []
        assert registry.bases(stack(1, 5, 0).fingerprint) == [], "no adapter"


@given(fingerprint=fingerprints)
def test_short_fingerprint_is_finite_whatever_the_bytes(fingerprint: Fingerprint) -> None:
    assert np.isfinite(vectors.short(fingerprint)).all()


@given(raw=st.binary(min_size=2048, max_size=2048))
def test_widening_is_exact_for_every_finite_value(raw: bytes) -> None:
    stored = np.frombuffer(raw, "<f2")[None]
    stored = np.where(np.isfinite(stored), stored, np.float16(0))
    widened = vectors._widen(stored, np.empty(stored.shape, np.int32)) * np.float32(2.0**112)
    assert widened.tolist() == stored.astype(np.float32).tolist()


def test_put_in_the_middle_of_a_search_is_not_seen_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = vectors.score
    with Registry.open(tmp_path, write=True) as writer, Registry.open(tmp_path) as reader:
        writer.put([numbered(1), numbered(2)])

        def interrupted(path: Path, parts: list[vectors.Run], query: Floats) -> tuple[NDArray[np.int64], Floats]:
            scored = score(path, parts, query)
            writer.put([numbered(1, revision="r2"), numbered(3)])
            return scored

        monkeypatch.setattr(vectors, "score", interrupted)
        assert sorted((hit.id, hit.revision) for hit in reader.search(numbered(1).fingerprint)) == [
            ("owner/model-1", "r1"),
            ("owner/model-2", "r1"),
        ]
        monkeypatch.undo()
        assert reader.search(numbered(1, revision="r2").fingerprint, 1)[0].revision == "r2"
