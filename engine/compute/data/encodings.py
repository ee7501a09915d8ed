"""Which encoding a text is in, and its lines as text: a line that is none is a problem of that line."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import Any

from engine.compute.data.kinds import is_chinese, looks_chinese, refuse_other_kinds, wide_encoding
from engine.compute.data.streams import Opened
from engine.compute.data.unpacking import PIECE, CutOff, Damaged
from engine.contract.errors import Problem

HEAD_BYTES = 4096
LOOK_BYTES = 256 << 10
MAX_LINE_BYTES = 64 << 20
"""A longer line is no row."""
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
WRONG_SHARE = 0.9
"""Of the lines with other than plain letters so many are no UTF-8: then all of the text is something else."""


def _mark(error: UnicodeError) -> tuple[str, int]:
    """What is no character becomes half of one, which the line is then refused for."""
    end = error.end if isinstance(error, UnicodeDecodeError) else 0
    return "\udcff", end


codecs.register_error("forge-mark", _mark)


class _AsUtf8(io.RawIOBase):
    """A text of two or four bytes a character, as UTF-8."""

    def __init__(self, stream: Any, encoding: str) -> None:
        self._stream, self._rest, self._ended = stream, b"", False
        self._decoder = codecs.getincrementaldecoder(encoding)("forge-mark")

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        while not self._rest and not self._ended:
            data = self._stream.read1(PIECE // 4)
            self._ended = not data
            self._rest = self._decoder.decode(data, self._ended).encode("utf-8", "surrogatepass")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Begun(io.RawIOBase):
    """A stream whose beginning was looked at; what goes wrong behind it goes wrong when that is read."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream, self._wrong, self._given = stream, list[Exception](), 0
        pieces, size = list[bytes](), 0
        try:
            while size < LOOK_BYTES and (data := stream.read1(LOOK_BYTES - size)):
                pieces.append(data)
                size += len(data)
        except (CutOff, Damaged) as error:
            self._wrong.append(error)
        self.head = b"".join(pieces)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The beginning, then the rest."""
        if self._given < len(self.head):
            data = self.head[self._given : self._given + len(buffer)]
            buffer[: len(data)] = data
            self._given += len(data)
            return len(data)
        if self._wrong:
            raise self._wrong[0]
        return self._stream.readinto1(buffer)


class TextLines:
    """The lines of a text file, numbered from 1; remembers which encoding it found and why."""

    def __init__(self, source: Opened, encoding: str = "auto") -> None:
        self.source = source
        begun = _Begun(source.stream)
        refuse_other_kinds(begun.head[:HEAD_BYTES], source.path)
        found, reason, skipped = _decide(begun.head, encoding)
        begun.head = begun.head[skipped:]
        self._stream: Any = io.BufferedReader(begun, PIECE)
        if found.startswith(("utf-16", "utf-32")):
            begun = _Begun(io.BufferedReader(_AsUtf8(self._stream, found), PIECE))
            self._stream = io.BufferedReader(begun, PIECE)
        self.head = begun.head
        """How the text begins, as UTF-8 (or GB18030)."""
        self._settle(found, reason)
        self._open = encoding == "auto" and reason == "data.encoding_plain"

    def _settle(self, encoding: str, reason: str) -> None:
        self.encoding, self.source.encoding, self.source.reason = encoding, encoding, reason
        self._decode_as = "gb18030" if encoding == "gb18030" else "utf-8"

    @property
    def stream(self) -> Any:
        """The text as UTF-8 (or GB18030), where it is no matter of lines."""
        return self._stream

    def raw(self) -> Iterator[tuple[int, bytes | Problem]]:
        """Lines as bytes, with their ends; one that is too long is passed over."""
        readline, number = self._stream.readline, 0
        while raw := readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(raw) <= MAX_LINE_BYTES:
                yield number, raw
                continue
            ended = raw.endswith(b"\n")
            del raw
            while not ended and (more := readline(PIECE)):
                ended = more.endswith(b"\n")
            yield number, too_long(number)

    def decode(self, raw: bytes, line: int) -> str | Problem:
        """A line as text."""
        if b"\x00" in raw:
            return Problem(code="data.zero_byte", line=line, params={"at": raw.index(b"\x00") + 1})
        try:
            text = raw.decode(self._decode_as)
        except UnicodeDecodeError as error:
            return self._not_text(raw, line, error)
        if self._open and not raw.isascii():
            self._open = False  # from here on it is UTF-8
        return text

    def _not_text(self, raw: bytes, line: int, error: UnicodeDecodeError) -> str | Problem:
        chinese = self._decode_as != "gb18030" and looks_chinese(raw)
        if chinese and self._open and is_chinese(raw):  # up to here nothing told one from the other
            self._settle("gb18030", "data.encoding_chinese")
            self._open = False
            return raw.decode("gb18030")
        return Problem(
            code="data.bytes_gb18030" if chinese else "data.bad_bytes", line=line, params={"at": error.start + 1}
        )

    def __iter__(self) -> Iterator[tuple[int, str | Problem]]:
        for line, raw in self.raw():
            yield line, raw if isinstance(raw, Problem) else self.decode(raw, line)


def too_long(line: int) -> Problem:
    """A line that is no row."""
    return Problem(code="data.line_too_long", line=line, params={"limit": MAX_LINE_BYTES >> 20})


def _decide(head: bytes, given: str) -> tuple[str, str, int]:
    """Encoding, why, and how many bytes of a mark stand before the text."""
    marked = next(((name, len(mark)) for mark, name in MARKS if head.startswith(mark)), None)
    if given != "auto":
        plain = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(given, given)
        family = plain.rpartition("-")[0] if plain.startswith(("utf-16", "utf-32")) else plain
        if marked and marked[0].startswith(family):
            return marked[0], "data.encoding_given", marked[1]
        return plain, "data.encoding_given", 0
    if marked:
        return marked[0], "data.encoding_marked", marked[1]
    wide = wide_encoding(head[:HEAD_BYTES])
    if wide:
        return wide, "data.encoding_zeros", 0
    lines = head.split(b"\n")[:-1] or [head]
    other = [line for line in lines if not line.isascii()]
    wrong = [line for line in other if not _is_utf8(line)]
    if not other:
        return "utf-8", "data.encoding_plain", 0
    if len(wrong) > WRONG_SHARE * len(other) and is_chinese(b"\n".join(wrong)):
        return "gb18030", "data.encoding_chinese", 0
    return "utf-8", "data.encoding_utf8", 0


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
