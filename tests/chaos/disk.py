"""A small disk of its own, which fills up or turns read-only; needs root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers import wait_for

_BLOCK = b"\0" * 4096


class Disk:
    """A tmpfs at `path`."""

    def __init__(self, path: Path, size: str = "1m") -> None:
        self.path = path
        path.mkdir(parents=True)
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))

    def fill(self) -> None:
        """Take all the room there is."""
        fd = os.open(self.path / "ballast", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while os.write(fd, _BLOCK):
                pass
        except OSError:
            # It is full.
            return
        finally:
            os.close(fd)

    def free(self) -> None:
        (self.path / "ballast").unlink(missing_ok=True)

    def turn(self, how: str) -> None:
        """Make it `ro` or `rw`; nobody may have a file open to write."""
        # The kernel lets go of what a killed process had open a moment after it is gone.
        wait_for(lambda: _remounted(self.path, how), 10)


@contextmanager
def small_disk(path: Path, size: str = "1m") -> Iterator[Disk]:
    """Give a disk, or skip the test where nobody may mount one; in CI that is a failure."""
    try:
        disk = Disk(path, size)
    except subprocess.CalledProcessError as error:
        text = f"a small disk needs the right to mount: {error.stderr.decode().strip()}"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk.path], check=False, capture_output=True)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make a folder one that nobody can write to, and that lacks what was in it.

    The disk itself cannot turn read-only while a server has its log open there.
    """
    _mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(path))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True, capture_output=True)


def _remounted(path: Path, how: str) -> bool:
    try:
        _mount("-o", f"remount,{how}", str(path))
    except subprocess.CalledProcessError:
        return False
    return True


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
