"""Follows one attempt on a node: from the making of its container until the last of its files is here.

Three threads: the keeper looks at the container once a second and decides, the reader takes what the container says
as it is said, the courier copies checkpoints meanwhile. What is heard is a hint; the files over there are the truth,
and a gap, an end of the stream or a silence is answered by reading on from where the copy ends.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import docker
from docker.errors import NotFound

from engine.contract.durable import write_json
from engine.contract.errors import Unreachable, UserError
from engine.contract.states import EXIT_SAVED_ON_REQUEST
from engine.control.executors.base import Exit
from engine.control.executors.docker import files, outcome, whole
from engine.control.executors.docker.copies import Closed, parsed
from engine.control.executors.docker.link import EngineRefused
from engine.control.executors.docker.mirror import Mirror
from engine.control.executors.docker.names import LEASE
from engine.control.executors.docker.remote import Refusal, Remote, State
from engine.control.executors.docker.streams import attached
from engine.control.executors.docker.trouble import plain

log = logging.getLogger(__name__)
LOOK_S = 1.0
ENDING_LOOK_S, ENDING_S = 0.1, 10.0
"""How often, and for how long, it is looked whether a worker that spoke its last word has ended."""
SILENT_S = 4.0
"""Workers write a line a second; after so long the stream may be dead without having ended."""
BETWEEN_REPAIRS_S = 0.2
LONGEST_WAIT_S = 5.0
MOST_DAMAGED = 3
"""How often results are fetched that are not as they should be."""
MOST_BROKEN = 3
"""How often a start is tried that fails for a reason nobody thought of."""
JOIN_S = 10.0
FULL = (errno.ENOSPC, errno.EDQUOT)


class Aborted(Exception):
    """A person wished for the end before the worker was started."""


class NodeFault(Exception):
    """The container could not be made or started."""

    def __init__(self, error: UserError) -> None:
        self.error = plain(error)
        super().__init__(self.error.text)


class Follower:
    """One attempt. Made by the executor; its threads end with the attempt, or with `leave`."""

    def __init__(
        self,
        remote: Remote,
        mirror: Mirror,
        node: str,
        prepare: Callable[[Follower], None] | None = None,
        reader: Callable[[], str | None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
        lease: str = "",
    ) -> None:
        self.remote, self.mirror, self.folder, self.node = remote, mirror, mirror.folder, node
        self.exit: Exit | None = None
        self.trouble: UserError | None = None
        self.preparing = prepare is not None
        self.lock = threading.Lock()
        """Held while the container goes from made to started, and by whoever must know which it is."""
        self._prepare, self._make_reader, self._on_end, self._lease = prepare, reader, ended, lease
        self._abort: Exit | None = None
        self._leaving = threading.Event()
        self._wake = threading.Event()
        self._mirror_lock = threading.Lock()
        self._stream: Any = None
        self._heard_at = self._repaired_at = time.monotonic()
        self._damaged = self._broken = 0
        self._reader: threading.Thread | None = None
        self._courier: threading.Thread | None = None
        self._keeper = threading.Thread(target=self._keep, name=f"keep {remote.name}", daemon=True)

    def begin(self) -> None:
        """Start the keeper."""
        self._keeper.start()

    def leave(self) -> None:
        """The controller ends; the worker goes on."""
        self._leaving.set()
        self.mirror.seal()
        self._wake.set()
        self._cut_stream()
        if self._keeper.is_alive():
            self._keeper.join(JOIN_S)
        self._join(self._reader)
        self._join(self._courier)
        if self.exit is None and not self._keeper.is_alive():
            with contextlib.suppress(OSError):
                self.mirror.close()

    def abort(self, ended: Exit) -> None:
        """Give the preparation up; what the attempt ends with."""
        self._abort = ended
        self._wake.set()

    def check(self) -> None:
        """A place where the preparation may break off."""
        if self._abort is not None or self._leaving.is_set():
            raise Aborted

    def poll(self) -> Exit | None:
        """How it stands; raises what keeps us from knowing."""
        if self.exit is None and isinstance(self.trouble, Unreachable):
            raise self.trouble
        return self.exit

    def _keep(self) -> None:
        wait = LOOK_S
        while not self._leaving.is_set():
            self._wake.clear()
            try:
                if self._round():
                    return
                self.trouble, wait = None, LOOK_S
            except Exception as error:  # noqa: BLE001 - the border of a thread: told by poll, and tried again
                self._troubled(error)
                wait = min(LONGEST_WAIT_S, wait * 1.5)
            self._wake.wait(ENDING_LOOK_S if self._ending and wait == LOOK_S else wait)

    @property
    def _ending(self) -> bool:
        """It has spoken its last word: whoever moves or resumes the run stands still until its container has ended."""
        over = self.mirror.journal.over_at
        return over is not None and time.monotonic() - over < ENDING_S

    def _troubled(self, error: Exception) -> None:
        """Why nothing can be known or done just now."""
        if isinstance(error, OSError) and error.errno in FULL:
            self.trouble = UserError("docker.disk_full_here", path=str(self.folder.root), node=self.node)
            log.warning("%s", self.trouble.text)
        elif isinstance(error, Unreachable):
            if not isinstance(self.trouble, Unreachable):
                log.warning("%s: %s", self.remote.name, error.text)
            self.trouble = error
            self._cut_stream()
        elif isinstance(error, EngineRefused):
            log.warning("%s: %s", self.remote.name, error.text)
            self.trouble = error
        elif isinstance(error, UserError):  # the way to the node is barred: that says nothing about the worker
            log.warning("%s: %s", self.remote.name, error.text)
            self.trouble = Unreachable.from_body(error.body())
        elif isinstance(error, Closed):
            log.info("%s is left", self.remote.name)
        elif isinstance(error, files.BadArchive):
            self.trouble = UserError("docker.bad_archive", node=self.node, name=str(error))
            log.warning("%s", self.trouble.text)
        elif isinstance(error, whole.Damaged | files.CutOff | Refusal):
            log.warning("%s: %s", self.remote.name, error)
            self.trouble = UserError("docker.not_whole", node=self.node, detail=str(error))
        else:
            log.exception("%s: following it failed; trying again", self.remote.name, exc_info=error)

    def _round(self) -> bool:
        """One look; True once everything is here."""
        if self.preparing and not self._prepared():
            return True
        state = self.remote.state()
        if state is not None and self._lease and state.labels.get(LEASE) != self._lease:
            log.error("%s belongs to lease %s: left alone", self.remote.name, state.labels.get(LEASE))
            self._end(Exit())
            return True
        if state is not None and state.live:
            self._follow(state)
            return False
        self._finish(state)
        return True

    def _prepared(self) -> bool:
        """Make and start the container; False if that ended the attempt."""
        assert self._prepare is not None
        try:
            self._prepare(self)
        except Aborted:
            if self._leaving.is_set():
                return False
            with contextlib.suppress(Refusal):
                self.remote.remove(force=True)
            self._end(self._abort or Exit(code=EXIT_SAVED_ON_REQUEST))
            return False
        except (NodeFault, EngineRefused) as error:
            with contextlib.suppress(Refusal, UserError):
                self.remote.remove(force=True)
            self._end(outcome.fault(error.error if isinstance(error, NodeFault) else error))
            return False
        except UserError:
            raise
        except Exception as error:
            self._broken += 1
            if self._broken < MOST_BROKEN or getattr(error, "errno", None) in FULL:
                raise
            log.exception("%s: its start is given up", self.remote.name)
            detail = f"{type(error).__name__}: {error}"
            self._end(outcome.fault(UserError("docker.not_created", node=self.node, detail=detail)))
            return False
        self.preparing = False
        return True

    def _follow(self, state: State) -> None:
        """The worker lives: listen, mend what is missing, copy what is due."""
        now = time.monotonic()
        if self._reader is None or not self._reader.is_alive():
            self._heard_at = now
            self._reader = threading.Thread(target=self._read, name=f"read {self.remote.name}", daemon=True)
            self._reader.start()
        elif now - self._heard_at > SILENT_S and state.status == "running" and self.repair():
            log.info("%s: its stream had gone silent", self.remote.name)
            self._cut_stream()  # a new one is begun at the next look
        self.mirror.journal.sync()
        if self._courier is None or not self._courier.is_alive():
            with self._mirror_lock:
                self.mirror.listen()
            if self.mirror.due:
                self._courier = threading.Thread(target=self._copy, name=f"copy {self.remote.name}", daemon=True)
                self._courier.start()

    def _copy(self) -> None:
        source = None
        try:
            source = self._make_reader()
            if source is not None:
                self.mirror.copy_on_the_way(source, self._leaving.is_set)
        except Exception as error:  # noqa: BLE001 - the border of a thread: the next look tries again
            log.warning("%s: copying on the way broke off: %s", self.remote.name, error)
        finally:
            self._drop_reader(source)

    def _drop_reader(self, name: str | None) -> None:
        if name is not None and name != self.remote.name:
            with contextlib.suppress(Refusal, UserError):
                Remote(self.remote.link, name).remove(force=True)

    def _read(self) -> None:
        try:
            self.remote.link.stream(self._listen)
        except NotFound:
            pass
        except Exception as error:  # noqa: BLE001 - the border of a thread: the keeper looks what it means
            log.info("%s: its stream ended: %s", self.remote.name, error)
        finally:
            self._stream = None
            self._wake.set()  # an end of the stream proves nothing: look

    def _listen(self, api: docker.APIClient) -> None:
        """Take what is said from now on; what was said before is read from the files once we listen."""
        self._stream = attached(api, self.remote.name)
        if self._leaving.is_set():
            return
        self.repair()
        rest = b""
        for chunk in self._stream:
            self._heard_at = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        found = parsed(line) or {}
        with self._mirror_lock:
            good = self._take(line, found)
        if not good:
            pause = self._repaired_at + BETWEEN_REPAIRS_S - time.monotonic()
            if pause > 0:
                self._leaving.wait(pause)
            self.repair()

    def _take(self, line: bytes, found: dict[str, Any]) -> bool:
        """Into the copy it belongs to; False where something is missing before it, or it is torn."""
        if isinstance(found.get("seq"), int):
            good = self.mirror.journal.take(line, found)
            if self.mirror.journal.heard or self._ending:
                self._wake.set()
            return good
        if isinstance(found.get("log"), int):
            data = found["text"].encode() if "text" in found else base64.b64decode(found.get("b64", ""))
            return self.mirror.log.take(found["log"], data)
        return not line

    def repair(self) -> bool:
        """Read on in the files over there; whether that brought something."""
        with self._mirror_lock:
            self._repaired_at = time.monotonic()
            before = self.mirror.journal.size, self.mirror.log.size
            there = self.mirror.there
            offset = self.mirror.journal.begin_repair()
            self.remote.tail(there / self.folder.journal.name, offset, self.mirror.journal.repair)
            self._repair_log(there)
            return (self.mirror.journal.size, self.mirror.log.size) != before

    def _repair_log(self, there: PurePosixPath) -> None:
        """Piece after piece, from the one the copy ends in."""
        copy, name = self.mirror.log, self.folder.log.name
        found = dict(self.remote.pieces(there, f"{name}*"))
        ends = sorted(int(piece[len(name) + 1 :]) for piece in found if piece[len(name) + 1 :].isdigit())
        for end in ends:
            begin = end - found[f"{name}.{end}"]
            if copy.size < end:
                copy.skip(begin)
                self.remote.tail(there / f"{name}.{end}", copy.size - begin, lambda data: _append(copy, data))
        begin = ends[-1] if ends else 0
        if name in found and copy.size - begin < found[name]:
            copy.skip(begin)
            self.remote.tail(there / name, copy.size - begin, lambda data: _append(copy, data))

    def _finish(self, state: State | None) -> None:
        """The container has ended: have everything here before anybody is told."""
        self._cut_stream()
        self._join(self._reader)
        self._join(self._courier)
        if state is not None and outcome.never_started(state):
            with contextlib.suppress(Refusal):
                self.remote.remove(force=True)
            self._end(outcome.outcome(self.node, state, None))
            return
        witness = self._fetch(self.remote.name if state is not None else self._make_reader())
        self._end(outcome.gone(witness) if state is None else outcome.outcome(self.node, state, witness))

    def _fetch(self, container: str | None) -> dict[str, Any] | None:
        """All files; a copy that stays damaged is left to whoever needs it."""
        if container is None:
            return None
        try:
            with self._mirror_lock:
                return self.mirror.copy_all(container)
        except NotFound:
            if Remote(self.remote.link, container).state() is None:  # removed meanwhile; its volume has it all
                raise Refusal(f"{container} was removed while its files were copied") from None
            return None  # the attempt's folder is not there: it never came to write
        except (whole.Damaged, files.BadArchive) as error:
            self._damaged += 1
            if self._damaged < MOST_DAMAGED:
                raise
            log.error("%s: its results stay damaged: %s", self.remote.name, error)
            return self.mirror.witness
        finally:
            self._drop_reader(container)

    def _end(self, ended: Exit) -> None:
        self.folder.secrets.unlink(missing_ok=True)
        write_json(self.folder.exit, outcome.to_json(ended))
        self.mirror.close()
        self.exit, self.trouble = ended, None
        try:
            self._on_end()
        except Exception as error:  # noqa: BLE001 - tidying up is tried again by whoever sweeps
            log.warning("%s: tidying up after it broke off: %s", self.remote.name, error)

    def _cut_stream(self) -> None:
        """Wake the reader up."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(Exception):
                stream.close()

    def _join(self, thread: threading.Thread | None) -> None:
        if thread is not None and thread.is_alive():
            thread.join(JOIN_S)


def _append(copy: Any, data: bytes) -> None:
    copy.take(copy.size, data)


def done_before(folder: Any) -> Exit | None:
    """How an attempt ended whose files are all here."""
    try:
        data = folder.exit.read_bytes()
    except OSError:
        return None
    found = outcome.witness_of(data)
    return outcome.from_json(found) if found is not None else None
