"""What a pull request changes, and its merge into main."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from hub_lineage.testing.answers import Blob
from hub_lineage.testing.repositories import Commit, Repository


def base_files(repository: Repository, branch: str) -> Mapping[str, Blob]:
    """The files where a branch left main; none where the two have nothing in common."""
    main = {commit.oid for commit in repository.history("main")}
    return next((commit.files for commit in repository.history(branch) if commit.oid in main), {})


def changed_paths(base: Mapping[str, Blob], head: Commit) -> list[str]:
    """The files that were added, changed or taken away since."""
    return [path for path in sorted({*base, *head.files}) if base.get(path) != head.files.get(path)]


def conflicts(repository: Repository, branch: str) -> list[str]:
    """The files that main and a branch both changed, each in its own way."""
    base, ours, theirs = base_files(repository, branch), repository.at("main").files, repository.at(branch)
    changed = changed_paths(base, theirs)
    return [path for path in changed if ours.get(path) not in (base.get(path), theirs.files.get(path))]


def merged_files(repository: Repository, branch: str) -> tuple[dict[str, Blob], tuple[str, ...]]:
    """What merging a branch puts on main, and what it takes away."""
    theirs = repository.at(branch)
    changed = changed_paths(base_files(repository, branch), theirs)
    added = {path: theirs.files[path] for path in changed if path in theirs.files}
    return added, tuple(path for path in changed if path not in theirs.files)


def diff(repository: Repository, branch: str) -> str:
    """A branch's changes as a unified diff; large files by their pointers."""
    base, head = base_files(repository, branch), repository.at(branch)
    return "".join(_diff(path, base.get(path), head.files.get(path)) for path in changed_paths(base, head))


def _diff(path: str, before: Blob | None, after: Blob | None) -> str:
    names = (f"a/{path}" if before else "/dev/null", f"b/{path}" if after else "/dev/null")
    lines = difflib.unified_diff(_lines(before), _lines(after), *names)
    return f"diff --git a/{path} b/{path}\n" + "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _lines(blob: Blob | None) -> list[str]:
    if blob is None:
        return []
    if blob.lfs:
        return [f"oid sha256:{blob.sha256}\n", f"size {blob.size}\n"]
    return blob.read().decode("utf-8", "replace").splitlines(keepends=True)
