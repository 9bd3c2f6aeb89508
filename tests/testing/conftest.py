"""A Hub on loopback with people of different rights: Ann writes, Bob discusses, Eve reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from huggingface_hub import HfApi

from hub_lineage.testing import LoopbackHub


@pytest.fixture
def served() -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add_user("ann", "hf_ann", orgs={"org": "write"}, role="write")
        hub.add_user("bob", "hf_bob", role="fineGrained", scopes=["write-discussions"])
        hub.add_user("eve", "hf_eve")
        hub.add_repo("org/name", files={"README.md": "---\nlicense: mit\n---\nText.\n", "config.json": "{}", "old/a.txt": "a"})
        yield hub
    assert hub.crashes == []


@pytest.fixture
def ann(served: LoopbackHub) -> HfApi:
    return HfApi(endpoint=served.url, token="hf_ann")


@pytest.fixture
def bob(served: LoopbackHub) -> HfApi:
    return HfApi(endpoint=served.url, token="hf_bob")


@pytest.fixture
def eve(served: LoopbackHub) -> HfApi:
    return HfApi(endpoint=served.url, token="hf_eve")
