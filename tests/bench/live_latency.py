"""Answers of the API, log lines and states while 8 runs stream, against an idle controller in the same run."""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from engine.client.stream import RunStream
from engine.contract.stream import LogGrew, RunChanged
from tests.helpers.controller import ControllerProcess, make_stub_python
from tests.helpers.waiting import wait_until

RUNS = 8
STEP_SECONDS = 0.02
ASKS = 60
LIMITS = {"list of runs": 0.5, "run page": 0.5, "curves of a run": 0.5, "log": 1.0, "state": 2.0}
"""What is promised, in seconds on average."""


class Listener:
    """A client that notes when news reached it."""

    def __init__(self, service: ControllerProcess) -> None:
        self.log_waits: list[float] = []
        self.state_waits: list[float] = []
        self._service = service
        self._seen: dict[str, int] = {}
        self._stream = RunStream(service.home, since=0)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._stream.close()
        self._thread.join()

    def _listen(self) -> None:
        for message in self._stream:
            if isinstance(message, LogGrew):
                self._fetch_log(message)
            elif isinstance(message, RunChanged) and message.run.state == "completed":
                journal = self._service.journal(message.run.uid)
                self.state_waits.append(time.time() - journal[-1]["t"])

    def _fetch_log(self, news: LogGrew) -> None:
        """The lines since the last time: each begins with the moment it was written."""
        piece = self._service.client.log(news.run, news.attempt, self._seen.get(news.run, 0))
        now = time.time()
        self._seen[news.run] = piece.offset + len(piece.data)
        for line in piece.data.splitlines():
            word = line.partition(b" ")[0]
            if word.replace(b".", b"").isdigit():
                self.log_waits.append(now - float(word))


def ask(service: ControllerProcess, uid: str) -> dict[str, list[float]]:
    """Seconds of each kind of request, asked in turn."""
    client = service.client
    asks: dict[str, Callable[[], object]] = {
        "list of runs": lambda: client.runs(limit=50),
        "run page": lambda: client.run(uid),
        "curves of a run": lambda: client.series(uid, ["loss", "learning_rate"]),
    }
    spent: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(ASKS):
        for name, work in asks.items():
            begin = time.perf_counter()
            work()
            spent[name].append(time.perf_counter() - begin)
    return spent


def measure(folder: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """(idle, while 8 runs stream)."""
    service = ControllerProcess(folder, make_stub_python(folder))
    try:
        service.home.root.mkdir(parents=True)
        service.home.settings_file.write_text(json.dumps({"slots": {"gpu": RUNS}}))
        service.start()
        first = service.client.create(service.spec("steps=200"))
        service.until(first.uid, "completed")
        idle = ask(service, first.uid)
        listener = Listener(service)
        names = [f"steps=600 delay={STEP_SECONDS} clock" for _ in range(RUNS)]
        runs = [service.client.create(service.spec(name)) for name in names]
        for run in runs:
            wait_until(lambda uid=run.uid: service.client.run(uid).run.step, what="a first step")  # type: ignore[misc]
        busy = ask(service, runs[0].uid)
        for run in runs:
            service.until(run.uid, "completed", timeout=120)
        wait_until(lambda: len(listener.state_waits) >= RUNS, what="every end is told")
        listener.close()
        return idle, busy | {"log": listener.log_waits, "state": listener.state_waits}
    finally:
        service.close()


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        idle, busy = measure(Path(folder))
    print(f"{RUNS} runs, a step each {STEP_SECONDS * 1000:.0f} ms, one listening client; stub workers.\n")
    print("| what | mean, ms | 95 %, ms | idle mean, ms | ratio | promised mean, ms |\n|---|---:|---:|---:|---:|---:|")
    titles = {"log": "log line written → shown", "state": "last word written → state shown"}
    for name, limit in LIMITS.items():
        waits = sorted(busy[name])
        mean, late = statistics.fmean(waits), waits[int(0.95 * (len(waits) - 1))]
        base = statistics.fmean(idle[name]) if name in idle else None
        compared = f"{base * 1000:.1f} | {mean / base:.1f}" if base else " | "
        title = titles.get(name, name)
        print(f"| {title} | {mean * 1000:.1f} | {late * 1000:.1f} | {compared} | {limit * 1000:.0f} |")


if __name__ == "__main__":
    main()
