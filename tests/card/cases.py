"""A really fine-tuned model whose parent the weights name, found among those of the demonstration, and a Hub that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hub_lineage.demo.stage import MODELS, bundled, serve
from hub_lineage.hub import Hub
from hub_lineage.testing import LoopbackHub
from hub_lineage.trace import trace

CHILD = "some/child"
TOKEN, READER, TALKER, LATE = "hf_writer", "hf_reader", "hf_talker", "hf_late"
README = b"---\nlicense: mit  # as they said\ntags:\n- shirts\n---\r\n# Child\n\nWords, some odd: \xc3\xa9\x0b.\n"


@dataclass(frozen=True)
class Case:
    """The folder of a child, its parent, and the models to compare it with."""

    folder: str
    parent: str
    among: tuple[str, ...]
    unrelated: str  # a candidate that isn't its parent


@lru_cache(maxsize=1)
def case() -> Case:
    """The first of the bundled models of which the verdict is sure."""
    models = bundled()
    ids = tuple(model.id for model in models)
    with LoopbackHub() as server, Hub(server.url, token=False) as hub:
        serve(server, models)
        for model in models:
            among = tuple(name for name in ids if name != model.id)
            found = trace(model.id, among=among, hub=hub).verdict
            if found.kind == "parent" and found.settle is None and found.parents[0].relation == "finetune":
                others = [name for name in among if name != found.parents[0].id]
                return Case(model.folder, found.parents[0].id, among, others[0])
    raise AssertionError("no bundled model has a sure parent, so there is nothing to write to a card")


def put_child(server: LoopbackHub, readme: bytes | None = README, name: str = CHILD, *, private: bool = False) -> None:
    """Serves the child under another name, with a README of its own, or none."""
    folder = MODELS / case().folder
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "README.md"}
    server.add_repo(name, files=files if readme is None else {**files, "README.md": readme}, private=private)


def put_all(server: LoopbackHub) -> None:
    """Serves the models of the demonstration, and knows people with tokens of several kinds."""
    serve(server, bundled())
    server.add_user("ann", TOKEN, role="write", reads=["closed"])
    server.add_token("ann", READER, role="read")
    server.add_token("ann", TALKER, role="fineGrained", scopes=["write-discussions", "read-repos"])
    server.add_token("ann", LATE, role="write", expires=1.0)


def commits_of(server: LoopbackHub, name: str = CHILD) -> int:
    """How many requests tried to commit to a repository."""
    return sum(record.method == "POST" and f"/api/models/{name}/commit/" in record.path for record in server.requests)
