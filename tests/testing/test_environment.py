"""A process of its own whose client knows the Hub by ``HF_ENDPOINT`` alone, as a user's would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from huggingface_hub import HfApi

from hub_lineage.testing import LoopbackHub

SCRIPT = """
from pathlib import Path

from huggingface_hub import HfFileSystem, ModelCard, metadata_update, snapshot_download, upload_folder, whoami

assert whoami()["name"] == "ann"
card = ModelCard.load("org/name")
card.data.base_model = "org/parent"
card.text += "\\nMore.\\n"
print(card.push_to_hub("org/name", commit_message="Name the parent"))
print(metadata_update("org/name", {"base_model_relation": "finetune"}, create_pr=True).pr_url)
try:
    metadata_update("org/name", {"base_model_relation": "copied"})
except ValueError as error:
    print("refused", "must be one of" in str(error))
folder = Path(snapshot_download("org/name"))
(Path.cwd() / "up").mkdir()
(Path.cwd() / "up" / "notes.txt").write_text((folder / "README.md").read_text())
upload_folder(repo_id="org/name", folder_path="up", path_in_repo="docs")
print(HfFileSystem().read_text("org/name/docs/notes.txt").endswith("Text.\\n\\nMore.\\n"))
"""


def test_the_client_s_own_calls_round_trip(served: LoopbackHub, ann: HfApi, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_ENDPOINT": served.url, "HF_TOKEN": "hf_ann", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    commit, pull, refused, same = done.stdout.splitlines()
    history = [one.commit_id for one in ann.list_repo_commits("org/name")]
    assert commit == f"{served.url}/org/name/commit/{history[1]}"
    assert pull == f"{served.url}/org/name/discussions/1"
    assert (refused, same) == ("refused True", "True")
    assert "base_model:org/parent" in (ann.model_info("org/name").tags or ())
    readme = served.repository("org/name").at("refs/pr/1").files["README.md"].read().decode()
    assert readme == "---\nlicense: mit\nbase_model: org/parent\nbase_model_relation: finetune\n---\nText.\n\nMore.\n"
