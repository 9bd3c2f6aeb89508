"""A Hub on loopback with a small family, and the command line pointed at it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hub_lineage.cli import main
from hub_lineage.demo.stage import bundled, serve
from hub_lineage.testing import LoopbackHub
from tests.family import write_family


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("family"))


@pytest.fixture
def hub(family: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """The family on a Hub, with models that can't be read beside it; the environment leads there and nowhere else."""
    with LoopbackHub() as server:
        serve(server, bundled(family), family)
        server.add_repo("bad/gated", folder=family / "ann__root", gated="manual")
        server.add_repo("bad/private", folder=family / "ann__root", private=True)
        server.add_repo("bad/empty", files={})
        server.add_repo("bad/words", files={"README.md": "# Words alone\n"})
        whole = (family / "ann__root" / "model.safetensors").read_bytes()
        server.add_repo("bad/short", files={"model.safetensors": whole[:5000]})
        server.add_repo("bad/lie", files={"model.safetensors": (10**9).to_bytes(8, "little") + whole[8:]})
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HUB_LINEAGE_REGISTRY", str(tmp_path / "registry"))
        monkeypatch.delenv("HUB_LINEAGE_DEBUG", raising=False)
        yield server


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process."""

    def call(*arguments: str, stdin: str = "") -> Outcome:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        status = main(arguments)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call
