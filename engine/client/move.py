"""Moving all data to another folder: copied and checked beside the old one, then switched to by one small file.

    pausing → stopping → copying → verifying → switching → starting → resuming

Until the pointer file is renamed into place the old folder is the home, untouched but for its controller having
ended; from then on the new one is. The controller's lock is held throughout, so that nobody writes meanwhile. A move
that broke off is begun again with the same target: what was copied already is compared, not copied once more.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from engine.client.client import ControllerClient
from engine.client.download import Cancelled
from engine.client.history import check_history
from engine.client.launch import answers, connect
from engine.contract.durable import sync_folder, write_json
from engine.contract.errors import Conflict, Refused, UserError
from engine.contract.faults import fault
from engine.contract.paths import HOME_VARIABLE, Home, home_pointer
from engine.contract.states import LIVE, RunState

MoveStep = Literal["pausing", "stopping", "copying", "verifying", "switching", "starting", "resuming", "done"]
MARKER = ".moving-here.json"
"""In a folder that is being filled: `{"from": …}`; a move that broke off may be gone on with there."""
MOVED = "moved-to.json"
"""In a home whose data was moved away: `{"home": …}`. Only such a folder is ever deleted."""
LEFT = {"controller.json", "controller.lock", MARKER, MOVED}
"""Of one controller, or of one move: not copied."""
NETWORK = ("nfs", "cifs", "smb", "sshfs", "9p", "afs", "ceph", "glusterfs", "davfs", "ncpfs", "lustre")
PIECE = 1 << 20
ROOM = 1.02
PAUSE_S, STOP_S, LOOK_S = 600.0, 30.0, 0.1
UNDONE = (*LIVE, RunState.QUEUED)


@dataclass(frozen=True)
class MoveProgress:
    """How far a move is."""

    step: MoveStep
    done: int = 0
    total: int = 0
    """Bytes, where the step has any."""


Tell = Callable[[MoveProgress], None]


def why_fixed() -> str:
    """The variable that names the home, so that it cannot be moved from here; empty: it can."""
    return HOME_VARIABLE if os.environ.get(HOME_VARIABLE) else ""


def check_target(home: Home, target: Path, network: bool = False) -> None:
    """Refuse a folder that cannot take the data."""
    if why_fixed():
        raise Conflict("home.fixed", home=str(home.root))
    old, new = home.root.resolve(), target.absolute().resolve()
    if new == old or new.is_relative_to(old) or old.is_relative_to(new):
        raise Refused("home.target_inside", target=str(target))
    if new.exists() and not _may_fill(new, old):
        raise Refused("home.target_taken", target=str(target))
    try:
        new.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = new / ".probe"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        detail = error.strerror or str(error)
        raise Refused("home.target_locked", target=str(target), detail=detail) from error
    kind = filesystem(new)
    if not network and any(word in kind for word in NETWORK):
        raise Refused("home.target_network", target=str(target), kind=kind)
    needed = sum(size for _path, size in files_of(home.root)) - sum(size for _path, size in files_of(new))
    free = shutil.disk_usage(new).free
    if needed * ROOM > free:
        amounts = (f"{needed / 1e9:.2f} GB", f"{free / 1e9:.2f} GB")
        raise Refused("home.target_small", target=str(target), needed=amounts[0], free=amounts[1])


def move(home: Home, target: Path, tell: Tell, pause_runs: bool = False, network: bool = False) -> Home:
    """Move everything; the new home. The old folder stays, marked as left."""
    check_target(home, target, network)
    new = Home(target.absolute())
    paused = _pause_all(home, tell, pause_runs)
    try:
        _stop(home, tell)
        with _alone(home):
            _fill(home, new, tell)
            tell(MoveProgress("switching"))
            fault("move.before_switch")
            write_json(home_pointer(), {"home": str(new.root)}, 0o600)
    except (Cancelled, OSError, UserError) as error:
        with contextlib.suppress(UserError):
            _resume_all(connect(home), paused)
        raise _as_user_error(error) from error
    fault("move.after_switch")
    write_json(home.root / MOVED, {"home": str(new.root)})
    (new.root / MARKER).unlink(missing_ok=True)
    tell(MoveProgress("starting"))
    with connect(new) as client:
        tell(MoveProgress("resuming"))
        _resume_all(client, paused)
    tell(MoveProgress("done"))
    return new


def left_homes(home: Home, usual: Path) -> Path | None:
    """The folder this home was moved from, if it is still there."""
    try:
        old = Path(json.loads((home.root / "moved-from.json").read_bytes())["home"])
    except (OSError, ValueError, KeyError, TypeError):
        old = usual
    return old if old != home.root and _was_left(old, home) else None


def delete_left(home: Home, folder: Path) -> None:
    """Delete a folder whose data was moved to this home; any other is refused."""
    if not _was_left(folder, home) or home.root.resolve().is_relative_to(folder.resolve()):
        raise Refused("home.not_old", folder=str(folder))
    with _alone(Home(folder)):
        for entry in sorted(folder.iterdir(), key=lambda path: path.name == MOVED):  # the mark goes last
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    folder.rmdir()


def files_of(root: Path) -> Iterator[tuple[Path, int]]:
    """Every file and link that is to be copied, relative, with its bytes."""
    waiting = [root] if root.is_dir() else []
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = Path(entry.path).relative_to(root)
                if str(path) in LEFT:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_symlink() or entry.is_file(follow_symlinks=False):  # a socket or pipe is of a process
                    yield path, entry.stat(follow_symlinks=False).st_size


def filesystem(folder: Path) -> str:
    """Kind of the file system a folder is on."""
    best = ("", "")
    for part in psutil.disk_partitions(all=True):
        if folder.is_relative_to(part.mountpoint) and len(part.mountpoint) >= len(best[0]):
            best = (part.mountpoint, part.fstype.lower())
    return best[1]


def _fill(home: Home, new: Home, tell: Tell) -> None:
    """Copy, set right what names the old folder, and check everything."""
    write_json(new.root / MARKER, {"from": str(home.root)})
    fault("move.after_marker")
    sums = _copy(home.root, new.root, tell)
    fault("move.after_copy")
    _verify(new.root, sums, tell)
    _rename_inside(home.root, new.root)
    wrong = check_history(new) if new.database.is_file() else []
    if wrong:
        raise UserError("home.copy_differs", file=f"{new.database.name}: {wrong[0]}")
    write_json(new.root / "moved-from.json", {"home": str(home.root)})


def _copy(old: Path, new: Path, tell: Tell) -> dict[Path, str]:
    """Copy all files with their times and modes; the sha256 of each as it was read."""
    files = list(files_of(old))
    wanted = {path for path, _size in files}
    for path, _size in [*files_of(new)]:
        if path not in wanted:  # of an earlier try, and gone since
            (new / path).unlink()
    total, done, sums = sum(size for _path, size in files), 0, {}
    tell(MoveProgress("copying", 0, total))
    for folder in {path.parent for path in wanted}:
        (new / folder).mkdir(parents=True, exist_ok=True)
    for path, size in files:

        def told(piece: int, before: int = done) -> None:
            tell(MoveProgress("copying", before + piece, total))

        sums[path] = _copy_file(old / path, new / path, told)
        done += size
        tell(MoveProgress("copying", done, total))
        fault("move.copying")
    for folder in sorted({path.parent for path in wanted}):
        if (old / folder) != old:
            shutil.copystat(old / folder, new / folder)
        sync_folder(new / folder)
    return sums


def _copy_file(old: Path, new: Path, told: Callable[[int], None]) -> str:
    if old.is_symlink():
        new.unlink(missing_ok=True)
        new.symlink_to(old.readlink())
        return f"-> {old.readlink()}"
    digest = hashlib.sha256()
    if new.is_file() and not new.is_symlink() and new.stat().st_size == old.stat().st_size:
        known = sha256(old)
        if sha256(new) == known:
            return known
    mode = stat.S_IMODE(old.stat().st_mode)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with old.open("rb") as source, os.fdopen(descriptor, "wb") as target:
        done = 0
        while piece := source.read(PIECE):
            digest.update(piece)
            target.write(piece)
            done += len(piece)
            told(done)
        target.flush()
        os.fsync(target.fileno())
    shutil.copystat(old, new)
    return digest.hexdigest()


def _verify(new: Path, sums: dict[Path, str], tell: Tell) -> None:
    """Read the copy again and compare."""
    total = sum((new / path).lstat().st_size for path in sums)
    done = 0
    for path, known in sums.items():
        file = new / path
        found = f"-> {file.readlink()}" if file.is_symlink() else sha256(file)
        if found != known:
            raise UserError("home.copy_differs", file=str(path))
        done += file.lstat().st_size
        tell(MoveProgress("verifying", done, total))


def _rename_inside(old: Path, new: Path) -> None:
    """Set right what holds the folder's own name: settings, links, and scripts of worker environments."""
    settings = Home(new).settings_file
    with contextlib.suppress(FileNotFoundError, ValueError):
        content = json.loads(settings.read_bytes())
        python = content.get("worker_python")
        if python and Path(python).is_relative_to(old):
            write_json(settings, content | {"worker_python": str(new / Path(python).relative_to(old))})
    for path, _size in list(files_of(new)):
        file = new / path
        if file.is_symlink() and file.readlink().is_relative_to(old):
            goal = new / file.readlink().relative_to(old)
            file.unlink()
            file.symlink_to(goal)
    for script in [*new.glob("environments/*/bin/*"), *new.glob("environments/*/pyvenv.cfg")]:
        if script.is_file() and not script.is_symlink() and script.stat().st_size < PIECE:
            data = script.read_bytes()
            if bytes(old) in data:
                script.write_bytes(data.replace(bytes(old), bytes(new)))


