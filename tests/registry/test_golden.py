"""A registry of version 1, as it was written then, is read by today's code.

Made once by ``python -m tests.registry.test_golden FOLDER``; a version of the store that was released is never made anew.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from hub_lineage.registry import Registry
from hub_lineage.registry.folder import LOCK
from hub_lineage.types import Model
from tests.registry.models import contents, numbered

GOLDEN = Path(__file__).parent / "golden"


def stored() -> list[Model]:
    """What the golden registry holds, in the order put."""
    return [*(numbered(i, size=400, architecture=f"key-{i % 2}") for i in range(6)), numbered(3, revision="r2", size=400)]


@pytest.mark.parametrize("write", [False, True])
def test_version_1_is_read_today(tmp_path: Path, *, write: bool) -> None:
    folder = shutil.copytree(GOLDEN / "version-1", tmp_path / "r")
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
        assert len(registry) == 6


def make(folder: str) -> None:
    with Registry.open(folder, write=True) as registry:
        registry.put(stored())
        registry.record_failure("owner/gated", "r1", "gated", "The model is gated.")
    (Path(folder) / LOCK).unlink()


if __name__ == "__main__":
    make(sys.argv[1])
