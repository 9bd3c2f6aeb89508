"""The database: its connections, its version, and the numbered migrations that lead there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hub_lineage.errors import RegistryError, RegistryVersion
from hub_lineage.registry.folder import DATABASE, damaged

APPLICATION_ID = 0x484C5247  # "HLRG" in the header of the file tells a registry from any other SQLite database

_FIRST = """
CREATE TABLE architecture (
  number INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  scheme TEXT NOT NULL,
  UNIQUE (key, scheme)
);
CREATE TABLE extent (
  start INTEGER PRIMARY KEY,
  architecture INTEGER NOT NULL REFERENCES architecture (number),
  capacity INTEGER NOT NULL,
  used INTEGER NOT NULL
);
CREATE INDEX extent_of_architecture ON extent (architecture);
CREATE TABLE model (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  revision TEXT NOT NULL,
  newest INTEGER NOT NULL,
  architecture INTEGER NOT NULL REFERENCES architecture (number),
  slot INTEGER NOT NULL UNIQUE,
  slot_check INTEGER NOT NULL,
  start INTEGER NOT NULL,
  length INTEGER NOT NULL,
  long_check INTEGER NOT NULL,
  facts TEXT NOT NULL,
  UNIQUE (id, revision)
);
CREATE UNIQUE INDEX newest_model ON model (id) WHERE newest;
CREATE INDEX model_of_architecture ON model (architecture, id) WHERE newest;
CREATE TABLE file_hash (
  hash TEXT NOT NULL,
  model INTEGER NOT NULL REFERENCES model (number),
  PRIMARY KEY (hash, model)
) WITHOUT ROWID;
CREATE INDEX hash_of_model ON file_hash (model);
CREATE TABLE declared (
  parent TEXT NOT NULL,
  model INTEGER NOT NULL REFERENCES model (number),
  PRIMARY KEY (parent, model)
) WITHOUT ROWID;
CREATE INDEX declared_of_model ON declared (model);
CREATE TABLE failure (
  id TEXT PRIMARY KEY,
  revision TEXT,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('long_end', 0);
"""

_BLOCKS = """
CREATE TABLE block (
  kind INTEGER NOT NULL REFERENCES architecture (number),
  model INTEGER NOT NULL REFERENCES model (number),
  times INTEGER NOT NULL,
  slot INTEGER NOT NULL UNIQUE,
  slot_check INTEGER NOT NULL,
  PRIMARY KEY (model, kind)
) WITHOUT ROWID;
CREATE INDEX block_of_kind ON block (kind, model);
CREATE TABLE block_shape (
  shape TEXT NOT NULL,
  kind INTEGER NOT NULL REFERENCES architecture (number),
  times INTEGER NOT NULL,
  PRIMARY KEY (shape, kind)
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _BLOCKS)
"""Migration ``n`` (from 1) leads from version ``n - 1`` to ``n``; one that was released is never edited."""
OLDEST = 1
"""The oldest version that is read as it stands; before version 2 no model was stored by its blocks."""
BLOCK = "block:"
"""What stands before a block key where it is kept among the architecture keys, so that its vectors lie together as theirs do."""


def connect(folder: Path, *, write: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode; one that doesn't ``write`` can't change a row.

    A folder that can't be written, a mounted image say, is read as it stands: nobody can be writing to it.
    """
    connection = _open(folder, "mode=rwc" if write else "mode=rw")
    try:
        if write:
            connection.execute("PRAGMA synchronous = FULL")
        else:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if write or (folder / f"{DATABASE}-wal").exists():
            raise
        return _open(folder, "mode=ro&immutable=1")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, folder: Path) -> None:
    """Raises unless the database is a registry of the version that this code reads."""
    version = _version(connection, folder)
    if version == 0:
        raise RegistryError(
            f"The registry at {folder} was never finished: its making was broken off.",
            "Any `hub-lineage crawl` into it finishes it.",
        )
    if version > len(MIGRATIONS):
        raise _newer(folder, version)
    if version < OLDEST:
        raise RegistryVersion(
            f"The registry at {folder} is of version {version}; this program reads version {OLDEST} and later.",
            "Any `hub-lineage crawl` into it brings it up to date.",
        )


def migrate(connection: sqlite3.Connection, folder: Path) -> None:
    """Brings the database to the present version, each step in one transaction."""
    version = _version(connection, folder)
    if version > len(MIGRATIONS):
        raise _newer(folder, version)
    connection.execute("PRAGMA journal_mode = WAL")  # readers go on while the writer works
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        mark = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {step} {mark} COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def has_blocks(connection: sqlite3.Connection) -> bool:
    """Whether the database is of a version that keeps models by their blocks."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version) > 1


def _open(folder: Path, mode: str) -> sqlite3.Connection:
    address = f"{(folder / DATABASE).absolute().as_uri()}?{mode}"
    return sqlite3.connect(address, uri=True, timeout=30, isolation_level=None, check_same_thread=False)


def _version(connection: sqlite3.Connection, folder: Path) -> int:
    """The version that the file states; 0 for a file that holds nothing yet."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (version or tables):
        raise damaged(folder, f"{DATABASE} is the database of another program")
    return int(version)


def _newer(folder: Path, version: int) -> RegistryVersion:
    return RegistryVersion(
        f"The registry at {folder} is of version {version}, newer than the version {len(MIGRATIONS)} that this program reads.",
        "Upgrade with `pip install --upgrade hub-lineage`, or name another folder with --registry.",
    )
