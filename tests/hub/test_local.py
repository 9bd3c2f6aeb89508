"""Folders and files on disk by the interface of the Hub."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub_lineage.errors import NotFound, Unreadable
from hub_lineage.hub import LocalSource, read_whole
from hub_lineage.types import ByteRange, Reference

DATA = os.urandom(5000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "unet").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (root / "unet" / "model.safetensors").write_bytes(DATA)
    (root / "config.json").write_text("{}")
    (root / "README.md").write_text("---\nlicense: mit\nbase_model: org/parent\n---\nWords\n")
    return root


def opened(path: Path | str) -> LocalSource:
    return LocalSource(Reference(str(path), local=True))


def test_files_are_listed_with_sizes(folder: Path) -> None:
    source = opened(folder)
    assert {file.path: file.size for file in source.files}["unet/model.safetensors"] == len(DATA)
    assert [file.path for file in source.files] == ["README.md", "config.json", "unet/model.safetensors"]
    assert source.revision is None
    assert source.cost().bytes_total == sum(file.size for file in source.files)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(DATA)), st.integers(0, len(DATA))), max_size=20))
def test_ranges_are_the_file_s_bytes(folder: Path, bounds: list[tuple[int, int]]) -> None:
    ranges = [ByteRange("unet/model.safetensors", min(pair), max(pair)) for pair in bounds]
    assert opened(folder).read(ranges) == [DATA[one.start : one.stop] for one in ranges]


def test_only_what_was_asked_for_is_read(folder: Path) -> None:
    source = opened(folder)
    source.read([ByteRange("unet/model.safetensors", 10, 30), ByteRange("unet/model.safetensors", 4000, 4001)])
    assert source.cost().bytes_read == 21
    assert source.cost().requests == 0


def test_a_single_file_is_a_source(folder: Path) -> None:
    source = opened(folder / "unet" / "model.safetensors")
    assert [file.path for file in source.files] == ["model.safetensors"]
    assert source.read([ByteRange("model.safetensors", 5, 9)]) == [DATA[5:9]]


def test_the_card_is_the_readme_s(folder: Path) -> None:
    assert opened(folder).card["license"] == "mit"
    assert opened(folder).card["card_data"]["base_model"] == "org/parent"


@pytest.mark.parametrize("readme", ["", "no metadata", "---\n{[\n---\n", "---\n- a\n- b\n---\n", "---\nlicense: [a]\n---\n"])
def test_a_broken_readme_does_no_harm(folder: Path, readme: str) -> None:
    (folder / "README.md").write_text(readme)
    assert opened(folder).card["license"] is None


def test_linked_files_are_read_and_linked_folders_not_entered(folder: Path, tmp_path: Path) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(b"weights")
    (folder / "linked.safetensors").symlink_to(blob)
    (folder / "up").symlink_to(tmp_path)
    (folder / "nowhere").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe")
    source = opened(folder)
    assert [file.path for file in source.files] == ["README.md", "config.json", "linked.safetensors", "unet/model.safetensors"]
    assert read_whole(source, "linked.safetensors", 100) == b"weights"


def test_a_linked_folder_keeps_its_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    source = opened(tmp_path / "link")
    assert source.reference.id == str(tmp_path / "link")
    assert read_whole(source, "config.json", 10) == b"{}"


def test_nothing_outside_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(NotFound):
        opened(folder).read([ByteRange("../secret", 0, 6)])


def test_a_file_that_shrank_is_unreadable(folder: Path) -> None:
    source = opened(folder)
    (folder / "unet" / "model.safetensors").write_bytes(b"short")
    with pytest.raises(Unreadable):
        source.read([ByteRange("unet/model.safetensors", 0, 100)])


def test_a_file_that_vanished_is_not_found(folder: Path) -> None:
    source = opened(folder)
    (folder / "config.json").unlink()
    with pytest.raises(NotFound):
        source.read([ByteRange("config.json", 0, 2)])


@pytest.mark.parametrize("path", ["/no/where", "x\x00y", "~nobody-here/model"])
def test_nothing_there_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        opened(path)


def test_what_is_neither_folder_nor_file_is_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable):
        opened(tmp_path / "pipe")
