"""The registry's folder: where it is, what it holds, who may write, and what its troubles are called."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub_lineage.errors import RegistryError

DATABASE = "registry.sqlite"
LONG = "long.bin"
SHORT = "short.f16"
LOCK = "writer.lock"
LEDGER = "crawl.sqlite"
_OURS = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LONG, SHORT, LOCK, f"{LOCK}-journal", LEDGER, f"{LEDGER}-journal"}

_ANEW = "Restore the folder from a copy, or move it away and crawl again."
_FULL = "Free some space and repeat the command: all that was stored before is whole."


def default_folder() -> Path:
    """The folder that is used where none is named: ``HUB_LINEAGE_REGISTRY``, else the platform's cache."""
    named = os.environ.get("HUB_LINEAGE_REGISTRY")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser()
    elif sys.platform == "darwin":
        cache = Path("~/Library/Caches").expanduser()
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "hub-lineage" / "registry"


def require(folder: Path) -> None:
    """Checks that a registry stands in ``folder``; raises a RegistryError that says what is there instead."""
    hint = "Name the folder of a registry with --registry, or make one with `hub-lineage crawl`."
    if not folder.exists():
        raise RegistryError(f"There is no registry at {folder}.", hint)
    if not (folder / DATABASE).is_file():
        raise RegistryError(f"{folder} isn't a registry: it has no file {DATABASE}.", hint)


def prepare(folder: Path) -> None:
    """Makes ``folder`` where it is missing; refuses one that holds anything else than a registry."""
    if folder.exists() and not folder.is_dir():
        raise RegistryError(f"{folder} is a file, not the folder of a registry.", "Name another folder with --registry.")
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / DATABASE).exists():
        return
    # A kill while a registry was being made leaves some of our files without the database: that is still a fresh folder.
    strangers = sorted({entry.name for entry in folder.iterdir()} - _OURS)
    if strangers:
        raise RegistryError(
            f"{folder} isn't a registry: it holds {strangers[0]}.", "Name an empty or a new folder with --registry."
        )


def writer_lock(folder: Path) -> sqlite3.Connection:
    """The writer's lock, held until the connection is closed or its process ends, however it ends.

    SQLite's own file lock is used because it is the same on every platform and needs no clean-up after a kill.
    """
    lock = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if "locked" not in str(error):
            raise
        raise RegistryError(
            f"Another process is writing to the registry at {folder}.",
            "Wait until it has ended and repeat the command; reading works meanwhile.",
        ) from error
    return lock


def sync_folder(folder: Path) -> None:
    """Makes the names of new files durable, on the platforms where that is a thing of its own."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def in_words(folder: Path) -> Iterator[None]:
    """Turns what the database and the disk say into a RegistryError with what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _database_trouble(folder, error) from error
    except EOFError as error:
        raise damaged(folder, str(error)) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise RegistryError(f"No space is left for the registry at {folder}.", _FULL) from error
        raise RegistryError(
            f"The registry at {folder} can't be used: {error}.", "Check the folder's permissions and disk."
        ) from error


def damaged(folder: Path, what: str) -> RegistryError:
    """The error for a registry whose files contradict one another."""
    return RegistryError(f"The registry at {folder} is damaged: {what}.", _ANEW)


def _database_trouble(folder: Path, error: sqlite3.Error) -> RegistryError:
    words = str(error)
    if "full" in words:
        return RegistryError(f"No space is left for the registry at {folder}.", _FULL)
    if "locked" in words or "busy" in words:
        return RegistryError(f"The registry at {folder} is busy.", "Repeat the command in a moment.")
    if "readonly" in words or "unable to open" in words:
        return RegistryError(
            f"The registry at {folder} can't be opened: {words}.", "Check the permissions of the folder and its files."
        )
    return damaged(folder, f"{DATABASE}: {words}")
