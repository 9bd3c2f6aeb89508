"""One file of a repository as a file object that reads by ranges, for readers of formats that jump about."""

from __future__ import annotations

import io
from typing import Any, final

from hub_lineage.errors import NotFound
from hub_lineage.types import ByteRange, Source

_MOST = 8_000_000  # bytes in one request, and so in memory


@final
class SeekableFile(io.RawIOBase):
    """A file of an opened repository; nothing is read but what is asked for.

    Args:
        source: The repository.
        path: The file's path in it.

    Raises:
        NotFound: there is no such file.
    """

    def __init__(self, source: Source, path: str) -> None:
        super().__init__()
        size = next((file.size for file in source.files if file.path == path), None)
        if size is None:
            raise NotFound(f"{source.reference.id} has no file {path}.", "See its list of files.")
        self._source, self._path, self._size, self._place = source, path, size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; nothing is asked for."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as one request goes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        stop = min(self._place + min(len(view), _MOST), self._size)
        if stop <= self._place:
            return 0
        body = self._source.read([ByteRange(self._path, self._place, stop)])[0]
        view[: len(body)] = body
        self._place = stop
        return len(body)
