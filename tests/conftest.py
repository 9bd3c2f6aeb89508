"""What holds for every test: an empty environment, no network beyond loopback, and a Hub to talk to."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

# The client reads these when it is first imported, so they are set before any test module is.
_HOME = TemporaryDirectory(prefix="hub-lineage-tests-")
_FOREIGN = ("HF_", "HUGGING", "TRANSFORMERS_", "HUB_LINEAGE_", "GRADIO_")
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY"})
_SETTINGS = {
    "HF_HOME": _HOME.name,
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_XET": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
}


def _foreign(name: str) -> bool:
    return name.upper().startswith(_FOREIGN) or name.upper() in _PROXIES


for _name in filter(_foreign, list(os.environ)):
    del os.environ[_name]
os.environ.update(_SETTINGS)

from hub_lineage.hub import Hub  # noqa: E402 - likewise
from hub_lineage.testing import LoopbackHub  # noqa: E402 - only once the environment is as it should be

ALLOWED_SKIPS = Path(__file__).with_name("skips.txt")
"""Tests that may be skipped, one a line as ``test: reason``; any other skip fails the run."""
_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what is skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note whole files that are skipped."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which something was skipped without a listed reason."""
    allowed = {line.partition(": ")[0] for line in ALLOWED_SKIPS.read_text().splitlines() if line and not line.startswith("#")}
    unlisted = sorted(set(_skipped) - allowed)
    if unlisted:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nSkipped without a reason listed in {ALLOWED_SKIPS.name}: {', '.join(unlisted)}")  # noqa: T201 - pytest's own output


def pytest_unconfigure() -> None:
    """Take the home folder away."""
    _HOME.cleanup()


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No setting of this machine reaches a test; the home folder is new."""
    for name in filter(_foreign, list(os.environ)):
        monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    for name, value in {**_SETTINGS, "HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}.items():
        monkeypatch.setenv(name, value)
    return home


class NoNetworkError(OSError):
    """A test reached beyond the loopback interface."""


def _is_loopback(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if host in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection to, or look-up of, another machine fails as if there were no network."""
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: Any) -> None:
        if not _is_loopback(host):
            raise NoNetworkError(f"a test reached for {host!r}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(address[0] if self.family in {socket.AF_INET, socket.AF_INET6} else None)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(address[0] if self.family in {socket.AF_INET, socket.AF_INET6} else None)
        return connect_ex(self, address)

    def guarded_look_up(host: Any, *rest: Any, **options: Any) -> Any:
        if host not in {"0.0.0.0", "::"}:  # where servers listen
            check(host)
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture
def loopback_hub() -> Iterator[LoopbackHub]:
    """A Hub on loopback; a handler of it that crashed fails the test."""
    with LoopbackHub() as hub:
        yield hub
    assert hub.crashes == []


@pytest.fixture
def hub(loopback_hub: LoopbackHub) -> Iterator[Hub]:
    """A client of the loopback Hub, of nobody's."""
    with Hub(loopback_hub.url, token=False) as opened:
        yield opened


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a registry can be made."""
    return tmp_path / "registry"
