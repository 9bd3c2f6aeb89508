"""The Space that receives the webhook, as a process of its own: a Hub calls it, and a registry in a dataset fills."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from hub_lineage.demo.stage import bundled, serve
from hub_lineage.hub.jobs import Jobs
from hub_lineage.hub.webhooks import Webhooks
from hub_lineage.registry import Registry
from hub_lineage.testing import LoopbackHub, deliver
from tests.family import write_family

CRAWLER = Path(__file__).parents[2] / "spaces" / "crawler"
TOKEN, SECRET, STORE = "hf_ann_secret", "w3bhook-secret", "ann/registry"
PATIENCE = 60.0


@dataclass
class Scene:
    """A Hub that calls, and a Space that is called."""

    hub: LoopbackHub
    address: str
    log: queue.Queue[str]
    heard: list[str] = field(default_factory=list)

    def wait_for(self, words: str) -> None:
        """Reads the Space's log until a line begins with some words."""
        while not any(line.startswith(words) for line in self.heard):
            self.heard.append(self._line(words))

    def _line(self, words: str) -> str:
        try:
            return self.log.get(timeout=PATIENCE)
        except queue.Empty:
            pytest.fail(f"no {words!r} in {self.heard}")

    def known(self, folder: Path) -> set[str]:
        """The models of the family in the dataset's registry."""
        Jobs(self.hub.url, TOKEN).fetch(STORE, folder)
        with Registry.open(folder) as known:
            return {name for name in ("ann/root", "ann/left", "ann/right", "eve/stranger") if known.revision(name)}

    def call(self, body: dict[str, object], secret: str | None = SECRET) -> int:
        return deliver(self.address, body, secret)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def follow(stream: IO[str], log: queue.Queue[str]) -> None:
    for line in stream:
        log.put(line)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, port = write_family(tmp_path_factory.mktemp("family")), free_port()
    with LoopbackHub() as hub:
        serve(hub, bundled(folder), folder)
        hub.add_user("ann", TOKEN, role="write")
        settings = {"WEBHOOK_SECRET": SECRET, "WATCHED": "ann, eve", "HUB_LINEAGE_STORE": STORE, "QUIET": "0.2"}
        place = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
        environment = {**os.environ, **settings, **place, "HF_HUB_DISABLE_XET": "1", "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, str(CRAWLER / "app.py")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen(command, env=environment, **pipes) as space:  # type: ignore[call-overload] # the pipes are right
            log: queue.Queue[str] = queue.Queue()
            reader = threading.Thread(target=follow, args=(space.stdout, log), daemon=True)
            reader.start()
            made = Scene(hub, f"http://127.0.0.1:{port}/webhooks/models", log)
            try:
                made.wait_for("  - POST http://")
                Webhooks(hub.url, TOKEN).register(f"http://127.0.0.1:{port}", ["ann", "eve"], SECRET)
                yield made
            finally:
                space.terminate()
                space.wait(PATIENCE)
                reader.join(PATIENCE)
        while not log.empty():
            made.heard.append(log.get())
        assert not [line for line in made.heard if TOKEN in line or SECRET in line or "Traceback" in line]
    assert hub.crashes == []


@pytest.mark.parametrize(("secret", "status"), [(None, 401), ("other", 403), (SECRET, 200)])
def test_only_the_secret_opens(scene: Scene, secret: str | None, status: int) -> None:
    assert scene.call({}, secret) == status


def test_what_is_no_payload_is_refused(scene: Scene) -> None:
    assert deliver(scene.address, [], SECRET) == 400  # type: ignore[arg-type] # no object, on purpose
    assert scene.call({"event": "x" * 1_000_001}) == 400


def test_a_new_commit_is_crawled_and_traced(scene: Scene, tmp_path: Path) -> None:
    assert scene.hub.notify("ann/root") == [200]
    scene.wait_for("Crawled ann/root: exit status 0.")
    scene.wait_for("ann/root: ")
    scene.hub.notify("ann/left", action="create", scope="repo")
    scene.wait_for("Crawled ann/left: exit status 0.")
    scene.wait_for("ann/left: ")
    scene.hub.notify("eve/stranger")
    scene.wait_for("Crawled eve/stranger: exit status 0.")  # what was crawled before is stored by now
    assert {"ann/root", "ann/left"} <= scene.known(tmp_path)


def test_own_commits_are_no_news(scene: Scene) -> None:
    card = scene.hub.repository("ann/right")
    card.commit({"README.md": b"# Right\n"}, title="Lineage from the weights (hub-lineage)")
    assert scene.hub.notify("ann/right") == [200]
    assert scene.hub.notify("eve/stranger") == [200]
    scene.heard = [line for line in scene.heard if "eve/stranger" not in line]
    scene.wait_for("Crawled eve/stranger")
    assert not [line for line in scene.heard if "ann/right" in line]


@pytest.mark.parametrize("missing", ["WEBHOOK_SECRET", "WATCHED"])
def test_without_its_settings_nothing_starts(missing: str) -> None:
    settings = {"WEBHOOK_SECRET": SECRET, "WATCHED": "ann", missing: ""}
    command = [sys.executable, str(CRAWLER / "app.py")]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 2
    assert "WEBHOOK_SECRET and WATCHED" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_the_title_of_a_card_s_commit_is_known_as_own() -> None:
    from hub_lineage import card  # noqa: PLC0415 - beside what it is compared with

    line = next(line for line in (CRAWLER / "app.py").read_text("utf-8").splitlines() if line.startswith("OWN = "))
    assert json.loads(line.removeprefix("OWN = ").partition("  #")[0]) in card.TITLE
