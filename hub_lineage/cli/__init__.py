"""The command line: ``hub-lineage trace | crawl | registry | app | demo``."""

from hub_lineage.cli.main import main as main
