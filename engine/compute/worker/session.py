"""One attempt from its order to its last word: every outcome ends as a line of the journal and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from engine.compute.worker.commands import Commands, StopFlag, StopRequest
from engine.compute.worker.environment import describe
from engine.compute.worker.failures import explain
from engine.compute.worker.gpus import keep_to_own_gpu
from engine.compute.worker.journal import Journal
from engine.compute.worker.reporter import Reporter
from engine.compute.worker.secrets import take_secrets
from engine.compute.worker.telemetry import Telemetry, Ticker
from engine.compute.worker.worker import Worker
from engine.contract import PROTOCOL_VERSION, logfile
from engine.contract.datasets import ImportJob
from engine.contract.errors import ErrorBody, UserError
from engine.contract.paths import AttemptFolder
from engine.contract.processor import processor_name
from engine.contract.run_spec import AttemptOrder, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.serving import ServeJob
from engine.contract.states import EXIT_COMPLETED, EXIT_FAILED, EXIT_SAVED_ON_REQUEST, EndReason, Phase, RunState

log = logging.getLogger("worker")


def run_attempt(root: Path, stop: StopFlag) -> int:
    """Carry out the attempt in this folder; returns the exit code."""
    folder = AttemptFolder(root.absolute())
    secrets = take_secrets(folder)
    try:
        folder.outputs.mkdir(parents=True, exist_ok=True)
        journal = Journal(folder.journal)
    except (OSError, UserError) as error:
        log.error("The journal cannot be opened: %s", error)
        return EXIT_FAILED
    reporter = Reporter(journal)
    commands = Commands(folder.control, stop, reporter.acknowledged)
    telemetry = Telemetry(reporter.read_devices, processor_name())
    ticker = Ticker([commands.poll, telemetry.tick, journal.sync, lambda: _cut(folder)])
    ticker.start()
    try:
        return _guarded(folder, Worker(reporter, commands, stop, telemetry, ticker, secrets))
    finally:
        ticker.stop()
        try:
            journal.close()
        except OSError as error:
            log.error("The journal could not be closed: %s", error)


def _cut(folder: AttemptFolder) -> None:
    """Begin a new piece of a log that has become long, where it is this process's own output."""
    try:
        if os.fstat(1).st_ino == folder.log.stat().st_ino:
            logfile.rotate(folder.log)
    except OSError:
        return  # it grows on until there is room for a new piece


def _guarded(folder: AttemptFolder, worker: Worker) -> int:
    """The border where every failure becomes the worker's last word."""
    batch, reporter = None, worker.report
    try:
        order = read_order(folder)
        job = order.spec.job
        recipe = job.training if isinstance(job, TrainJob) else None
        batch = recipe.micro_batch_size if recipe else None
        devices = keep_to_own_gpu(order)
        reporter.started(os.getpid(), describe(recipe.threads if recipe else None))
        reporter.phase(Phase.STARTING)
        _carry_out(order, folder, worker, devices)
    except StopRequest:
        worker.commands.poll()  # a signal may come before the file that says whose wish it is
        return _last_word(reporter, *worker.stop.ending, None)
    except Exception as error:
        reason, body = explain(error, batch, folder.root)
        if not isinstance(error, UserError):
            log.exception("The session ended with an exception")
        return _last_word(reporter, RunState.FAILED, reason, body)
    return _last_word(reporter, *(worker.ending or (RunState.COMPLETED, EndReason.FINISHED, None)))


def _carry_out(order: AttemptOrder, folder: AttemptFolder, worker: Worker, devices: list[str]) -> None:
    worker.check()
    job = order.spec.job
    if isinstance(job, ImportJob):
        from engine.compute.worker.import_job import ImportSession

        ImportSession(order, job, folder, worker).run()
        return
    if isinstance(job, SampleJob):
        from engine.compute.worker.sample_job import SampleSession

        SampleSession(order, job, folder, worker).run()
        return
    if isinstance(job, ServeJob):
        from engine.compute.worker.serve_job import ServeSession

        ServeSession(order, job, folder, worker).run()
        return
    if not isinstance(job, TrainJob):
        raise UserError("config.kind_not_yet", value=order.spec.kind)
    from engine.compute.worker.train_job import TrainSession  # torch and its kin come with it

    TrainSession(order, job, folder, worker, devices).run()


def read_order(folder: AttemptFolder) -> AttemptOrder:
    """The order in the folder; another protocol is refused."""
    try:
        order = AttemptOrder.model_validate_json(folder.order.read_bytes())
    except FileNotFoundError:
        raise UserError("worker.no_order", path=str(folder.order)) from None
    except ValidationError as error:
        raise UserError("worker.bad_order", detail=str(error)[:500]) from error
    if order.protocol != PROTOCOL_VERSION:
        raise UserError("worker.other_protocol", theirs=order.protocol, ours=PROTOCOL_VERSION)
    return order


def _last_word(reporter: Reporter, state: RunState, reason: EndReason, error: ErrorBody | None) -> int:
    codes = {
        RunState.COMPLETED: EXIT_COMPLETED,
        RunState.STOPPED: EXIT_SAVED_ON_REQUEST,
        RunState.PAUSED: EXIT_SAVED_ON_REQUEST,
    }
    try:
        reporter.ended(state, reason, error)
    except (OSError, UserError) as failure:
        log.error("The last line could not be written: %s", failure)
        return EXIT_FAILED
    sys.stdout.flush()
    return codes.get(state, EXIT_FAILED)
