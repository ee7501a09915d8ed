"""Small, full and read-only disks, and processes without root's right to do everything, for tests that need them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DROP_FROM_BOUNDING_SET = 24
MAY_READ_AND_WRITE_ANYTHING = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of this size, mounted on the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder as on a disk that was mounted read-only."""
    done = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("only root may mount a folder read-only")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """No byte is left on the folder's disk."""
    ballast = folder / ".ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (65_536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * piece)
    try:
        yield
    finally:
        ballast.unlink()


def as_a_common_person() -> None:
    """For `preexec_fn`: what is started has root's name but must be given every right, like anybody else."""
    libc = ctypes.CDLL(None, use_errno=True)
    for right in MAY_READ_AND_WRITE_ANYTHING:
        if libc.prctl(DROP_FROM_BOUNDING_SET, right, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot give up a right")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights up")
