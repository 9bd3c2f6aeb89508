"""The only place that speaks HTTP: repositories, listings and byte ranges; local folders by the same interface."""

from hub_lineage.hub.client import Hub as Hub
from hub_lineage.hub.client import open_source as open_source
from hub_lineage.hub.listing import Listing as Listing
from hub_lineage.hub.local import LocalSource as LocalSource
from hub_lineage.hub.pace import Clock as Clock
from hub_lineage.hub.ranges import read_whole as read_whole
from hub_lineage.hub.reference import parse_reference as parse_reference
