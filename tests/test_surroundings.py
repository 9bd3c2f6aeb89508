"""The guards of conftest themselves."""

from __future__ import annotations

import os
import socket
import urllib.request
from pathlib import Path

import huggingface_hub
import pytest

from hub_lineage.testing import LoopbackHub


def test_no_connection_leaves_the_machine() -> None:
    with socket.socket() as caller, pytest.raises(OSError, match="reached for"):
        caller.connect(("192.0.2.1", 80))
    with socket.socket() as caller, pytest.raises(OSError, match="reached for"):
        caller.connect_ex(("192.0.2.1", 80))


def test_no_name_is_looked_up() -> None:
    with pytest.raises(OSError, match="reached for"):
        socket.getaddrinfo("huggingface.co", 443)


def test_loopback_can_be_reached(loopback_hub: LoopbackHub) -> None:
    with urllib.request.urlopen(f"{loopback_hub.url}/api/models") as answer:
        assert answer.status == 200


def test_the_environment_is_empty() -> None:
    assert huggingface_hub.get_token() is None
    assert "HF_ENDPOINT" not in os.environ
    assert not any(Path.home().iterdir())
