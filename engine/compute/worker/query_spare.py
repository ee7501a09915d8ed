"""`python -m engine.compute.worker.query_spare NUMBER`: a helper that has imported everything; forks for each query.

Orders are datagrams on the socket with that number: `{"query": n}` with three open files (stdin, stdout and stderr of
the process that answers, which is then like any helper), and `{"done": n}`, with which that process is ended. When
nobody holds the other end any more, all of them end. The spare itself reads no query and opens no file of anybody.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys

from engine.compute.worker.__main__ import prepare

MODULES = (
    "transformers.models.auto.tokenization_auto", "jinja2.sandbox", "engine.compute.worker.queries",
    "engine.compute.inference.base", "engine.compute.training.stages", "engine.compute.data.xray",
    "engine.compute.data.row_view", "engine.compute.data.templates",
)  # fmt: skip
UNFIT = 3
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Be the spare; returns an exit code, in the spare and in each process that answers."""
    orders = socket.socket(fileno=int(arguments[0]))
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    prepare()
    for name in MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # forks go on sharing these pages
    if threads() != 1:  # a fork would have locks nobody opens any more
        return UNFIT
    with contextlib.suppress(BrokenPipeError):
        os.write(answers, b"ready\n")
    return _serve(orders, answers)


def threads() -> int:
    """Of this process."""
    return len(os.listdir("/proc/self/task"))


def _serve(orders: socket.socket, answers: int) -> int:
    processes, spare = dict[int, int](), os.getpid()
    while True:
        data, files, _, _ = socket.recv_fds(orders, 4096, 3)
        if not data:
            for number in list(processes):
                _end(processes, number)
            return 0
        order = json.loads(data)
        if "done" in order:
            _end(processes, order["done"])
            continue
        pid = os.fork()
        if pid == 0:
            orders.close()
            os.close(answers)
            return _answer(files, spare)
        processes[order["query"]] = pid
        for file in files:
            os.close(file)


def _end(processes: dict[int, int], number: int) -> None:
    """End a process and what it started; until here its number can be nobody else's."""
    pid = processes.pop(number, 0)
    if pid:
        for end in (os.killpg, os.kill):  # it may not lead a group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                end(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _answer(files: list[int], spare: int) -> int:
    """In the forked process: be a helper like any other, which ends with the spare."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != spare:  # it ended before that was said
        return 1
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    import numpy

    from engine.compute.worker import queries

    numpy.random.seed()
    return queries.main()


if __name__ == "__main__":
    from engine.compute.worker.leaving import leave

    leave(main(sys.argv[1:]))
