"""Folders that are no registry, other versions, damage: each said in words, with what to do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hub_lineage.errors import RegistryError, RegistryVersion
from hub_lineage.registry import Registry, schema
from hub_lineage.registry.folder import DATABASE, LONG, SHORT
from tests.registry.models import numbered


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Registry.open(tmp_path / "r", write=True) as registry:
        registry.put([numbered(i) for i in range(20)])
    return tmp_path / "r"


def refused(folder: Path, *, write: bool = False) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        Registry.open(folder, write=write)
    assert caught.value.hint.endswith(".")
    assert caught.value.exit_status == 7
    return caught.value


def test_missing_folder_is_named(tmp_path: Path) -> None:
    assert "There is no registry at" in refused(tmp_path / "none").message


def test_folder_of_other_things_is_neither_read_nor_written(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"x")
    assert "isn't a registry" in refused(tmp_path).message
    assert "photo.png" in refused(tmp_path, write=True).message
    assert [entry.name for entry in tmp_path.iterdir()] == ["photo.png"]
    assert "is a file" in refused(tmp_path / "photo.png", write=True).message
    assert "isn't a registry" in refused(tmp_path / "photo.png").message


@pytest.mark.parametrize("write", [False, True])
def test_newer_version_is_refused_untouched(folder: Path, *, write: bool) -> None:
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = (folder / DATABASE).read_bytes()
    error = refused(folder, write=write)
    assert isinstance(error, RegistryVersion)
    assert "version 99" in error.message
    assert "pip install --upgrade" in error.hint
    assert (folder / DATABASE).read_bytes() == before


def test_older_version_is_refused_to_readers_and_migrated_by_the_writer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE later (x); INSERT INTO later VALUES (5);"))
    monkeypatch.setattr(schema, "OLDEST", len(schema.MIGRATIONS))
    error = refused(folder)
    assert isinstance(error, RegistryVersion)
    assert "crawl" in error.hint
    with Registry.open(folder, write=True) as registry:
        assert (len(registry), registry.info().version) == (20, 3)
    with Registry.open(folder) as registry:
        assert registry.info().version == 3


def test_failed_migration_leaves_the_old_version(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE later (x); SELECT nonsense;"))
    refused(folder, write=True)
    monkeypatch.undo()
    with Registry.open(folder, write=True) as registry:
        assert (len(registry), registry.info().version) == (20, 2)


@pytest.mark.parametrize("write", [False, True])
def test_database_of_another_program_is_refused_untouched(tmp_path: Path, *, write: bool) -> None:
    with sqlite3.connect(tmp_path / DATABASE) as connection:
        connection.execute("CREATE TABLE recipes (x)")
    connection.close()
    before = (tmp_path / DATABASE).read_bytes()
    assert "another program" in refused(tmp_path, write=write).message
    assert (tmp_path / DATABASE).read_bytes() == before


@pytest.mark.parametrize("write", [False, True])
def test_garbage_in_place_of_the_database_is_damage(folder: Path, *, write: bool) -> None:
    (folder / DATABASE).write_bytes(os.urandom(50_000))
    error = refused(folder, write=write)
    assert "is damaged" in error.message
    assert "crawl again" in error.hint


def test_corrupt_pages_are_damage(folder: Path) -> None:
    stored = bytearray((folder / DATABASE).read_bytes())
    stored[8192:] = b"\xff" * (len(stored) - 8192)
    (folder / DATABASE).write_bytes(stored)
    with pytest.raises(RegistryError, match="is damaged"), Registry.open(folder) as registry:
        registry.get("owner/model-3")


@pytest.mark.parametrize("name", [LONG, SHORT])
@pytest.mark.parametrize("write", [False, True])
def test_truncated_data_file_is_named(folder: Path, name: str, *, write: bool) -> None:
    os.truncate(folder / name, 3000)
    error = refused(folder, write=write)
    assert f"{name} has 3,000 of its" in error.message
    (folder / name).unlink()
    assert f"{name} has 0 of its" in refused(folder, write=write).message


@pytest.mark.parametrize("name", [LONG, SHORT])
def test_data_file_truncated_under_a_reader_is_said(folder: Path, name: str) -> None:
    with Registry.open(folder) as registry:
        os.truncate(folder / name, 3000)
        with pytest.raises(RegistryError, match="is damaged"):
            registry.get("owner/model-15") if name == LONG else registry.search(numbered(15).fingerprint)


@pytest.mark.parametrize("patch", [b"\x01", b"\xff"])
def test_changed_bytes_are_noticed_and_a_new_put_heals_them(folder: Path, patch: bytes) -> None:
    for name in (LONG, SHORT):
        (folder / name).write_bytes(patch * (folder / name).stat().st_size)
    with Registry.open(folder, write=True) as registry:
        with pytest.raises(RegistryError, match=r"fingerprint of owner/model-3 isn't what was stored") as caught:
            registry.get("owner/model-3")
        assert "Crawl that model again" in caught.value.hint
        with pytest.raises(RegistryError, match="isn't what was stored"):
            registry.search(numbered(3).fingerprint)
        registry.put([numbered(i) for i in range(20)])
        assert registry.get("owner/model-3") is not None
        assert registry.search(numbered(3).fingerprint, 1)[0].id == "owner/model-3"


def test_torn_tail_is_cut_off_by_the_next_writer(folder: Path) -> None:
    sizes = {name: (folder / name).stat().st_size for name in (LONG, SHORT)}
    for name in sizes:
        with (folder / name).open("ab") as file:
            file.write(b"torn" * 1000)
    with Registry.open(folder) as registry:
        assert registry.search(numbered(3).fingerprint, 1)[0].id == "owner/model-3"
    with Registry.open(folder, write=True):
        assert {name: (folder / name).stat().st_size for name in sizes} == sizes


@pytest.mark.parametrize("leftover", [[], ["writer.lock"], [DATABASE], [DATABASE, LONG]])
def test_registry_that_was_never_finished_is_finished_by_the_next_writer(tmp_path: Path, leftover: list[str]) -> None:
    for name in leftover:
        (tmp_path / name).touch()
    refused(tmp_path)
    with Registry.open(tmp_path, write=True) as registry:
        assert registry.put([numbered(1)]) == 1


READ_ONLY = """
import os, sys
from hub_lineage.registry import Registry
from tests.registry.models import numbered
if os.geteuid() == 0:
    os.setuid(65534)
