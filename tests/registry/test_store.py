"""What is put comes back: models of every kind, revisions, failures, lists and counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_lineage.errors import RegistryError
from hub_lineage.registry import Registry, default_folder
from hub_lineage.types import Declaration, Model
from tests.registry.models import contents, models, numbered


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.lists(models, max_size=5), max_size=4))
def test_all_that_is_put_is_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, batches: list[list[Model]]) -> None:
    folder = tmp_path_factory.mktemp("registry")
    with Registry.open(folder, write=True) as registry:
        assert [registry.put(batch) for batch in batches] == [len(batch) for batch in batches]
    put = [model for batch in batches for model in batch]
    kept = {(model.id, model.revision): model for model in put}
    newest = {model.id: model for model in put}
    with Registry.open(folder) as registry:
        for (name, revision), model in kept.items():
            got = registry.get(name, revision) if revision else next(iter(_at_none(registry, name)), model)
            assert got is not None
            assert contents(got) == contents(model)
        for name, model in newest.items():
            got = registry.get(name)
            assert got is not None
            assert contents(got) == contents(model)
            assert registry.revision(name) == model.revision
        _check_lists(registry, newest)


def _at_none(registry: Registry, name: str) -> list[Model]:
    """The stored model without a revision, where it is the newest and so can be asked for."""
    got = registry.get(name)
    return [got] if got is not None and got.revision is None else []


def _check_lists(registry: Registry, newest: dict[str, Model]) -> None:
    assert len(registry) == len(newest)
    for key in ("a", "b", "c"):
        expected = sorted(name for name, model in newest.items() if model.fingerprint.architecture == key)
        assert sorted(model.id for model in registry.by_architecture(key)) == expected
        assert len(list(registry.by_architecture(key, 1))) == min(1, len(expected))
    for model in newest.values():
        for each in model.hashes:
            assert registry.duplicates([each]) == sorted(name for name, other in newest.items() if each in other.hashes)
        for declaration in model.declared:
            expected = sorted(n for n, other in newest.items() if declaration.id in {d.id for d in other.declared})
            assert registry.children_declaring(declaration.id) == expected


def test_new_revision_supersedes_and_keeps_the_old(tmp_path: Path) -> None:
    old, new = numbered(1), numbered(1, revision="r2")
    with Registry.open(tmp_path, write=True) as registry:
        registry.put([old])
        registry.put([new])
        found, kept = registry.get(old.id), registry.get(old.id, "r1")
        assert found is not None
        assert kept is not None
        assert contents(found) == contents(new)
        assert contents(kept) == contents(old)
        assert registry.duplicates(old.hashes) == []
        assert registry.duplicates(new.hashes) == [new.id]
        assert [hit.revision for hit in registry.search(old.fingerprint)] == ["r2"]
        assert (registry.info().models, registry.info().superseded, len(registry)) == (1, 1, 1)


def test_unknown_names_find_nothing(tmp_path: Path) -> None:
    with Registry.open(tmp_path, write=True) as registry:
        assert registry.get("o/none") is None
        assert registry.revision("o/none") is None
        assert registry.search(numbered(1).fingerprint) == []
        assert list(registry.by_architecture("none")) == []
        assert registry.duplicates([]) == registry.children_declaring("o/none") == []
        registry.put([numbered(1)])
        assert registry.get("owner/model-1", "r9") is None


def test_put_is_all_or_nothing(tmp_path: Path) -> None:
    def breaks_off() -> object:
        yield numbered(2)
        raise KeyboardInterrupt

    with Registry.open(tmp_path, write=True) as registry:
        registry.put([numbered(1)])
        with pytest.raises(KeyboardInterrupt):
            registry.put(breaks_off())  # type: ignore[arg-type]  # an iterator all the same
        assert registry.get("owner/model-2") is None
        registry.put([numbered(3)])
        assert [model.id for model in registry.by_architecture("key-a")] == ["owner/model-1", "owner/model-3"]
        assert [hit.id for hit in registry.search(numbered(3).fingerprint, 1)] == ["owner/model-3"]


def test_failures_are_kept_until_the_model_is_stored(tmp_path: Path) -> None:
    with Registry.open(tmp_path, write=True) as registry:
        registry.record_failure("owner/model-1", "r1", "gated", "no token")
        registry.record_failure("owner/model-1", "r2", "bad_weights", "x" * 10_000)
        registry.record_failure("owner/model-2", None, "no_weights", "empty\ud800")
        first, second = registry.failures()
        assert (first.id, first.revision, first.code, len(first.message)) == ("owner/model-1", "r2", "bad_weights", 2000)
        assert (second.revision, second.message) == (None, "empty\\ud800")
        registry.put([numbered(1)])
        assert [failure.id for failure in registry.failures()] == ["owner/model-2"]


def test_info_counts_and_weighs(tmp_path: Path) -> None:
    with Registry.open(tmp_path, write=True) as registry:
        assert registry.info().last_write is None
        registry.put([numbered(1), numbered(2, architecture="key-b")])
        info = registry.info()
    assert (info.models, info.superseded, info.architectures, info.failures, info.version) == (2, 0, 2, 0, 2)
    assert info.bytes > 2 * (4096 + 2048)
    assert info.last_write is not None


def test_reader_cannot_write_and_a_closed_registry_says_so(tmp_path: Path) -> None:
    with Registry.open(tmp_path, write=True) as registry:
        registry.put([numbered(1)])
    with pytest.raises(RegistryError, match="was closed"):
        registry.get("owner/model-1")
    with Registry.open(tmp_path) as reader, pytest.raises(RegistryError, match="opened for reading"):
        reader.put([numbered(2)])


def test_hostile_words_change_nothing_else(tmp_path: Path) -> None:
    name = "'; DROP TABLE model; --"
    model = Model(name, None, numbered(1).fingerprint, hashes=("\ud800",), declared=(Declaration("\udfff", None, "card"),))
    with Registry.open(tmp_path, write=True) as registry:
        registry.put([model, numbered(2)])
        got = registry.get(name)
        assert got is not None
        assert contents(got) == contents(model)
        assert registry.children_declaring("\udfff") == registry.duplicates(["\ud800"]) == [name]
        assert len(registry) == 2


def test_default_folder_is_the_one_named_or_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUB_LINEAGE_REGISTRY", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("HUB_LINEAGE_REGISTRY")
    assert default_folder().parts[-2:] == ("hub-lineage", "registry")
