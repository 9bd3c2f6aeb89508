"""The store: models and their fingerprints in one folder, safe against a kill at any moment."""

from __future__ import annotations

from hub_lineage.registry.folder import default_folder as default_folder
from hub_lineage.registry.records import Failure as Failure
from hub_lineage.registry.records import Hit as Hit
from hub_lineage.registry.records import RegistryInfo as RegistryInfo
from hub_lineage.registry.store import Registry as Registry

__all__ = ["Failure", "Hit", "Registry", "RegistryInfo", "default_folder"]
