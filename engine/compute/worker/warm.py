"""A spare worker: it has imported everything before there is anything to do.

    python -m engine.compute.worker.warm fork    for every order that comes, forks a process that becomes the worker
    python -m engine.compute.worker.warm wait    takes one order and becomes the worker itself

Orders come as JSON lines on stdin, answers go as JSON lines to stdout; the end of stdin is the end of a spare.
A worker's parent is a monitor, also here. A forked worker gets it so: the spare forks a process, which forks the
worker and then *becomes* the small monitor by exec. The worker holds still until that monitor has claimed the attempt.
SIGTERM ends a spare; it is held back around a fork, so that what comes of it is told and not ended.
Forking is right only while nothing but this one thread runs and CUDA is untouched; both are looked at each time.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.compute.worker import __main__ as worker
from engine.compute.worker.commands import StopFlag
from engine.compute.worker.leaving import leave
from engine.contract.paths import AttemptFolder

MODULES = ("numpy", "torch", "transformers", "accelerate", "peft", "safetensors.torch", "tokenizers",
           "engine.compute.worker.session", "engine.compute.worker.train_job")  # fmt: skip
OFTEN = ("transformers.models.qwen3.modeling_qwen3", "transformers.models.llama.modeling_llama",
         "transformers.utils.chat_template_utils", "peft.utils.transformers_weight_conversion",
         "torch.profiler._cupti_monitor", "numpy.ctypeslib", "jinja2.sandbox")  # fmt: skip
"""What most runs import later on; another version of a package may not have it."""
GO = b"go"
DRIVERS = ("/dev/nvidia", "/dev/kfd", "/dev/dxg")
ASKERS = ("transformers.utils.import_utils", "accelerate.utils.imports")
"""Modules that remember what they once found out about devices."""
UNFIT = 3
"""Exit code of a spare that must not be forked here."""
_PR_SET_PDEATHSIG = 1
_DEATHS_S = 60.0

Become = Callable[[], int]
"""What is left to do in a process that is to be a worker; returns its exit code."""


def main(arguments: list[str]) -> int:
    """Be a spare, or what came of it."""
    method = arguments[0] if arguments else "fork"
    if method == "fork":
        _die_with_parent()
    talk = Talk()
    worker.prepare()
    warm_up()
    reason = unfit() if method == "fork" else ""
    if reason:
        talk.say(unfit=reason)
        return UNFIT
    talk.say(ready=method, pid=os.getpid(), settled=method == "wait" and driver_in_use())
    become = _fork_for_orders(talk) if method == "fork" else _take_one(talk)
    return become() if become else 0


class Talk:
    """The two pipes to the controller, out of the way of stdin and stdout, which belong to the worker to be."""

    def __init__(self) -> None:
        self.orders, self._answers = os.dup(0), os.dup(1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        self._buffer = b""

    def say(self, **content: Any) -> None:
        """One line; nobody may be there to hear it."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._answers, json.dumps(content).encode() + b"\n")

    def hear(self) -> dict[str, Any] | None:
        """The next order; None when there will be no more."""
        while b"\n" not in self._buffer:
            data = os.read(self.orders, 65536)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order

    def close(self) -> None:
        """A worker has no part in it."""
        os.close(self.orders)
        os.close(self._answers)


def warm_up() -> None:
    """Import what a training run needs and make what it would make at its start; starts no thread, touches no GPU."""
    for name in MODULES:
        importlib.import_module(name)
    for name in OFTEN:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    with contextlib.suppress(ImportError, AttributeError):
        mapping = importlib.import_module("transformers.conversion_mapping")
        mapping.get_checkpoint_conversion_mapping("qwen3")  # builds the table of all models
    gc.collect()
    gc.freeze()  # never looked at again: forks go on sharing these pages, and their collections are quick


def unfit() -> str:
    """Why this process must not be forked; empty if it may be."""
    import torch

    if not sys.platform.startswith("linux"):
        return "Only on Linux can a process with torch be forked safely."
    threads = thread_count()
    if threads != 1:
        return f"{threads} threads run."
    return "The GPU's driver is in use already." if torch.cuda.is_initialized() or driver_in_use() else ""


