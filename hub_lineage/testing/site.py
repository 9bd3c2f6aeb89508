"""What the handlers of the loopback Hub share: the catalogue, the signer, and the sizes of pages."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub_lineage.testing.answers import Blob, Request
from hub_lineage.testing.repositories import Catalogue, Commit, Repository, User
from hub_lineage.testing.signatures import Signer


@dataclass
class Site:
    """The loopback Hub's state, apart from its sockets; the addresses are known once these are bound."""

    catalogue: Catalogue
    signer: Signer
    url: str = ""
    cdn_url: str = ""
    list_page: int = 1000
    tree_page: int = 1000
    resolve_cache: bool = False
    stored: dict[str, Blob] = field(default_factory=dict)

    def user(self, request: Request) -> User | None:
        """Whose request it is."""
        return self.catalogue.user(request.token)

    def repository(self, request: Request, repo_id: str) -> Repository:
        """A repository that this request may see."""
        return self.catalogue.repository(repo_id, self.user(request))

    def readable(self, request: Request, repo_id: str, revision: str) -> Commit:
        """A commit whose files this request may read."""
        repository = self.repository(request, repo_id)
        self.catalogue.check_gate(repository, self.user(request))
        return repository.at(revision)
