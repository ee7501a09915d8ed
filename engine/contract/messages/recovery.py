"""Texts about checkpoints, going on after an end, retries, and files that are kept or go."""

from engine.contract.messages.base import Message

RECOVERY: dict[str, Message] = {
    "checkpoint.skipped": Message(
        "A checkpoint was passed over: attempt {attempt}, step {step}.", "{detail}", "An older one is used."
    ),
    "checkpoint.none_good": Message(
        "The run cannot go on from here.",
        "No chosen checkpoint is whole: {detail}",
        "Choose another checkpoint, or start over.",
    ),
    "checkpoint.from_start": Message(
        "Training starts over.", "No checkpoint of the run is whole.", "Earlier points stay, faint."
    ),
    "checkpoint.not_saved": Message(
        "The checkpoint at step {step} could not be saved.",
        "{detail}",
        "Training goes on and tries again; free some space.",
    ),
    "checkpoint.going_on": Message(
        "Going on from attempt {attempt}, step {step}.", "The checkpoint is whole: sha256 of every file agrees.", ""
    ),
    "checkpoint.not_exact": Message(
        "The curve will go on, but not bit for bit as it would have.",
        "Different from when the checkpoint was made: {differences}.",
        "",
    ),
    "checkpoint.tuner_changed": Message(
        "The checkpoint does not fit this run.",
        "It holds the state of tuner '{theirs}'; the config says '{ours}'.",
        "Start over, or copy the run.",
    ),
    "checkpoint.model_changed": Message(
        "The base model is not the one the run began with.",
        "The files in '{path}' have changed since the checkpoint was made.",
        "Put the old model back, or start over.",
    ),
    "checkpoint.data_changed": Message(
        "The training rows are not the ones the run began with.",
        "The content or order of the data has changed since the checkpoint was made.",
        "Put the old data back, or start over.",
    ),
    "checkpoint.teacher_changed": Message(
        "The teacher is not the one the run began with.",
        "The files of '{path}', or of its adapter, have changed since the checkpoint was made.",
        "Put the old teacher back, or start over.",
    ),
    "checkpoint.unknown": Message(
        "Run '{run}' has no checkpoint {checkpoint}.", "It may have made room for newer ones.", "Choose another."
    ),
    "run.nothing_to_resume": Message(
        "'{run}' has nothing left to do from there.",
        "It is complete at step {step}.",
        "Give more epochs or steps, or choose an earlier checkpoint.",
    ),
    "run.cannot_shrink": Message(
        "'{run}' cannot be set to {steps} steps.",
        "The checkpoint is at step {at} already.",
        "Choose an earlier checkpoint or more steps.",
    ),
    "run.interrupted": Message(
        "The worker was told to end by the system.",
        "It saved its state at step {step} first: the computer was shutting down, or somebody ended the process.",
        "The run goes on by itself if retries are left; else resume it.",
    ),
    "run.retry": Message(
        "The run goes on by itself in {seconds} s (retry {number} of {most}).",
        "{detail}",
        "It starts from its last whole checkpoint.",
    ),
    "run.retries_used_up": Message(
        "The run failed {number} times in a row for reasons that are not its own.",
        "{detail}",
        "Mend the cause, then resume the run.",
    ),
    "run.pause_waits": Message(
        "The run has not paused yet.",
        "It was asked {seconds} s ago, and pauses after the step it is at.",
        "Nothing is lost by waiting; stop it if it takes too long.",
    ),
    "checkpoint.none_left": Message(
        "'{run}' has no checkpoint to go on from.",
        "None was made, or they were deleted.",
        "Start over, or copy the run.",
    ),
    "worker.killed_memory": Message(
        "The worker was killed by signal {signal}: most likely memory ran out.",
        "{percent} % of the computer's memory were in use at the last reading.",
        "Close other programs, or lower training.micro_batch_size; cache_mb and parallel of an instance that serves.",
    ),
    "run.not_responding": Message(
        "The worker is not responding.", "It has said nothing for {seconds} s.", "It is ended after {minutes} min."
    ),
    "run.responding": Message("The worker responds again.", "", ""),
    "worker.hung": Message(
        "The worker hung and was ended.",
        "It said nothing for {minutes} min.",
        "If a step takes longer than that, raise limits.hang_minutes.",
    ),
    "run.files_expire": Message(
        "The working files of '{run}' will be deleted on {when}.",
        "They take {size}. Results are kept in the library.",
        "Pin the run to keep checkpoints, log and journal.",
    ),
    "run.files_gone": Message(
        "The working files of the run were deleted.", "{size} were freed; results are in the library.", ""
    ),
    "run.files_kept": Message(
        "The working files of the run were not deleted.",
        "A result could not be copied to the library whole: {detail}",
        "It is tried again.",
    ),
}
