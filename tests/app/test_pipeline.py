"""The page on the real pipeline: a Hub over HTTP, a crawl, a registry, the command line's own app and demonstration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hub_lineage.crawl import crawl
from hub_lineage.demo.stage import stage
from hub_lineage.registry import Registry
from tests.app.conftest import serving
from tests.family import CHILD, TREE, write_family


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_family(tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="module")
def address(family: Path) -> Iterator[str]:
    """``hub-lineage app`` on a registry that was crawled from a Hub on loopback."""
    with stage(family) as played:
        with Registry.open(played.registry, write=True) as known:
            crawl(known, hub=played.hub)
        with serving(
            "hub_lineage.cli", "app", "--port", "0", "--registry", str(played.registry), HF_ENDPOINT=played.url
        ) as address:
            yield address


def test_a_model_is_traced_from_a_registry(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Model", exact=True).fill(CHILD)
    page.get_by_role("button", name="Trace", exact=True).click()
    rows = page.locator("#hl-ranking tbody tr")
    expect(rows).to_have_count(len(TREE) - 1)
    expect(rows.first).to_contain_text("bob/left-one")
    expect(page.locator("#hl-answer h2")).not_to_be_empty()
    expect(page.locator("#hl-declared")).to_contain_text("bob/left-one")
    expect(page.locator("#hl-evidence")).to_contain_text("±")
    page.locator('#hl-graph [data-id="bob/left-one"]').click()
    expect(page.locator("#hl-details")).to_contain_text("Licence: mit.")
    page.get_by_role("button", name="Trace from here").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("bob/left-one")
    expect(page.locator("#hl-graph .hl-focus")).to_have_attribute("data-id", "bob/left-one")


def test_a_model_that_the_hub_does_not_have_is_told(page: Page, address: str) -> None:
    page.goto(f"{address}/?model=no/such")
    expect(page.locator("#hl-answer [role=alert]")).to_contain_text("no/such")


def test_a_folder_of_this_machine_is_traced(page: Page, address: str, family: Path) -> None:
    page.goto(address)
    page.get_by_label("Model", exact=True).fill(str(family / "cid__deep"))
    page.get_by_label("Model", exact=True).press("Enter")
    expect(page.locator("#hl-ranking tbody tr").first).to_contain_text("cid/deep")


def test_the_demonstration_ends_in_an_app_with_examples(page: Page, family: Path) -> None:
    with serving("hub_lineage.cli", "demo", "--port", "0", "--models", str(family)) as address:
        page.goto(address)
        page.get_by_role("button", name=CHILD, exact=True).click()
        expect(page.locator("#hl-ranking tbody tr").first).to_contain_text("bob/left-one")


def test_a_port_that_is_taken_is_told(address: str) -> None:
    command = [sys.executable, "-m", "hub_lineage.cli", "app", "--port", address.rpartition(":")[2]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is taken" in done.stderr
    assert "Traceback" not in done.stderr
