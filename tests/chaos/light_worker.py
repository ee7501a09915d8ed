"""A worker that learns a number instead of a model: the real journal, commands and checkpoints, without torch.

Started like an interpreter: `light_worker.py -m engine.compute.worker FOLDER`. Words in the run's name say how:
`steps=N`, `delay=SECONDS` a step, `every=N` steps a checkpoint, `seed=N`, `weights=MB` in each checkpoint. A file
`worker-fault` in FORGE_HOME is taken by the next worker that starts and becomes its FORGE_FAULT.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def take_fault() -> None:
    """At most one worker gets it; one that was meant for the controller is not for workers."""
    os.environ.pop("FORGE_FAULT", None)
    offered = Path(os.environ["FORGE_HOME"]) / "worker-fault"
    mine = offered.with_name(f"worker-fault.{os.getpid()}")
    try:
        offered.rename(mine)
    except FileNotFoundError:
        return
    os.environ["FORGE_FAULT"] = mine.read_text()
    mine.unlink()


if __name__ == "__main__":
    take_fault()

from engine.compute.worker.artifacts import publish_folder  # noqa: E402
from engine.compute.worker.checkpoints import Checkpoints  # noqa: E402
from engine.compute.worker.commands import Commands, StopFlag, StopRequest  # noqa: E402
from engine.compute.worker.failures import explain  # noqa: E402
from engine.compute.worker.journal import Journal  # noqa: E402
from engine.compute.worker.reporter import Reporter  # noqa: E402
from engine.compute.worker.resume import choose  # noqa: E402
from engine.compute.worker.session import _last_word, read_order  # noqa: E402
from engine.compute.worker.telemetry import Ticker  # noqa: E402
from engine.contract.checkpoints import CheckpointConfig, Manifest, SaveCause  # noqa: E402
from engine.contract.clock import now  # noqa: E402
from engine.contract.durable import write_json  # noqa: E402
from engine.contract.errors import UserError  # noqa: E402
from engine.contract.paths import AttemptFolder  # noqa: E402
from engine.contract.run_spec import AttemptOrder  # noqa: E402
from engine.contract.states import EndReason, Phase, RunState  # noqa: E402
from tests.chaos import number  # noqa: E402


class LightSession:
    """One attempt."""

    def __init__(self, folder: AttemptFolder, order: AttemptOrder, reporter: Reporter, commands: Commands) -> None:
        words = dict(word.partition("=")[::2] for word in order.spec.name.split())
        self.steps, self.delay = int(words["steps"]), float(words["delay"])
        self.seed, self.weights = int(words["seed"]), int(words.get("weights", 0)) << 20
        config = CheckpointConfig(every_minutes=None, every_steps=int(words["every"]), keep_last=2, keep_best=0)
        self.checkpoints = Checkpoints(folder.checkpoints, config, order.attempt, reporter)
        self.folder, self.order, self.report, self.commands = folder, order, reporter, commands
        self.x, self.step = self.seed, 0

    def run(self, stop: StopFlag) -> None:
        """From the checkpoint of the order to the end, or to where it is asked to end."""
        start = choose(self.order, self.folder.run, self.report)
        self.report.planned(total_steps=self.steps, epochs=1.0, rows=self.steps, precision="fp32", device="CPU")
        if start is not None:
            self.x = int(json.loads((start.folder / "number.json").read_bytes())["x"])
            self.step = start.manifest.step
            self.report.resumed(start.point.attempt, self.step, start.point.path)
        self.checkpoints.begin()
        self.report.phase(Phase.TRAINING)
        while self.step < self.steps:
            self._one_step()
            if stop:
                if stop.save:
                    self._save("pause" if stop.pause else "stop")
                raise StopRequest
            cause = self.checkpoints.due(self.step, None)
            if cause is not None:
                self._save(cause)
        self._save("end")
        self.report.phase(Phase.SAVING)
        self._publish()

    def _one_step(self) -> None:
        self.x, self.step = number.step(self.x), self.step + 1
        self.report.stepped(self.step, self.step / self.steps, {"loss": number.loss(self.x), "step_seconds": 0.01})
        time.sleep(self.delay)
        self.commands.poll()
        for command in self.commands.take():
            self._save("person")
            self.commands.acknowledge(command)

    def _save(self, cause: SaveCause) -> None:
        if self.checkpoints.has(self.step):
            return
        manifest = Manifest(
            run=self.order.run, attempt=self.order.attempt, step=self.step, epoch=self.step / self.steps,
            total_steps=self.steps, cause=cause, created=now(), loss=number.loss(self.x),
        )  # fmt: skip
        self.checkpoints.save(manifest, self._write)

    def _write(self, folder: Path) -> None:
        write_json(folder / "number.json", {"x": str(self.x)})
        if self.weights:
            (folder / "weights.bin").write_bytes(os.urandom(self.weights))

    def _publish(self) -> None:
        found = publish_folder(
            self.folder.outputs / "adapter", lambda folder: write_json(folder / "number.json", {"x": str(self.x)})
        )
        self.report.saved(
            artifact="adapter", path="outputs/adapter", step=self.step, bytes=found.bytes, sha256=found.sha256
        )


def main(root: Path) -> int:
    """The whole attempt, every outcome as a last word."""
    stop = StopFlag()
    stop.listen()
    folder = AttemptFolder(root)
    try:
        folder.outputs.mkdir(parents=True, exist_ok=True)
        journal = Journal(folder.journal)
    except (OSError, UserError) as error:
        print("no journal:", error, flush=True)
        return 1
    reporter = Reporter(journal)
    commands = Commands(folder.control, stop, reporter.acknowledged)
    ticker = Ticker([commands.poll, journal.sync], 0.2)
    ticker.start()
    try:
        reporter.started(os.getpid(), {"python": sys.version.split()[0]})
        LightSession(folder, read_order(folder), reporter, commands).run(stop)
    except StopRequest:
        commands.poll()
        return _last_word(reporter, *stop.ending, None)
    except Exception as error:  # noqa: BLE001 - the border
        print(repr(error), flush=True)
        return _last_word(reporter, RunState.FAILED, *explain(error))
    else:
        return _last_word(reporter, RunState.COMPLETED, EndReason.FINISHED, None)
    finally:
        ticker.stop()
        try:
            journal.close()
        except OSError as error:
            print("journal not closed:", error, flush=True)
        stop.listen_no_more()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[-1]).absolute()))
