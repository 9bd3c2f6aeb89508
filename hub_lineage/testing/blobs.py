"""File contents with the identities that the Hub gives them, at no cost for huge sparse files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from hub_lineage.testing.answers import Blob

LFS_SUFFIXES = frozenset(
    {".bin", ".ckpt", ".gguf", ".h5", ".msgpack", ".npy", ".npz", ".onnx", ".parquet", ".pt", ".pth", ".safetensors"}
)
LFS_SIZE = 10_000_000  # git takes no larger file
WHOLE_HASH = 64_000_000  # above, holes are skipped: nobody wants to wait for the sha256 of 14 GB of zeros
_PIECE = 1 << 20


def blob_of(path: str, content: bytes | str | Path | Blob, *, lfs: bool | None = None) -> Blob:
    """The blob of a file's content; one on disk is never read whole into memory; ``lfs`` overrules name and size."""
    if isinstance(content, Blob):
        return content
    if isinstance(content, Path):
        return _blob_on_disk(path, content)
    data = content.encode() if isinstance(content, str) else content
    return _blob(path, len(data), hashlib.sha256(data).hexdigest(), data=data, lfs=lfs)


def _blob_on_disk(path: str, file: Path) -> Blob:
    size = file.stat().st_size
    if not is_lfs(path, size):
        return blob_of(path, file.read_bytes())
    digest = _digest_of_data(file, size) if size > WHOLE_HASH else _digest(file)
    return _blob(path, size, digest, file=file)


def _blob(
    path: str, size: int, sha256: str, *, data: bytes | None = None, file: Path | None = None, lfs: bool | None = None
) -> Blob:
    lfs = is_lfs(path, size) if lfs is None else lfs
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    stored = pointer if lfs or data is None else data
    oid = hashlib.sha1(b"blob %d\0" % len(stored) + stored, usedforsecurity=False).hexdigest()
    return Blob(size, oid, sha256, lfs, data, file)


def is_lfs(path: str, size: int) -> bool:
    """Whether a file of that name and size is stored apart from git."""
    return Path(path).suffix in LFS_SUFFIXES or size > LFS_SIZE


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _digest_of_data(file: Path, size: int) -> str:
    """A stand-in for the sha256 of a huge file: the hash of its size and of what isn't a hole."""
    digest = hashlib.sha256(b"%d" % size)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        for start, stop in _extents(descriptor, size):
            digest.update(b"%d" % start)
            for offset in range(start, stop, _PIECE):
                digest.update(os.pread(descriptor, min(_PIECE, stop - offset), offset))
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:  # a hole to the end
            return
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, position
