"""The family on a Hub, someone who may run jobs there, and the command line logged in as that one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub_lineage.testing import LoopbackHub
from tests.cli import conftest as commands

family, hub, run = commands.family, commands.hub, commands.run
TOKEN, READER, STORE = "hf_ann_secret", "hf_eve_secret", "ann/registry"


@pytest.fixture
def server(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    hub.add_user("ann", TOKEN, orgs={"org": "write"}, role="write")
    hub.add_user("eve", READER)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield hub
    assert hub.crashes == []
