"""Why runs fail, rule by rule: the cause, and what to do about it."""

from engine.contract.messages.base import Message

DIAGNOSIS: dict[str, Message] = {
    "diagnosis.out_of_memory": Message(
        "Memory ran out.",
        "{size} row(s) of up to {length} tokens at once were too much for {device}.",
        "Take fewer rows at once and gather more of them into a step: the result is the same, only slower.",
    ),
    "diagnosis.out_of_memory_smallest": Message(
        "Memory ran out with one row at a time.",
        "A row of up to {length} tokens was too much for {device}.",
        "Recompute activations (gradient checkpointing), or cut rows at a shorter length.",
    ),
    "diagnosis.loss_not_finite": Message(
        "The loss became {loss} at step {step}.",
        "Steps were too large at a learning rate of {rate}: the weights left the range of numbers.",
        "Lower the learning rate and clip gradients.",
    ),
    "diagnosis.loss_not_finite_fp16": Message(
        "The loss became {loss} at step {step}.",
        "The numbers left the narrow range of fp16.",
        "Compute in bf16, or in fp32 where the GPU has no bf16.",
    ),
    "diagnosis.bad_rows": Message(
        "{count} row(s) of the dataset cannot be used.",
        "The first is at line {line}: {reason}",
        "Mend or remove the rows that are listed, then start again.",
    ),
    "diagnosis.wrong_format": Message(
        "The rows are not in the form that was chosen.",
        "Format '{format}' was given; not one row fits it.",
        "Let the form be recognised from the rows.",
    ),
    "diagnosis.missing_file": Message(
        "A file the run needs is not there.",
        "'{path}' was moved, deleted, or lies on a disk that is not mounted.",
        "Put it back, or name the place where it lies now.",
    ),
    "diagnosis.disk_full": Message(
        "The disk is full.",
        "No room is left at '{path}'.",
        "Free some space, then resume the run; keeping fewer checkpoints needs less.",
    ),
    "diagnosis.import_error": Message(
        "The worker environment is incomplete.",
        "Python cannot import '{module}'.",
        "Install the environment again: `forge worker install`.",
    ),
    "diagnosis.killed_memory": Message(
        "The system killed the worker, most likely because memory ran out.",
        "Memory was {share} % full at its last reading.",
        "Take fewer rows at once, or end other programs.",
    ),
    "diagnosis.killed": Message(
        "The worker was killed by signal {signal}.",
        "Neither the program nor a person using it did that.",
        "Look into the system's log (`journalctl -k`); resume the run.",
    ),
    "diagnosis.unknown": Message(
        "No rule knows this failure.", "The lines of the log below are what the worker said last.", "Report it."
    ),
}
