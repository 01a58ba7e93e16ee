"""How full a disk is."""

import shutil
from pathlib import Path


def free_ratio(folder: Path) -> float:
    """Return the free share, 0 to 1, of the disk that holds a folder or will hold it."""
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return usage.free / usage.total
