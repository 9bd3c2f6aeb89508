"""Making, moving and deleting repositories by the real client, and what a token allows."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import HfApi, HfFileSystem, RepoUrl, errors

from hub_lineage.testing import LoopbackHub

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_a_repository_s_life(ann: HfApi) -> None:
    made = ann.create_repo("org/new", private=True)
    assert isinstance(made, RepoUrl)
    assert (made.repo_id, made.repo_type) == ("org/new", "model")
    assert ann.list_repo_files("org/new") == [".gitattributes"]
    assert ann.model_info("org/new").private
    with pytest.raises(errors.HfHubHTTPError, match="You already created this model repo"):
        ann.create_repo("org/new")
    assert ann.create_repo("org/new", exist_ok=True) == made
    ann.update_repo_settings("org/new", private=False, gated="auto")
    assert (ann.model_info("org/new").private, ann.model_info("org/new").gated) == (False, "auto")
    ann.move_repo("org/new", "ann/newer")
    assert ann.model_info("org/new").id == "ann/newer"
    ann.delete_repo("ann/newer")
    with pytest.raises(errors.RepositoryNotFoundError):
        ann.delete_repo("ann/newer")
    ann.delete_repo("ann/newer", missing_ok=True)


def test_branches_and_tags(ann: HfApi) -> None:
    first = ann.model_info("org/name").sha
    ann.create_branch("org/name", branch="dev/one")
    ann.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x.txt", revision="dev/one")
    ann.create_tag("org/name", tag="v1", revision="dev/one")
    assert (ann.model_info("org/name").sha, ann.file_exists("org/name", "x.txt", revision="v1")) == (first, True)
    with pytest.raises(errors.HfHubHTTPError, match="exists"):
        ann.create_branch("org/name", branch="dev/one")
    ann.create_branch("org/name", branch="dev/one", exist_ok=True)
    ann.create_tag("org/name", tag="v1", exist_ok=True)
    ann.delete_branch("org/name", branch="dev/one")
    ann.delete_tag("org/name", tag="v1")
    for revision in ("dev/one", "v1"):
        assert not ann.revision_exists("org/name", revision)
    with pytest.raises(errors.HfHubHTTPError, match="Cannot delete"):
        ann.delete_branch("org/name", branch="main")


def test_a_squashed_history_takes_the_old_commits_away(ann: HfApi) -> None:
    old = ann.model_info("org/name").sha
    ann.upload_file(repo_id="org/name", path_or_fileobj=b"x", path_in_repo="x.txt")
    ann.super_squash_history("org/name", commit_message="All")
    assert [commit.title for commit in ann.list_repo_commits("org/name")] == ["All"]
    assert ann.file_exists("org/name", "x.txt")
    with pytest.raises(errors.RevisionNotFoundError):
        ann.model_info("org/name", revision=old)


def test_large_files_are_listed(ann: HfApi) -> None:
    ann.upload_file(repo_id="org/name", path_or_fileobj=b"abc", path_in_repo="a.bin")
    assert [(one.filename, one.size) for one in ann.list_lfs_files("org/name")] == [("a.bin", 3)]


def test_whose_token_it_is(ann: HfApi, bob: HfApi, eve: HfApi) -> None:
    told = ann.whoami()
    assert (told["name"], told["orgs"][0]["name"], told["auth"]["accessToken"]["role"]) == ("ann", "org", "write")
    assert eve.whoami()["auth"]["accessToken"]["role"] == "read"
    fine = bob.whoami()["auth"]["accessToken"]
    assert (fine["role"], fine["fineGrained"]["global"]) == ("fineGrained", ["discussion.write"])


def test_tokens_that_are_over_or_unknown(served: LoopbackHub) -> None:
    served.add_token("ann", "hf_old", role="write", expires=1.0)
    with pytest.raises(errors.HfHubHTTPError, match="is expired") as caught:
        HfApi(endpoint=served.url, token="hf_old").model_info("org/name")
    assert caught.value.response.status_code == 401
    with pytest.raises(errors.HfHubHTTPError, match="Invalid user token"):
        HfApi(endpoint=served.url, token="hf_nobody").whoami()


def test_who_may_write_where(ann: HfApi, bob: HfApi, eve: HfApi, served: LoopbackHub) -> None:
    served.add_repo("other/gated", files={"a.txt": "a"}, gated="auto")
    ann.auth_check("org/name", write=True)
    eve.auth_check("org/name")
    for api in (bob, eve):
        with pytest.raises(errors.HfHubHTTPError, match="403"):
            api.auth_check("org/name", write=True)
        with pytest.raises(errors.HfHubHTTPError, match="have the rights to create a model under the namespace"):
            api.create_repo("org/new")
    with pytest.raises(errors.GatedRepoError):
        ann.auth_check("other/gated")
    with pytest.raises(errors.HfHubHTTPError, match="create_pr=1"):
        ann.upload_file(repo_id="other/gated", path_or_fileobj=b"x", path_in_repo="x.txt")


def test_a_fine_grained_token_reads_private_files_only_if_it_says_so(served: LoopbackHub) -> None:
    served.add_repo("ann/private", files={"a.txt": "a"}, private=True)
    served.add_token("ann", "hf_talk", role="fineGrained", scopes=["write-discussions"])
    served.add_token("ann", "hf_read", role="fineGrained", scopes=["read-repos"])
    assert HfApi(endpoint=served.url, token="hf_read").file_exists("ann/private", "a.txt")
    with pytest.raises(errors.RepositoryNotFoundError):
        HfApi(endpoint=served.url, token="hf_talk").model_info("ann/private")


def test_a_gated_repository_asks_a_fine_grained_token_for_its_scope(served: LoopbackHub) -> None:
    served.add_repo("ann/gated", files={"a.txt": "a"}, gated="auto")
    served.add_token("ann", "hf_talk", role="fineGrained", scopes=["write-discussions"])
    with pytest.raises(errors.HfHubHTTPError, match="fine-grained token settings") as caught:
        HfApi(endpoint=served.url, token="hf_talk").auth_check("ann/gated")
    assert not isinstance(caught.value, errors.GatedRepoError)


def test_people_are_told_from_organisations(ann: HfApi, served: LoopbackHub) -> None:
    served.add_repo("alone/name", files={})
    assert (ann.get_organization_overview("org").name, ann.get_organization_overview("org").num_models) == ("org", 1)
    assert ann.get_organization_overview("alone").num_models == 1
    assert ann.get_user_overview("ann").username == "ann"
    for ask, name in (
        (ann.get_organization_overview, "ann"),
        (ann.get_organization_overview, "no"),
        (ann.get_user_overview, "org"),
    ):
        with pytest.raises(errors.HfHubHTTPError, match="404"):
            ask(name)


def test_datasets_are_repositories_like_any_other(ann: HfApi, bob: HfApi, served: LoopbackHub, tmp_path: Path) -> None:
    made = ann.create_repo("org/name", repo_type="dataset")
    assert (made.repo_id, made.repo_type) == ("org/name", "dataset")
    ann.upload_file(repo_id="org/name", repo_type="dataset", path_or_fileobj=b"PAR1", path_in_repo="data/a.parquet")
    info = ann.dataset_info("org/name", files_metadata=True)
    assert [(one.rfilename, one.size) for one in info.siblings or ()][-1] == ("data/a.parquet", 4)
    path = ann.hf_hub_download("org/name", "data/a.parquet", repo_type="dataset", cache_dir=tmp_path)
    assert Path(path).read_bytes() == b"PAR1"
    served.site.resolve_cache = True
    attributes = ann.hf_hub_download("org/name", ".gitattributes", repo_type="dataset", cache_dir=tmp_path)
    assert "filter=lfs" in Path(attributes).read_text()
    assert "data/a.parquet" not in ann.list_repo_files("org/name")
    assert [one.path for one in ann.list_repo_tree("org/name", "data", repo_type="dataset")] == ["data/a.parquet"]
    pull = bob.upload_file(repo_id="org/name", repo_type="dataset", path_or_fileobj=b"x", path_in_repo="x.txt", create_pr=True)
    assert pull.repo_url.repo_type == "dataset"
    ann.merge_pull_request("org/name", 1, repo_type="dataset")
    assert ann.file_exists("org/name", "x.txt", repo_type="dataset")
    assert [one.id for one in ann.list_datasets(author="org")] == ["org/name"]
    ann.move_repo("org/name", "org/moved", repo_type="dataset")
    assert ann.dataset_info("org/name").id == "org/moved"
    assert ann.model_info("org/name").id == "org/name"
    ann.delete_repo("org/moved", repo_type="dataset")
    assert not ann.repo_exists("org/moved", repo_type="dataset")


def test_the_file_system_over_the_hub(served: LoopbackHub) -> None:
    files = HfFileSystem(endpoint=served.url, token="hf_ann", skip_instance_cache=True)
    with files.open("org/name/notes/a.txt", "w") as stream:
        stream.write("Some words")
    assert files.cat_file("org/name/notes/a.txt", start=5) == b"words"
    assert set(files.ls("org/name", detail=False)) == {
        f"org/name/{name}" for name in ("README.md", "config.json", "notes", "old")
    }
    assert files.glob("org/name/**/*.txt") == ["org/name/notes/a.txt", "org/name/old/a.txt"]
    assert files.info("org/name/notes/a.txt")["size"] == 10
    files.rm("org/name/old", recursive=True)
    assert files.glob("org/name/**/*.txt") == ["org/name/notes/a.txt"]
