"""Takes a worker's journal into the history: at least once in, exactly once stored.

The journal is read from the byte after the last line that was stored, complete lines only. The position moves in
the same transaction as the data, so a crash between two of them repeats nothing and loses nothing. A line that
cannot be read is noted and passed over; a number missing from the sequence is noted too.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from engine.contract import events as lines
from engine.contract.clock import now
from engine.contract.events import JournalLine, Note, journal_line
from engine.contract.faults import fault
from engine.control.jobs import record
from engine.control.store import attempts
from engine.control.store.attempts import Position
from engine.control.store.database import Database, Transaction

log = logging.getLogger(__name__)
CHUNK_BYTES = 1 << 20
STATE_LINES = (
    lines.Started, lines.PhaseBegan, lines.ArtifactSaved, lines.DatasetMade, lines.CheckpointSaved,
    lines.CheckpointRemoved, lines.Resumed, lines.Ended,
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """The journal of one attempt."""

    path: Path
    run_id: int
    uid: str
    attempt_id: int
    n: int
    lease: str


@dataclass
class Flush:
    """What one reading of the journal brought."""

    old: Position
    new: Position
    lines: list[JournalLine] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    """Our own remarks on the journal, by the line they stand before."""


class Ingest:
    """Follows one journal."""

    def __init__(self, database: Database, source: Source) -> None:
        self._database = database
        self._source = source
        self._position: Position | None = None
        self.said_goodbye = False
        """The worker's last word was among the lines."""
        self.has_more = False
        """At the last reading there was more than one reading takes."""

    def pull(self) -> bool:
        """Take in what is new, up to a chunk; False when there was nothing. Waits: call it on a thread."""
        source = self._source
        if self._position is None:
            self._position = self._database.read_now(lambda c: attempts.position(c, source.attempt_id))
        data = read_complete_lines(source.path, self._position.bytes)
        if not data:
            self.has_more = False
            return False
        self.has_more = source.path.stat().st_size >= self._position.bytes + CHUNK_BYTES
        flush = parse(data, self._position)
        durable = any(isinstance(line, STATE_LINES) for line in flush.lines)
        position, self._position = self._position, None  # asked for again if the transaction fails
        fault("ingest.before_store")
        stored = self._database.write_now(lambda t: self._store(t, flush), durable)
        fault("ingest.after_store")
        self._position = flush.new if stored else None
        self.said_goodbye = self.said_goodbye or any(isinstance(line, lines.Ended) for line in flush.lines)
        if not stored:
            log.warning("run %s: its journal moved on from %s meanwhile", source.uid, position)
        return True

    def _store(self, transaction: Transaction, flush: Flush) -> bool:
        source = self._source
        if not attempts.advance(transaction, source.attempt_id, flush.old, flush.new, now()):
            return False
        flush.new.ordinal = record.store(transaction, source, flush)
        return True


def read_complete_lines(path: Path, offset: int) -> bytes:
    """The journal from the offset up to its last newline; a torn last line waits for its rest."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return b""
    end = data.rfind(b"\n") + 1
    return data if end == 0 and len(data) == CHUNK_BYTES else data[:end]


def parse(data: bytes, old: Position) -> Flush:
    """The lines that are new, and remarks on those that are bad or missing."""
    flush = Flush(old, Position(old.seq, old.bytes + len(data), old.ordinal))
    offset = old.bytes
    for raw in data.removesuffix(b"\n").split(b"\n"):
        try:
            line = journal_line.validate_json(raw)
        except ValidationError as error:
            detail = error.errors(include_input=False, include_url=False)[0]["msg"]
            _remark(flush, "journal.bad_line", offset=offset, detail=detail)
        else:
            if line.seq > flush.new.seq + 1:
                _remark(flush, "journal.gap", first=flush.new.seq + 1, last=line.seq - 1)
            if line.seq > flush.new.seq:
                flush.new.seq = line.seq
                flush.lines.append(line)
        offset += len(raw) + 1
    return flush


def _remark(flush: Flush, code: str, **params: object) -> None:
    seq = flush.new.seq or 1
    flush.notes.append(Note(seq=seq, t=now(), level="warning", code=code, params=params))
