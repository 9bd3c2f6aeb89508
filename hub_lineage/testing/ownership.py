"""The handlers of whoever owns a repository: make, move, delete, settings, branches and tags; and who am I."""

from __future__ import annotations

from typing import Any, cast, get_args

from hub_lineage.testing.answers import Answer, Refusal, Request, as_json
from hub_lineage.testing.repositories import Kind, Repository, key_of
from hub_lineage.testing.site import Site
from hub_lineage.testing.users import Token

_ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


def whoami(site: Site, request: Request) -> Answer:
    """Whose token was sent, and what it allows."""
    token = site.signed_in(request)
    user = token.user
    orgs = [{"type": "org", "id": name, "name": name, "roleInOrg": role} for name, role in user.orgs.items()]
    told = {"type": "user", "id": user.name, "name": user.name, "fullname": user.name, "orgs": orgs, "isPro": False}
    return as_json({**told, "auth": {"type": "access_token", "accessToken": token.described()}})


def user_overview(site: Site, request: Request, name: str) -> Answer:
    """A person's page."""
    site.token(request)
    if name not in site.catalogue.users:
        raise Refusal(404, "This user does not exist")
    return as_json({"user": name, **_overview(site, name)})


def organization_overview(site: Site, request: Request, name: str) -> Answer:
    """An organisation's page: whoever owns repositories or has members and is no person."""
    site.token(request)
    owners = {found.owner for found in list(site.catalogue.repositories.values())}
    members = {org for user in list(site.catalogue.users.values()) for org in user.orgs}
    if name in site.catalogue.users or name not in owners | members:
        raise Refusal(404, "This organization does not exist")
    return as_json({"name": name, **_overview(site, name)})


def _overview(site: Site, name: str) -> dict[str, Any]:
    models = sum(found.owner == name for found in site.catalogue.visible("model", None))
    return {"avatarUrl": f"{site.url}/avatars/{name}.svg", "fullname": name, "numModels": models}


def check_read(site: Site, request: Request, repo: str) -> Answer:
    """Whether the files may be read."""
    repository = site.repository(request, repo)
    site.catalogue.check_gate(repository, site.token(request))
    return Answer(200)


def check_write(site: Site, request: Request, repo: str) -> Answer:
    """Whether the repository may be written to."""
    site.writable(request, repo)
    return Answer(200)


def create(site: Site, request: Request) -> Answer:
    """Make a repository with a first commit."""
    token, form = site.signed_in(request), request.form()
    kind, key, repo_id = _named(token, form)
    token.check_namespace(repo_id.partition("/")[0], kind)
    told = {"url": f"{site.url}/{key}", "name": repo_id, "id": key}
    if key in site.catalogue.repositories:
        raise Refusal(409, f"You already created this {kind} repo", told=told)
    repository = Repository(repo_id, site.now(), kind, private=form.get("visibility") == "private" or form.get("private") is True)
    repository.commit({".gitattributes": _ATTRIBUTES}, title="initial commit", author=token.user.name)
    site.catalogue.repositories[key] = repository
    site.catalogue.renames.pop(key, None)
    return as_json(told)


def delete(site: Site, request: Request) -> Answer:
    """Take a repository away."""
    _, key, _ = _named(site.signed_in(request), request.form())
    site.writable(request, key)
    del site.catalogue.repositories[key]
    return Answer(200)


def move(site: Site, request: Request) -> Answer:
    """Give a repository another name; the old one redirects."""
    token, form = site.signed_in(request), request.form()
    kind = _kind(form)
    old, new = str(form["fromRepo"]), str(form["toRepo"])
    site.writable(request, key_of(kind, old))
    token.check_namespace(new.partition("/")[0], kind)
    if key_of(kind, new) in site.catalogue.repositories:
        raise Refusal(409, f"There is already a {kind} repo named {new}")
    rename(site, kind, old, new)
    return Answer(200)


def rename(site: Site, kind: Kind, old: str, new: str) -> None:
    """Move a repository; the old name redirects from now on."""
    repositories = site.catalogue.repositories
    repository = repositories.pop(key_of(kind, old))
    repository.id = new
    repositories[key_of(kind, new)] = repository
    site.catalogue.renames[key_of(kind, old)] = key_of(kind, new)


def settings(site: Site, request: Request, repo: str) -> Answer:
    """Change gate and visibility."""
    repository, _ = site.writable(request, repo)
    form = request.form()
    if "gated" in form:
        repository.gated = form["gated"]
    if "visibility" in form:
        repository.private = form["visibility"] == "private"
    return as_json({"gated": repository.gated, "private": repository.private})


def create_branch(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """Start a branch."""
    repository, _ = site.writable(request, repo)
    if revision in repository.branches:
        raise Refusal(409, f"Reference already exists: refs/heads/{revision}")
    repository.branch(revision, str(request.form().get("startingPoint") or "main"))
    return Answer(201)


def delete_branch(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """Drop a branch other than main."""
    repository, _ = site.writable(request, repo)
    if revision == "main":
        raise Refusal(403, "Cannot delete refs/heads/main")
    if repository.branches.pop(revision, None) is None:
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return Answer(200)


def create_tag(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """Name a commit."""
    repository, _ = site.writable(request, repo)
    name = str(request.form().get("tag"))
    if name in repository.tags:
        raise Refusal(409, f"Tag reference exists already: {name}")
    repository.tag(name, revision)
    return Answer(201)


def delete_tag(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """Drop a tag."""
    repository, _ = site.writable(request, repo)
    if repository.tags.pop(revision, None) is None:
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return Answer(200)


def squash(site: Site, request: Request, repo: str, revision: str) -> Answer:
    """Replace a branch's history by one commit."""
    repository, _ = site.writable(request, repo)
    repository.force_push(repository.at(revision).files, title=str(request.form().get("message", "")), branch=revision)
    return Answer(200)


def _kind(form: dict[str, Any]) -> Kind:
    for kind in get_args(Kind):
        if (form.get("type") or "model") == kind:
            return cast("Kind", kind)
    raise Refusal(400, '"type" must be one of [model, dataset, space]')


def _named(token: Token, form: dict[str, Any]) -> tuple[Kind, str, str]:
    kind = _kind(form)
    repo_id = f"{form.get('organization') or token.user.name}/{form.get('name')}"
    return kind, key_of(kind, repo_id), repo_id
