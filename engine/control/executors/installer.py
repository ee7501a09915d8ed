"""`python -m engine.control.executors.installer FOLDER`: makes a worker's environment; outlives the controller.

In FOLDER (`<home>/environments/.making-<name>`) lie `order.json` (what to make), `state.json` (how far it is),
`process.json` (who makes it), `log.txt`, `wheels/` (what was fetched, kept when it breaks off) and `venv/`. The
environment is made there and moved to its place only when it was started and has what training needs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from engine.contract.durable import sync_folder, write_json
from engine.contract.environments import Holds, Progress, Step
from engine.contract.errors import UserError
from engine.contract.faults import fault
from engine.control.executors import identity
from engine.control.executors.packages import LOOK, pinned, pip, requirements, sources

READY = "ready"
"""File in an environment that is complete (JSON)."""
LOOK_EVERY_S = 0.25
HEAD_S = 10.0
LAST_LINES = 20
SCRIPT_BYTES = 1 << 20


class Cancelled(Exception):
    """Somebody asked for the end."""


class Installer:
    """One environment in the making."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        order = json.loads((folder / "order.json").read_bytes())
        self._name, self._build = str(order["name"]), order["build"]
        self._sources = sources(order["build"], order["find_links"])
        self._environment = clean_environment()
        if order["find_links"]:  # that folder and nothing else, whatever pip is told elsewhere
            self._environment = {k: v for k, v in self._environment.items() if not k.startswith("PIP_")}
            self._environment["PIP_CONFIG_FILE"] = os.devnull
        self._venv, self._wheels, self._tmp = folder / "venv", folder / "wheels", folder / "tmp"
        self._log = folder / "log.txt"
        self._python = self._venv / "bin" / "python"
        self._progress = Progress(began=time.time())
        self._pins: list[str] = []

    def work(self) -> None:
        """From nothing, or from what an earlier try fetched, to a whole environment."""
        self._begin("venv")
        shutil.rmtree(self._venv, ignore_errors=True)
        shutil.rmtree(self._tmp, ignore_errors=True)
        self._tmp.mkdir()
        self._run([sys.executable, "-m", "venv", str(self._venv)])
        self._resolve()
        self._download()
        self._install()
        self._check()
        self._put_in_place()
        gone = self._folder.with_name(f".going-{self._name}")
        shutil.rmtree(gone, ignore_errors=True)
        self._folder.rename(gone)  # in one step, so that nobody sees half of it
        shutil.rmtree(gone, ignore_errors=True)

    def say(self, state: str, error: UserError | None = None) -> None:
        """Write down how it stands."""
        content: dict[str, Any] = {"state": state, "progress": self._progress.model_dump()}
        content["error"] = error.body().model_dump(mode="json") if error else None
        aside = self._folder / ".state"
        aside.write_text(json.dumps(content))
        aside.replace(self._folder / "state.json")

    def _begin(self, step: Step, total: int = 0) -> None:
        self._progress = Progress(step=step, total=total, began=self._progress.began)
        with contextlib.suppress(OSError):
            self.say("making")

    def _resolve(self) -> None:
        """Find out which packages it takes, and how large they are where the index says so."""
        self._begin("resolving")
        report = self._folder / "report.json"

        def look() -> None:
            self._progress.done = sum(
                1 for line in self._lines_since() if line.startswith(("Collecting", "Processing"))
            )

        ask = ("--dry-run", "--ignore-installed", "--report", str(report))
        self._run(pip(self._python, "install", *ask, *pinned(), *self._sources, *requirements()), look)
        found = json.loads(report.read_bytes())["install"]
        self._pins = [f"{one['metadata']['name']}=={one['metadata']['version']}" for one in found]
        self._sizes = _sizes([str(one["download_info"]["url"]) for one in found])

    def _download(self) -> None:
        self._begin("downloading", len(self._pins))
        self._progress.bytes_total = sum(self._sizes) if all(self._sizes) else 0
        self._wheels.mkdir(exist_ok=True)

        def look() -> None:
            fetched = sum(1 for _ in self._wheels.glob("*.whl"))
            named = sum(1 for line in self._lines_since() if line.startswith(("Collecting", "Processing")))
            self._progress.done = max(fetched, named - 1)
            here = folder_bytes(self._wheels) + folder_bytes(self._tmp)  # a file on its way is in both for a moment
            self._progress.bytes = min(here, self._progress.bytes_total or here)

        fault("install.downloading")
        command = pip(self._python, "download", "--no-deps", "--dest", str(self._wheels), *self._sources, *self._pins)
        self._run(command, look)

    def _install(self) -> None:
        self._begin("installing", len(self._pins))
        places = list(self._venv.glob("lib/*/site-packages"))
        before = sum(1 for place in places for _ in place.glob("*.dist-info"))

        def look() -> None:
            self._progress.done = max(0, sum(1 for place in places for _ in place.glob("*.dist-info")) - before)

        from_wheels = ["--no-index", "--no-deps", "--find-links", str(self._wheels)]
        self._run(pip(self._python, "install", *from_wheels, *self._pins), look)

    def _check(self) -> None:
        """Start it: what cannot be started never comes into use."""
        self._begin("checking")
        done = subprocess.run(
            [str(self._python), "-c", LOOK], capture_output=True, text=True, check=False, env=clean_environment()
        )
        if done.returncode != 0:
            detail = done.stderr.strip()[-2000:]
            raise UserError("worker.check_failed", python=str(self._python), detail=detail)
        holds = Holds.model_validate_json(done.stdout.splitlines()[-1])
        if not holds.complete:
            missing = ", ".join(name for name, version in holds.versions.items() if not version)
            raise UserError("environment.incomplete", python=str(self._python), missing=missing)

    def _put_in_place(self) -> None:
        """Its scripts name the place it goes to; it is moved there as a whole."""
        place = self._folder.parent / self._name
        old = self._folder.parent / f".old-{self._name}"
        rename_in_scripts(self._venv, str(self._venv), str(place))
        write_json(self._venv / READY, {"made": time.time(), "build": self._build, "packages": self._pins})
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
        fault("install.before_rename")
        self._venv.rename(place)
        sync_folder(place.parent)
        shutil.rmtree(old, ignore_errors=True)

    def _lines_since(self) -> list[str]:
        with self._log.open(errors="replace") as file:
            file.seek(self._began_at)
            return file.read().splitlines()

    def _run(self, command: list[str], look: Callable[[], None] = lambda: None) -> None:
        """Run it into the log, noting how it gets on; its last lines are the error where it fails."""
        environment = {**self._environment, "TMPDIR": str(self._tmp)}
        with self._log.open("ab") as log:
            self._began_at = log.tell()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_S)
            with contextlib.suppress(OSError):  # files come and go while they are counted
                look()
                self.say("making")
            if process.returncode is not None:
                break
        if process.returncode != 0:
            raise UserError("worker.install_failed", detail="\n".join(self._lines_since()[-LAST_LINES:]))


