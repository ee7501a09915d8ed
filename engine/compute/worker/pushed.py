"""At the end of a run its result goes to a hub, where that was asked for. What fails there fails no run."""

from __future__ import annotations

from engine.compute.hubs.pushing import push
from engine.compute.worker.worker import Worker
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder, TrainJob


class _Ended(Exception):
    """Somebody asked the run to end meanwhile."""


def push_result(order: AttemptOrder, job: TrainJob, folder: AttemptFolder, worker: Worker) -> None:
    """Push, and say how it went."""
    wanted = job.outputs.push
    if wanted.hub == "none" or worker.stop:
        return

    def check() -> None:
        worker.listen()
        if worker.stop:
            raise _Ended

    worker.report.note("push.begun", hub=wanted.hub, repo=wanted.repo)
    try:
        made = push(folder.root, wanted, order.hubs, worker.secrets, check)
    except _Ended:
        worker.report.note("push.ended", "warning", run=order.run)
    except UserError as error:
        told = error.body()
        detail = " ".join(part for part in (told.what, told.why, told.fix) if part)
        worker.report.note("push.failed", "warning", detail=detail, run=order.run)
    else:
        worker.report.note("push.done", url=made.url, commit=made.commit[:12])
