"""Where a model on the Hugging Face Hub comes from, told from its weights."""

from __future__ import annotations

from hub_lineage.crawl import CrawlReport as CrawlReport
from hub_lineage.crawl import crawl as crawl
from hub_lineage.errors import LineageError as LineageError
from hub_lineage.genealogy import family_of as family_of
from hub_lineage.genealogy import phylogeny_of as phylogeny_of
from hub_lineage.hub import Hub as Hub
from hub_lineage.registry import Registry as Registry
from hub_lineage.trace import trace as trace
from hub_lineage.types import Phylogeny as Phylogeny
from hub_lineage.types import Trace as Trace
from hub_lineage.version import __version__ as __version__

__all__ = ["CrawlReport", "Hub", "LineageError", "Phylogeny", "Registry", "Trace", "crawl", "family_of", "phylogeny_of", "trace"]
