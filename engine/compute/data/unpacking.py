"""Packed bytes, unpacked on the way: the ways they fail are made two, and what comes out is counted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, Any

from engine.compute.data.archive import Growth

PIECE = 1 << 20
SMALL = 64 << 10


class CutOff(Exception):
    """A packed file ends before its end."""


class Damaged(Exception):
    """What was packed cannot be unpacked."""


class Unpacking(io.RawIOBase):
    """What a library unpacks, with its ways to fail made two."""

    def __init__(self, read: Callable[[int], Any], growth: Growth) -> None:
        self._read, self._growth = read, growth

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        try:
            data = self._read(len(buffer))
        except EOFError as error:
            raise CutOff(str(error)) from error
        except (zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise Damaged(str(error)) from error
        except OSError as error:
            if error.errno is not None:  # the disk, not the content
                raise
            text = str(error)
            raise (CutOff if "runcated" in text else Damaged)(text) from error
        except ValueError as error:  # pyarrow's
            raise Damaged(str(error)) from error
        self._growth.add(len(data))
        buffer[: len(data)] = data
        return len(data)


def unpacked(stack: ExitStack, stream: io.RawIOBase, packing: str) -> Callable[[int], Any]:
    """A way to read the next bytes of a packed stream, which the stack closes."""
    unpacking: Any
    source: IO[bytes] = io.BufferedReader(stream, PIECE)
    if packing == "gzip":
        unpacking = gzip.GzipFile(fileobj=source)
    elif packing == "bz2":
        unpacking = bz2.BZ2File(source)
    elif packing == "xz":
        unpacking = lzma.LZMAFile(source)  # noqa: SIM115 - the stack closes it
    else:
        import pyarrow as pa

        unpacking = pa.CompressedInputStream(pa.PythonFile(source, "r"), packing)
    stack.enter_context(unpacking)
    if packing == "zstd":
        return lambda count: unpacking.read(min(count, SMALL))
    read: Callable[[int], Any] = unpacking.read1  # what came before a mistake is not lost with it
    return read
