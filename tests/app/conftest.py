"""A real browser, and apps in processes of their own; every request of every page is recorded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
WAIT = 30_000  # milliseconds; two busy cores may take long


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-screenshots", action="store_true", help="Write docs/screenshots from the pages of the tests.")


@pytest.fixture(scope="session")
def screenshot(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Saves a page's picture for the documentation, when asked to."""
    wanted = request.config.getoption("--update-screenshots", default=False)

    def save(page: Page, name: str) -> None:
        if wanted:
            folder = ROOT / "docs" / "screenshots"
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{name}.png", full_page=True)

    return save


@contextmanager
def serving(*command: str, **environment: str) -> Iterator[str]:
    """A process that serves the app; gives the address that it prints."""
    env = {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1", **environment}
    with subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = (re.search(r"The app is at (http://127\.0\.0\.1:\d+)", line) for line in process.stdout)
            address = next((match[1] for match in found if match), None)
            assert address, f"{command} ended before it served"
            yield address
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The app with answers built by hand."""
    with serving("tests.app.served") as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page that may speak to this machine alone, and in which no script may fail."""
    context = browser.new_context(viewport={"width": 1240, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(WAIT)
    hosts: set[str | None] = set()
    failures: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname if "://" in request.url else "127.0.0.1"))
    page.on("pageerror", lambda error: failures.append(str(error)))
    yield page
    context.close()
    assert hosts == {"127.0.0.1"}
    assert not failures