def sha256(file: Path) -> str:
    """Of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _pause_all(home: Home, tell: Tell, allowed: bool) -> list[str]:
    """Have no run at work or waiting; the ids of those that were paused for it."""
    with ControllerClient(home) as client:
        if not answers(client):
            connect(home).close()  # an ended one may have left runs that go on without it
            client.forget()
        undone = client.runs(states=[str(state) for state in UNDONE], limit=1000).runs
        if undone and not allowed:
            raise Conflict("home.runs_live", number=len(undone))
        waiting_first = sorted(undone, key=lambda run: run.state is not RunState.QUEUED)
        for run in waiting_first:  # so that none of them starts when another is paused
            with contextlib.suppress(Conflict):  # it has just ended
                client.pause(run.uid)
        _wait_until_paused(client, tell, [run.uid for run in undone])
        return [run.uid for run in undone if client.run(run.uid).run.state is RunState.PAUSED]


def _wait_until_paused(client: ControllerClient, tell: Tell, paused: list[str]) -> None:
    deadline = time.monotonic() + PAUSE_S
    try:
        while left := client.runs(states=[str(state) for state in UNDONE], limit=1000).total:
            tell(MoveProgress("pausing"))
            if time.monotonic() > deadline:
                raise Conflict("home.still_runs", number=left)
            time.sleep(LOOK_S)
    except (Cancelled, UserError) as error:
        _resume_all(client, paused)
        raise _as_user_error(error) from error


def _resume_all(client: ControllerClient, paused: list[str]) -> None:
    for uid in paused:
        with contextlib.suppress(UserError):
            client.resume(uid)


def _stop(home: Home, tell: Tell) -> None:
    """End the controller and wait until its lock has fallen."""
    tell(MoveProgress("stopping"))
    with ControllerClient(home) as client, contextlib.suppress(UserError):
        client.shutdown()


@contextlib.contextmanager
def _alone(home: Home) -> Generator[None, None, None]:
    """Hold the lock of a home's controller, so that none serves it meanwhile."""
    deadline = time.monotonic() + STOP_S
    with home.controller_lock.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Conflict("home.controller_stays", home=str(home.root)) from None
                time.sleep(LOOK_S)
        yield


def _may_fill(new: Path, old: Path) -> bool:
    """Whether a folder is empty, or was being filled from here when a move broke off."""
    if not new.is_dir():
        return False
    try:
        return bool(Path(json.loads((new / MARKER).read_bytes())["from"]).resolve() == old)
    except FileNotFoundError:
        return not any(new.iterdir())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _was_left(folder: Path, home: Home) -> bool:
    try:
        return bool(Path(json.loads((folder / MOVED).read_bytes())["home"]) == home.root)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _as_user_error(error: Exception) -> UserError:
    if isinstance(error, Cancelled):
        return UserError("home.cancelled")
    if isinstance(error, UserError):
        return error
    return UserError("home.move_failed", detail=str(error))
