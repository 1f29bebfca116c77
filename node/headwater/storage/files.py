"""Files that are whole or absent, and on disk when the call returns.

In: a path and bytes. Out: the file, written beside its place, synced, and moved there in one step; then the folder
is synced, since a name lives in its folder. Knows no content.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from headwater.errors import DiskFull
from headwater.storage.faults import FREE_SPACE


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Create or replace `path`. Raises DiskFull, and then the old file stands untouched."""
    with _written_beside(path, data, mode) as temporary:
        temporary.replace(path)


def create_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Create `path`. Raises FileExistsError if it is there already, DiskFull."""
    with _written_beside(path, data, mode) as temporary:
        os.link(temporary, path)


def make_folder(path: Path, mode: int = 0o700) -> None:
    """Create `path` and its missing parents with `mode`, durably; one that exists is left as it is."""
    if path.is_dir():
        return
    make_folder(path.parent, mode)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"the disk is full, so {path.name} was not written", FREE_SPACE) from error
        raise
