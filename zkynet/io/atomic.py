"""Files that are either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open the file ``path`` for writing bytes; it appears, or replaces an older one, when the block ends well.

    Until then the bytes are in a file beside it, ``.NAME.xxxxxxxxxxxx.part``, which is removed where the block raises:
    whoever reads ``path``, at any time and after any crash, sees the old file or the new one, never a part. A link is
    followed. OSError, of the class of its reason, names ``path``: a full disk, a missing permission.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name[:200]}.{os.urandom(6).hex()}.part")
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(beside)
        if isinstance(error, OSError) and error.errno and error.filename in (None, os.fspath(beside)):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None  # the path that the caller knows
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in ``folder`` last, where the system can: not on Windows, and not on every file system."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
