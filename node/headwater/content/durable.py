"""Files that survive a crash: what was acknowledged is on the disk, what was not is not visible.

In: open files and operations on them. Out: the same, flushed; a full disk as DiskFull. Beside `storage.files`, which
writes whole files from memory, this serves files of any length.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from headwater.errors import DiskFull
from headwater.storage.faults import FREE_SPACE

if sys.platform == "darwin":
    import fcntl

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def fsync_file(file: BinaryIO) -> None:
    """Flush a file to the medium itself; macOS needs a stronger call than fsync for that."""
    file.flush()
    if sys.platform == "darwin":
        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
    else:
        os.fsync(file.fileno())


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Turn the system's ways of saying 'full' (disk, quota, file size limit) into DiskFull; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise DiskFull(
            f"no room is left for {folder} ({os.strerror(error.errno)})",
            FREE_SPACE,
            folder=str(folder),
        ) from None
