"""A Hub on loopback with the models of the demonstration, and the environment pointed at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_lineage.testing import LoopbackHub
from tests.card.cases import put_all


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        put_all(hub)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HUB_LINEAGE_REGISTRY", str(tmp_path / "registry"))
        yield hub
    assert hub.crashes == []