def driver_in_use() -> bool:
    """Whether an import has asked a GPU's driver for something: which devices are visible is settled then."""
    return any(path.startswith(DRIVERS) for path in _open_files())


def thread_count() -> int:
    """Threads of this process, as the system counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Threads:"):
            return int(line.split()[1])
    raise RuntimeError("no Threads in /proc/self/status")


def _open_files() -> Iterator[str]:
    folder = Path("/proc/self/fd")
    for link in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            yield str(link.readlink())


def _take_one(talk: Talk) -> Become | None:
    """Wait for the one order."""
    order = talk.hear()
    if order is None:
        return None
    stop = StopFlag()
    stop.listen()  # before it is anybody's worker, and not earlier: a spare that is told to end has nothing to save
    talk.say(taken=True)  # who can say so is alive: the attempt is claimed for it only now
    word = os.read(talk.orders, len(GO))
    talk.close()
    if word != GO:
        return lambda: 1
    _redirect(order["folder"])
    return lambda: _work(order, stop)


def _fork_for_orders(talk: Talk) -> Become | None:
    """Fork for every order; returns something only in a process that is to be a worker."""
    bell = _hear_deaths()
    while True:
        _wait(talk.orders, bell[0])
        order = talk.hear()
        if order is None:
            return None
        reason = unfit()
        if reason:
            talk.say(unfit=reason)
            return lambda: UNFIT
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in bell:
                os.close(number)
            return _monitor_and_worker(order, talk)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        talk.say(monitor=pid)


def _monitor_and_worker(order: dict[str, Any], talk: Talk) -> Become:
    """In the forked process: fork the worker, become its monitor."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # as below any monitor
    talk.close()
    try:
        os.setsid()
        _redirect(order["folder"])
        gate, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(go)
            return _behind(gate, order)
        with contextlib.suppress(PermissionError):
            os.setpgid(pid, pid)  # both do it: neither has to wait for the other
        os.close(gate)
        os.set_inheritable(go, True)
        command = [*order["monitor"], order["folder"], "--child", str(pid), str(go)]
        os.execve(command[0], command, order["monitor_environment"])
    except OSError as error:
        os.write(2, f"The monitor of a spare worker could not be started: {error}\n".encode())
    os._exit(127)


def _behind(gate: int, order: dict[str, Any]) -> Become:
    """In the process that is to be the worker: hold still until a monitor has claimed the attempt."""
    os.setpgid(0, 0)
    stop = StopFlag()
    stop.listen()
    word = os.read(gate, len(GO))
    os.close(gate)
    if word != GO:
        os._exit(1)  # somebody else has the attempt, or nobody watches over it
    return lambda: _work(order, stop)


def _work(order: dict[str, Any], stop: StopFlag) -> int:
    """Be a worker like any other."""
    os.environ.clear()
    os.environ.update(order["environment"])
    _forget_devices()
    import numpy

    numpy.random.seed()
    sys.argv = [worker.__file__, order["folder"]]
    return worker.main([order["folder"]], stop)


def _forget_devices() -> None:
    """What imports found out about GPUs, they found out with the variables of the spare."""
    for name in ASKERS:
        module = sys.modules.get(name)
        for function, found in list(vars(module).items()) if module else ():
            if any(word in function for word in ("cuda", "gpu", "flash", "bf16")) and hasattr(found, "cache_clear"):
                found.cache_clear()


def _redirect(folder: str) -> None:
    """Into the attempt's folder, with its log as output."""
    os.chdir(folder)
    log = os.open(AttemptFolder(Path(folder)).log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _hear_deaths() -> tuple[int, int]:
    """A pipe whose first end can be read when a monitor has ended."""
    bell, rope = os.pipe()
    for end in (bell, rope):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(rope, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return bell, rope


def _wait(orders: int, bell: int) -> None:
    """Until there is an order or an end; monitors that ended meanwhile are seen off."""
    while True:
        found, _, _ = select.select([orders, bell], [], [], _DEATHS_S)
        with contextlib.suppress(BlockingIOError):
            os.read(bell, 4096)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if orders in found:
            return


def _die_with_parent() -> None:
    """End with the controller, however it ends; what is forked from here is not bound by it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    expected = os.environ.pop("FORGE_SPARE_PARENT", "")
    if expected and int(expected) != os.getppid():
        os._exit(0)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