with Registry.open(sys.argv[1]) as registry:
    print(len(registry), registry.search(numbered(3).fingerprint, 1)[0].id)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
def test_folder_that_cannot_be_written_is_read(folder: Path, tmp_path: Path) -> None:
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    for entry in folder.iterdir():
        entry.chmod(0o444)
    folder.chmod(0o555)
    try:
        command = [sys.executable, "-c", READ_ONLY, str(folder)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    finally:
        folder.chmod(0o755)
    assert ran.stdout.split() == ["20", "owner/model-3"], ran.stderr


FULL = """
import resource, sys
from hub_lineage.errors import RegistryError
from hub_lineage.registry import Registry
from tests.registry.models import numbered
with Registry.open(sys.argv[1], write=True) as registry:
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
    try:
        registry.put([numbered(i, size=int(sys.argv[2])) for i in range(100, 200)])
    except RegistryError as error:
        print(error)
    print(len(registry))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of a file there")
@pytest.mark.parametrize("size", [40, 4096])
def test_disk_that_is_full_loses_nothing(folder: Path, size: int) -> None:
    command = [sys.executable, "-c", FULL, str(folder), str(size)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    said, count = ran.stdout.splitlines()
    assert said.startswith("No space is left"), ran.stdout
    assert count == "20"
    with Registry.open(folder, write=True) as registry:
        assert len(registry) == 20
        assert registry.put([numbered(500)]) == 1
