"""Kinds of judge that were tried beside the one that ships, for comparison."""
