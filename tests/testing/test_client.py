"""The real client drives the loopback Hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import HfApi, errors, hf_hub_download, snapshot_download
from huggingface_hub.hf_api import RepoFile, RepoFolder

from hub_lineage.testing import LoopbackHub

WEIGHTS = bytes(range(256)) * 40
FILES: dict[str, bytes | str | Path] = {"config.json": "{}", "unet/model.safetensors": WEIGHTS, "unet/config.json": "[]"}


@pytest.fixture
def served() -> Iterator[LoopbackHub]:
    with LoopbackHub(list_page=2, tree_page=2) as hub:
        card = {"license": "mit", "base_model": "org/parent", "tags": ["a-tag"], "library_name": "timm"}
        hub.add_repo("org/name", files=FILES, card=card, downloads=5, likes=2, created_at="2024-03-01", pipeline_tag="any-to-any")
        hub.add_repo("gpt2", files={"config.json": "{}"}, downloads=9)
        hub.add_repo("org/private", files=FILES, private=True)
        hub.add_repo("org/gated", files=FILES, gated="auto")
        hub.add_user("ann", "hf_ann", reads=["org"])
        hub.add_user("bob", "hf_bob")
        yield hub
    assert hub.crashes == []


@pytest.fixture
def api(served: LoopbackHub) -> HfApi:
    return HfApi(endpoint=served.url, token=False)


def test_model_info(api: HfApi) -> None:
    info = api.model_info("org/name", files_metadata=True)
    assert (info.downloads, info.likes, info.pipeline_tag, info.library_name) == (5, 2, "any-to-any", "timm")
    assert info.card_data is not None
    assert info.card_data["base_model"] == "org/parent"
    assert {"license:mit", "base_model:org/parent", "a-tag"} <= set(info.tags or ())
    weights = next(one for one in info.siblings or () if one.rfilename == "unet/model.safetensors")
    assert weights.lfs is not None
    assert (weights.size, weights.lfs.size) == (len(WEIGHTS), len(WEIGHTS))
    assert api.model_info("gpt2").id == "gpt2"


def test_only_what_was_asked_to_expand(api: HfApi) -> None:
    info = api.model_info("org/name", expand=["downloads", "sha"])
    assert (info.downloads, info.tags) == (5, None)


def test_revisions(api: HfApi, served: LoopbackHub) -> None:
    repository = served.site.catalogue.repositories["org/name"]
    first = repository.at("main").oid
    repository.tag("v1")
    second = repository.commit({"new.txt": "x"}, title="More", delete=("config.json",)).oid
    repository.commit({"draft.txt": "x"}, branch="refs/pr/1")
    assert api.model_info("org/name").sha == second
    assert api.model_info("org/name", revision="v1").sha == first
    assert api.model_info("org/name", revision=second).sha == second
    assert api.file_exists("org/name", "draft.txt", revision="refs/pr/1")
    assert not api.file_exists("org/name", "config.json")
    assert [commit.commit_id for commit in api.list_repo_commits("org/name")] == [second, first]
    references = api.list_repo_refs("org/name")
    assert {one.name: one.target_commit for one in [*references.branches, *references.tags]} == {"main": second, "v1": first}
    with pytest.raises(errors.RevisionNotFoundError):
        api.model_info("org/name", revision="nowhere")


def test_listing_with_pages(api: HfApi, served: LoopbackHub) -> None:
    assert [model.id for model in api.list_models(sort="downloads")] == ["gpt2", "org/name", "org/gated"]
    assert len(served.requests) == 2
    assert [model.id for model in api.list_models(author="org", filter=["a-tag", "license:mit"])] == ["org/name"]
    assert [model.id for model in api.list_models(search="GPT")] == ["gpt2"]
    assert [model.id for model in api.list_models(pipeline_tag="any-to-any", full=True, limit=1)] == ["org/name"]


def test_a_listing_holds_no_more_than_the_hub_s(api: HfApi) -> None:
    plain, full = (next(iter(api.list_models(author="org", sort="downloads", full=full))) for full in (False, True))
    assert (plain.sha, plain.last_modified) == (None, None)
    assert (full.sha is None, full.last_modified is None) == (False, False)


def test_tree_with_pages(api: HfApi, served: LoopbackHub) -> None:
    flat = {one.path: type(one) for one in api.list_repo_tree("org/name")}
    assert flat == {"README.md": RepoFile, "config.json": RepoFile, "unet": RepoFolder}
    assert len(served.requests) == 2
    inner = list(api.list_repo_tree("org/name", "unet", expand=True))
    assert [one.path for one in inner] == ["unet/config.json", "unet/model.safetensors"]
    assert inner[0].last_commit is not None
    assert "unet/model.safetensors" in {one.path for one in api.list_repo_tree("org/name", recursive=True)}
    with pytest.raises(errors.RemoteEntryNotFoundError):
        list(api.list_repo_tree("org/name", "nowhere"))


def test_paths_info(api: HfApi) -> None:
    found = {one.path: one for one in api.get_paths_info("org/name", ["unet", "config.json", "nowhere"])}
    assert set(found) == {"unet", "config.json"}
    assert isinstance(found["unet"], RepoFolder)


@pytest.mark.parametrize("name", list(FILES))
def test_a_file_is_downloaded(served: LoopbackHub, tmp_path: Path, name: str) -> None:
    content = FILES[name]
    path = hf_hub_download("org/name", name, endpoint=served.url, cache_dir=tmp_path, token=False)
    assert Path(path).read_bytes() == (content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("resolve_cache", [False, True])
def test_a_snapshot_is_downloaded(tmp_path: Path, *, resolve_cache: bool) -> None:
    with LoopbackHub(resolve_cache=resolve_cache) as served:
        served.add_repo("org/name", files=FILES)
        folder = Path(snapshot_download("org/name", endpoint=served.url, cache_dir=tmp_path, token=False, max_workers=2))
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == set(FILES)
        assert (folder / "unet/model.safetensors").read_bytes() == WEIGHTS


def test_the_token_is_asked_for_and_not_passed_on(served: LoopbackHub, tmp_path: Path) -> None:
    hf_hub_download("org/gated", "unet/model.safetensors", endpoint=served.url, cache_dir=tmp_path, token="hf_ann")
    assert [(record.origin, record.headers.get("authorization")) for record in served.requests] == [
        ("hub", "Bearer hf_ann"),
        ("cdn", None),
    ]


def test_who_may_read_what(api: HfApi, served: LoopbackHub) -> None:
    with pytest.raises(errors.RepositoryNotFoundError):
        api.model_info("org/unknown")
    for token in (False, "hf_bob"):
        with pytest.raises(errors.RepositoryNotFoundError):
            api.model_info("org/private", token=token)
        with pytest.raises(errors.GatedRepoError):
            api.file_exists("org/gated", "config.json", token=token)
    assert api.model_info("org/private", token="hf_ann").private
    assert api.model_info("org/gated").gated == "auto"
    with pytest.raises(errors.HfHubHTTPError, match="401"):
        HfApi(endpoint=served.url, token="hf_nobody").model_info("org/name")


def test_who_am_i(served: LoopbackHub) -> None:
    assert HfApi(endpoint=served.url, token="hf_ann").whoami()["name"] == "ann"


def test_renamed_repositories_redirect(api: HfApi, served: LoopbackHub, tmp_path: Path) -> None:
    served.rename("org/name", "org/renamed")
    assert api.model_info("org/name").id == "org/renamed"
    path = hf_hub_download("org/name", "unet/model.safetensors", endpoint=served.url, cache_dir=tmp_path, token=False)
    assert Path(path).read_bytes() == WEIGHTS


def test_a_disabled_or_removed_repository(api: HfApi, served: LoopbackHub) -> None:
    served.site.catalogue.repositories["org/name"].disabled = True
    with pytest.raises(errors.DisabledRepoError):
        api.model_info("org/name")
    served.remove("org/name")
    with pytest.raises(errors.RepositoryNotFoundError):
        api.model_info("org/name")


def test_rate_limits_are_told_as_the_hub_tells_them(api: HfApi, served: LoopbackHub) -> None:
    served.limit("api", calls=1, window=300)
    api.model_info("org/name")
    with pytest.raises(errors.HfHubHTTPError, match="'api' rate limit") as caught:
        api.model_info("org/name")
    headers = caught.value.response.headers
    told = huggingface_hub.utils._http.parse_ratelimit_headers(headers)
    assert told is not None
    assert (told.resource_type, told.remaining, told.limit, told.window_seconds) == ("api", 0, 1, 300)
    assert 0 < told.reset_in_seconds <= 300
    assert headers["retry-after"] == str(told.reset_in_seconds)
    assert api.file_exists("org/name", "config.json")
