"""Readers, one file a format, by byte ranges; none ever unpickles. They don't know one another."""