def clean_environment() -> dict[str, str]:
    """Our variables without what would let the new interpreter see other packages."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {**{k: v for k, v in os.environ.items() if k not in hidden}, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below, links not followed; what goes meanwhile counts nothing."""
    total, waiting = 0, [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def rename_in_scripts(venv: Path, old: str, new: str) -> None:
    """Scripts that name the folder they were made in name the one they go to."""
    for file in [*(venv / "bin").glob("*"), venv / "pyvenv.cfg"]:
        if file.is_file() and not file.is_symlink() and file.stat().st_size < SCRIPT_BYTES:
            data = file.read_bytes()
            if old.encode() in data:
                file.write_bytes(data.replace(old.encode(), new.encode()))


def _sizes(urls: list[str]) -> list[int]:
    """Bytes of each; 0 where that cannot be found out."""

    def size(url: str) -> int:
        try:
            if url.startswith("file:"):
                return Path(urllib.request.url2pathname(url[len("file://") :])).stat().st_size
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=HEAD_S) as answer:
                return int(answer.headers.get("Content-Length") or 0)
        except (OSError, ValueError):
            return 0

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(size, urls))


def main(folder: Path) -> int:
    """Make it, and leave word of what came of it."""

    def cancel(*_: Any) -> NoReturn:
        raise Cancelled

    signal.signal(signal.SIGTERM, cancel)
    installer = Installer(folder)
    write_json(folder / "process.json", identity.of(os.getpid()))
    try:
        installer.work()
    except Cancelled:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        installer.say("cancelled")
        os.killpg(os.getpgid(0), signal.SIGTERM)  # pip and what it started
    except UserError as error:
        installer.say("failed", error)
        return 1
    except (OSError, ValueError, KeyError) as error:
        installer.say("failed", UserError("worker.install_failed", detail=str(error)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
