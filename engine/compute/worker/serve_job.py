"""An instance: a model with adapters that answers until somebody ends it, or nobody asks any more."""

from __future__ import annotations

import time

from pydantic import TypeAdapter, ValidationError

from engine.compute.serving.runner import Server
from engine.compute.training.kernels import check_attention
from engine.compute.training.precision import choose_device, decide, device_name, nvml_names
from engine.compute.worker.model_source import ModelSource
from engine.compute.worker.telemetry import gpu_sampler
from engine.compute.worker.worker import Worker
from engine.contract.commands import WorkerCommand
from engine.contract.errors import UserError
from engine.contract.paths import AttemptFolder
from engine.contract.run_spec import AttemptOrder
from engine.contract.serving import ServeJob, ServeKey
from engine.contract.states import EndReason, Phase, RunState

LOOK_S = 0.2
GRACE_S = 20.0
"""How long answers at work may go on once the end was asked for."""
_KEYS = TypeAdapter(list[ServeKey])


class ServeSession:
    """One attempt of a run that serves."""

    def __init__(self, order: AttemptOrder, job: ServeJob, folder: AttemptFolder, worker: Worker) -> None:
        self.order, self.job, self.folder, self.worker = order, job, folder, worker
        self.report = worker.report

    def run(self) -> None:
        """The whole attempt; raises StopRequest when it was asked to end."""
        self.report.journal.patient = True  # answers are worth more than lines about them
        model = ModelSource(self.order, self.job.model, self.folder, self.worker).obtain()
        self.report.phase(Phase.LOADING)
        device = choose_device(self.order.spec.compute.gpus)
        self.worker.telemetry.watch_gpus(gpu_sampler(nvml_names(device)))
        check_attention(self.job.model.attention, device)
        precision = decide("bf16" if self.job.int8 else "auto", self.job.held_in, False, device)
        self.report.note(precision.note, **{**precision.params, "device": device_name(device)})
        server = Server.open(
            model, self.job, self.order.keys, audit=self.folder.outputs, device=device,
            dtype=precision.weights_dtype, check=self.worker.check, dropped=self.order.adapters.dropped,
        )  # fmt: skip
        try:
            lost = server.take_up(self.order.adapters.loaded)
            for name, error in lost.items():
                self.report.note("serve.adapter_lost", "warning", name=name, detail=error.text)
            server.when_changed(lambda change: self.report.ready(server.host, server.port, server.models, change))
            host, port = server.start()
            self.report.phase(Phase.SERVING)  # before the word that it answers: whoever has that may look
            self.report.ready(host, port, server.models)
            server.changed(lost)
            self._stay(server)
        finally:
            server.stop(GRACE_S if self.worker.stop.save else 0.0)

    def _stay(self, server: Server) -> None:
        """Until the end was asked for, or nobody asked for long enough."""
        while server.alive:
            self.worker.check()
            for command in self.worker.commands.take():
                self._obey(command, server)
            since = server.idle_since
            if self.job.idle_minutes and since is not None and time.time() - since > self.job.idle_minutes * 60:
                self.report.note("serve.idle", minutes=self.job.idle_minutes)
                self.worker.ending = (RunState.COMPLETED, EndReason.FINISHED, None)
                return
            time.sleep(LOOK_S)
        raise UserError("serve.broken", trace="server")

    def _obey(self, command: WorkerCommand, server: Server) -> None:
        if command.verb != "keys":
            self.worker.commands.acknowledge(command, UserError("worker.not_training").body())
            return
        try:
            server.set_keys(_KEYS.validate_python(command.params.get("keys")))
            self.worker.commands.acknowledge(command)
        except ValidationError:
            self.worker.commands.acknowledge(command, UserError("worker.bad_command", file=command.id).body())
