"""How full a disk is."""

import shutil
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def disk_usage(folder: Path) -> Usage:
    """Return the bytes of the disk that holds a folder or will hold it."""
    while not folder.exists():
        folder = folder.parent
    return Usage(*shutil.disk_usage(folder))


def free_ratio(folder: Path) -> float:
    """Return the free share, 0 to 1, of the disk that holds a folder or will hold it."""
    usage = disk_usage(folder)
    return usage.free / usage.total
