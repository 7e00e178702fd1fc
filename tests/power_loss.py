"""A power cut for files: a small file system whose device can be copied as it is, without what only memory holds.

The file system lies on a loop device over an image. What a program has synced has reached the image; what it has only
written waits in the page cache of the mounted file system. A copy of the image taken at some moment is thus the disk
a power cut at that moment would leave, torn and unsynced writes included. SIGKILL can't show this: the page cache
outlives every process.

Needs root and loop devices; the fixture skips with a notice elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = ("mkfs.ext4", "mount", "umount")
COMMAND_SECONDS = 30


class PowerLossDisk:
    """A mounted ext4 file system of its own; `cut` shows what would be left of it."""

    def __init__(self, folder: Path, image: Path, mount_point: Path) -> None:
        self._folder = folder
        self._image = image
        self._cuts = 0
        self.path = mount_point
        """Where the file system under test is mounted."""

    @contextlib.contextmanager
    def cut(self) -> Iterator[Path]:
        """Copies the device now, and mounts the copy (its journal replayed) as long as the `with` lasts.

        Take it while nothing writes: the copy takes some milliseconds and is no single instant.
        """
        self._cuts += 1
        copy = self._folder / f"cut-{self._cuts}.img"
        shutil.copyfile(self._image, copy)
        with _mounted(copy, self._folder / f"cut-{self._cuts}") as path:
            yield path
        copy.unlink()


@contextlib.contextmanager
def power_loss_disk(folder: Path, size_bytes: int = 32 * 1024 * 1024) -> Iterator[PowerLossDisk]:
    """Skips the test where this can't be had."""
    if os.geteuid() != 0:
        pytest.skip("a power cut is simulated on a loop device, which takes root")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"a power cut is simulated with {', '.join(missing)}, which is not installed")
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _run("mkfs.ext4", "-q", "-F", str(image))
    with _mounted(image, folder / "disk") as mount_point:
        yield PowerLossDisk(folder, image, mount_point)


@contextlib.contextmanager
def _mounted(image: Path, mount_point: Path) -> Iterator[Path]:
    mount_point.mkdir()
    try:
        # A long commit interval: what nobody syncs must not reach the device by itself while a test looks.
        _run("mount", "-o", "loop,commit=300", str(image), str(mount_point))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"loop devices can't be mounted here: {error.stderr.strip()}")
    try:
        yield mount_point
    finally:
        _run("umount", "--lazy", str(mount_point))  # a failed test may still hold a file open


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMMAND_SECONDS)
