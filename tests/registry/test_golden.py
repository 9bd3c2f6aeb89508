"""Registries of every version, as they were written then, are read by today's code.

Made once by ``python -m tests.registry.test_golden FOLDER``; a version of the store that was released is never made anew.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from hub_lineage.fingerprint import decode
from hub_lineage.registry import Registry
from hub_lineage.registry.folder import LOCK
from hub_lineage.types import Model
from tests.golden.make_fingerprint import GOLDEN as FINGERPRINT
from tests.registry.models import contents, numbered

GOLDEN = Path(__file__).parent / "golden"


def stored() -> list[Model]:
    """What both golden registries hold, in the order put."""
    return [*(numbered(i, size=400, architecture=f"key-{i % 2}") for i in range(6)), numbered(3, revision="r2", size=400)]


def stacked() -> Model:
    """A model with blocks, which the second version keeps by them."""
    return Model("owner/stack", "r1", decode(FINGERPRINT.read_bytes()))


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("version", [1, 2])
def test_an_older_version_is_read_today(tmp_path: Path, version: int, *, write: bool) -> None:
    folder = shutil.copytree(GOLDEN / f"version-{version}", tmp_path / "r")
    with Registry.open(folder, write=write) as registry:
        for model in stored():
            got = registry.get(model.id, model.revision)
            assert got is not None
            assert contents(got) == contents(model)
            assert registry.revision(model.id) == ("r2" if model.id == "owner/model-3" else "r1")
        assert [hit.id for hit in registry.search(numbered(4, size=400, architecture="key-0").fingerprint, 1)] == [
            "owner/model-4"
        ]
        assert registry.children_declaring("owner/model-1") == ["owner/model-2", "owner/model-3"]
        assert [(failure.id, failure.code) for failure in registry.failures()] == [("owner/gated", "gated")]
        assert len(registry) == 5 + version
        blocks = registry.search_blocks(stacked().fingerprint)
        assert [hit.id for hit in blocks] == (["owner/stack"] if version > 1 else [])
        assert registry.info().version == (2 if write else version)


def test_a_registry_that_was_brought_up_to_date_takes_blocks(tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN / "version-1", tmp_path / "r")
    with Registry.open(folder, write=True) as registry:
        registry.put([stacked()])
        assert [hit.id for hit in registry.search_blocks(stacked().fingerprint)] == ["owner/stack"]
        assert len(registry) == 7


def make(folder: str) -> None:
    with Registry.open(folder, write=True) as registry:
        registry.put([*stored(), stacked()])
        registry.record_failure("owner/gated", "r1", "gated", "The model is gated.")
    (Path(folder) / LOCK).unlink()


if __name__ == "__main__":
    make(sys.argv[1])
