"""What a worker has to say about model, data, training and its own environment."""

from engine.contract.messages.base import Message

WORKER: dict[str, Message] = {
    "worker.bug": Message("The worker hit a bug.", "{detail}", "Please report it with the run's log."),
    "worker.killed": Message(
        "The worker was killed by signal {signal}.",
        "",
        "If nobody did that, the system was probably out of memory: lower micro_batch_size.",
    ),
    "worker.vanished": Message(
        "The worker ended without saying why (exit code {code}).", "", "The last lines of the run's log tell more."
    ),
}
