"""A Hub's client and an empty registry for the tests of crawls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub_lineage.hub import Hub
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub


@pytest.fixture
def hub(loopback_hub: LoopbackHub) -> Iterator[Hub]:
    with Hub(loopback_hub.url, token=False, steady=True) as opened:
        yield opened


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry", write=True) as opened:
        yield opened
