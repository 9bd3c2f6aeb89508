"""A model in any format is read once: again only where one of its weight files is another."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from hub_lineage.crawl import crawl
from hub_lineage.fingerprint import encode, read_fingerprint
from hub_lineage.hub import Hub, LocalSource
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub
from hub_lineage.types import Reference
from tests.read.every_format import FORMATS, written

UNHASHED = ("ONNX, data beside it",)
"""Small data beside a model, which git holds itself: nothing says that it is what it was."""


def served(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def asked(loopback: LoopbackHub) -> list[str]:
    return [unquote(record.path) for record in loopback.requests if "org/it" in unquote(record.path) or record.origin == "cdn"]


def assert_held(registry: Registry, folder: Path) -> None:
    model = registry.get("org/it")
    assert model is not None
    assert encode(model.fingerprint) == encode(read_fingerprint(LocalSource(Reference(str(folder), local=True))))


@pytest.mark.parametrize("form", FORMATS)
def test_a_card_alone_reads_no_weights_again(
    form: str, loopback_hub: LoopbackHub, hub: Hub, registry: Registry, tmp_path: Path
) -> None:
    folder = written(tmp_path / "it", form)
    repository = loopback_hub.add_repo("org/it", folder=folder)
    assert crawl(registry, hub=hub).added == 1
    assert_held(registry, folder)
    repository.commit({"README.md": "---\nlicense: apache-2.0\n---\n"})
    loopback_hub.forget()
    assert crawl(registry, hub=hub).added == 1
    if form in UNHASHED:
        assert any("/resolve/" in path for path in asked(loopback_hub))
    else:
        assert asked(loopback_hub) == ["/api/models/org/it"]
    model = registry.get("org/it")
    assert model is not None
    assert model.license == "apache-2.0"
    assert_held(registry, folder)
    repository.commit(served(written(tmp_path / "other", form, 3)))
    assert crawl(registry, hub=hub).added == 1
    assert_held(registry, tmp_path / "other")


def test_weights_in_a_format_that_comes_first_are_read(
    loopback_hub: LoopbackHub, hub: Hub, registry: Registry, tmp_path: Path
) -> None:
    repository = loopback_hub.add_repo("org/it", folder=written(tmp_path / "it", "torch zip"))
    crawl(registry, hub=hub)
    repository.commit(served(written(tmp_path / "other", "safetensors", 3)))
    crawl(registry, hub=hub)
    assert_held(registry, tmp_path / "other")
