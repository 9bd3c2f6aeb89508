"""Commits by the real client: files small and large, parents, pull requests, and who may."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi, errors

from hub_lineage.testing import LoopbackHub
from hub_lineage.testing.wire import Connection

Operations = list[CommitOperationAdd | CommitOperationCopy | CommitOperationDelete]
WEIGHTS = bytes(range(256)) * 40
# The client itself uploads large files by a deprecated argument of its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def content(api: HfApi, folder: Path, path: str, revision: str = "main") -> bytes:
    return Path(api.hf_hub_download("org/name", path, revision=revision, cache_dir=folder)).read_bytes()


def test_one_commit_adds_changes_copies_and_deletes(ann: HfApi, tmp_path: Path) -> None:
    ann.upload_file(repo_id="org/name", path_or_fileobj=WEIGHTS, path_in_repo="model.safetensors")
    before = ann.model_info("org/name").sha
    operations: Operations = [
        CommitOperationAdd("config.json", b'{"model_type": "llama"}'),
        CommitOperationAdd("data.bin", WEIGHTS[1:]),
        CommitOperationCopy("model.safetensors", "copy.safetensors"),
        CommitOperationDelete("old/"),
    ]
    made = ann.create_commit("org/name", operations, commit_message="Change", commit_description="All of it.")
    assert made.oid == ann.model_info("org/name").sha != before
    assert made.commit_url == f"{ann.endpoint}/org/name/commit/{made.oid}"
    assert set(ann.list_repo_files("org/name")) == {
        "README.md",
        "config.json",
        "copy.safetensors",
        "data.bin",
        "model.safetensors",
    }
    assert content(ann, tmp_path, "config.json") == b'{"model_type": "llama"}'
    assert content(ann, tmp_path, "data.bin") == WEIGHTS[1:]
    assert content(ann, tmp_path, "copy.safetensors") == WEIGHTS
    newest = ann.list_repo_commits("org/name")[0]
    assert (newest.title, newest.message, newest.authors) == ("Change", "All of it.", ["ann"])


def test_what_is_there_already_is_neither_uploaded_nor_committed(ann: HfApi, served: LoopbackHub) -> None:
    first = ann.upload_file(repo_id="org/name", path_or_fileobj=WEIGHTS, path_in_repo="model.safetensors")
    served.forget()
    assert ann.upload_file(repo_id="org/name", path_or_fileobj=WEIGHTS, path_in_repo="model.safetensors").oid == first.oid
    assert ann.upload_file(repo_id="org/name", path_or_fileobj=WEIGHTS, path_in_repo="again.safetensors").oid != first.oid
    assert [record for record in served.requests if record.method == "PUT"] == []


def test_a_large_file_goes_up_in_parts(ann: HfApi, served: LoopbackHub, tmp_path: Path) -> None:
    served.site.part_size = 4096
    ann.upload_file(repo_id="org/name", path_or_fileobj=WEIGHTS, path_in_repo="model.safetensors")
    assert [record.origin for record in served.requests if record.method == "PUT"] == ["cdn"] * 3
    assert content(ann, tmp_path, "model.safetensors") == WEIGHTS


def test_a_folder_goes_up_and_comes_back(ann: HfApi, tmp_path: Path) -> None:
    folder = tmp_path / "up"
    for path, data in {".gitignore": b"*.log\n", "a/weights.bin": WEIGHTS, "notes.txt": b"x", "noise.log": b"y"}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    ann.upload_folder(repo_id="org/name", folder_path=folder, delete_patterns="old/*")
    back = Path(ann.snapshot_download("org/name", cache_dir=tmp_path / "cache"))
    assert (back / "a/weights.bin").read_bytes() == WEIGHTS
    found = {path.relative_to(back).as_posix() for path in back.rglob("*") if path.is_file()}
    assert found == {".gitignore", "README.md", "a/weights.bin", "config.json", "notes.txt"}


def test_a_parent_that_moved_on(ann: HfApi) -> None:
    parent = ann.model_info("org/name").sha
    ann.upload_file(repo_id="org/name", path_or_fileobj=b"1", path_in_repo="a.txt", parent_commit=parent)
    with pytest.raises(errors.HfHubHTTPError, match="A commit has happened since") as caught:
        ann.upload_file(repo_id="org/name", path_or_fileobj=b"2", path_in_repo="a.txt", parent_commit=parent)
    assert caught.value.response.status_code == 412
    made = ann.upload_file(repo_id="org/name", path_or_fileobj=b"2", path_in_repo="b", parent_commit=parent, create_pr=True)
    assert not ann.file_exists("org/name", "a.txt", revision=made.pr_revision)


def test_deleting_what_isn_t_there(ann: HfApi) -> None:
    with pytest.raises(errors.RemoteEntryNotFoundError, match="A file with this name doesn't exist"):
        ann.delete_file("nowhere.txt", "org/name")


def test_a_branch_that_isn_t_there(ann: HfApi) -> None:
    with pytest.raises(errors.RevisionNotFoundError):
        ann.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x", revision="nowhere")


def test_a_reader_opens_no_pull_request(eve: HfApi, served: LoopbackHub) -> None:
    for create_pr in (False, True):
        with pytest.raises(errors.HfHubHTTPError, match="you must use a write token") as caught:
            eve.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x", create_pr=create_pr)
        assert caught.value.response.status_code == 403
    assert served.repository("org/name").discussions == []


def test_who_may_only_discuss_is_told_of_pull_requests(bob: HfApi) -> None:
    with pytest.raises(errors.HfHubHTTPError, match="pass `create_pr=1`"):
        bob.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x")


def test_a_pull_request_from_a_stranger_and_its_merge(ann: HfApi, bob: HfApi, tmp_path: Path) -> None:
    before = ann.model_info("org/name").sha
    operations: Operations = [CommitOperationAdd("new.bin", WEIGHTS), CommitOperationDelete("old/a.txt")]
    made = bob.create_commit("org/name", operations, commit_message="Better", commit_description="Why", create_pr=True)
    assert (made.pr_num, made.pr_revision) == (1, "refs/pr/1")
    assert ann.model_info("org/name").sha == before
    assert content(ann, tmp_path, "new.bin", "refs/pr/1") == WEIGHTS
    bob.upload_file(repo_id="org/name", path_or_fileobj=b"more", path_in_repo="more.txt", revision="refs/pr/1")
    ann.upload_file(repo_id="org/name", path_or_fileobj=b"else", path_in_repo="else.txt")
    with pytest.raises(errors.HfHubHTTPError, match="create_pr=1"):
        bob.merge_pull_request("org/name", 1)
    ann.merge_pull_request("org/name", 1, comment="Thanks")
    assert set(ann.list_repo_files("org/name")) == {"README.md", "config.json", "else.txt", "more.txt", "new.bin"}
    details = ann.get_discussion_details("org/name", 1)
    assert (details.status, details.merge_commit_oid) == ("merged", ann.model_info("org/name").sha)
    assert [event.type for event in details.events] == ["comment", "commit", "commit", "comment", "status-change"]
    assert ann.list_repo_commits("org/name")[0].title == "Better (#1)"


def test_a_pull_request_in_conflict_is_not_merged(ann: HfApi, bob: HfApi) -> None:
    bob.upload_file(repo_id="org/name", path_or_fileobj=b"theirs", path_in_repo="config.json", create_pr=True)
    ann.upload_file(repo_id="org/name", path_or_fileobj=b"ours", path_in_repo="config.json")
    assert ann.get_discussion_details("org/name", 1).conflicting_files == ["config.json"]
    with pytest.raises(errors.HfHubHTTPError, match="conflicts"):
        ann.merge_pull_request("org/name", 1)


def test_an_upload_that_arrives_broken_is_refused(ann: HfApi, served: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Connection, size: int) -> bytes:
        body = self.rfile.read(size)
        return body[::-1] if self.command == "PUT" else body

    monkeypatch.setattr(Connection, "_read", read)
    with pytest.raises(RuntimeError, match="Error while uploading") as caught:
        ann.upload_file(repo_id="org/name", path_or_fileobj=WEIGHTS, path_in_repo="model.safetensors")
    assert "XAmzContentSHA256Mismatch" in str(caught.value.__cause__)
    assert served.site.stored == {}


def test_a_commit_names_no_large_file_that_never_came(ann: HfApi) -> None:
    operation = CommitOperationAdd("model.safetensors", WEIGHTS)
    operation._upload_mode, operation._is_uploaded = "lfs", True
    operation._should_ignore, operation._remote_oid = False, None
    with pytest.raises(errors.BadRequestError, match="does not exist"):
        ann.create_commit("org/name", [operation], commit_message="Pretend")
