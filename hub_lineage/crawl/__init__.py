"""Models of a Hub into a registry: what is new is read by byte ranges, what is known is passed over."""

from __future__ import annotations

from hub_lineage.crawl.crawling import CrawlReport as CrawlReport
from hub_lineage.crawl.crawling import crawl as crawl
from hub_lineage.crawl.ledger import Ledger as Ledger
from hub_lineage.crawl.planning import Order as Order
from hub_lineage.crawl.planning import Plan as Plan
from hub_lineage.crawl.planning import plan as plan
from hub_lineage.crawl.seeds import most_derived as most_derived
from hub_lineage.crawl.selection import Entry as Entry
from hub_lineage.crawl.selection import Selection as Selection
from hub_lineage.crawl.stats import read_stats as read_stats

__all__ = ["CrawlReport", "Entry", "Ledger", "Order", "Plan", "Selection", "crawl", "most_derived", "plan", "read_stats"]
