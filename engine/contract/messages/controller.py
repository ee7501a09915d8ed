"""What the job controller, its client and the command line have to say."""

from engine.contract.messages.base import Message

CONTROLLER: dict[str, Message] = {
    "run.unknown": Message("There is no run '{run}'.", "", "`forge runs` lists them."),
    "run.unknown_near": Message("There is no run '{run}'.", "", "Did you mean '{near}'? `forge runs` lists all."),
    "run.ambiguous": Message("'{run}' names more than one run.", "Found: {found}.", "Give more of the id."),
    "run.wrong_state": Message("Run '{run}' cannot be {verb}.", "It is {state}.", "{hint}"),
    "controller.unreachable": Message(
        "The job controller does not answer.", "{detail}", "It is started again by itself; its log is '{log}'."
    ),
    "controller.not_started": Message("The job controller did not start.", "{detail}", "Look into its log: '{log}'."),
    "controller.unauthorised": Message(
        "The job controller refused the access token.", "", "Restart the program; the token is in '{file}'."
    ),
    "controller.other_protocol": Message(
        "The job controller speaks another version ({theirs}; here {ours}).",
        "",
        "Stop it with `forge controller stop` and start the program again.",
    ),
    "controller.bug": Message("The job controller hit a bug.", "{detail}", "Please report it with the log '{log}'."),
    "controller.strange_answer": Message(
        "The job controller's answer cannot be read.",
        "{path}: {detail}",
        "Stop it with `forge controller stop` and start the program again.",
    ),
    "request.invalid": Message("The request cannot be understood.", "{detail}", "Correct it."),
    "request.refused": Message("The request cannot be used.", "Fields in it are wrong.", "Correct them and try again."),
    "request.field": Message("", "{detail}.", "Correct it."),
    "request.sort": Message("Runs cannot be sorted by '{sort}'.", "", "Choose one of: {choices}."),
    "request.host": Message(
        "The job controller does not answer under the name '{host}'.",
        "It serves programs of this computer only.",
        "Use 127.0.0.1.",
    ),
    "request.no_such_path": Message(
        "The job controller knows no '{path}'.",
        "Program and controller may be of different versions.",
        "Stop the controller with `forge controller stop` and start the program again.",
    ),
    "request.key_reused": Message(
        "The idempotency key '{key}' was used for another request.", "", "Use a new key for each request."
    ),
    "run.no_adapter": Message(
        "Run '{run}' has no adapter another run could go on with.",
        "{detail}",
        "Choose a run with a LoRA or DoRA adapter that came to its end or was stopped with what it had learned.",
    ),
    "run.no_config": Message("Run '{run}' has no training config.", "It is of kind {kind}.", ""),
    "run.no_attempt": Message("Run '{run}' has no attempt {attempt}.", "", "`forge show {run}` lists its attempts."),
    "run.no_log": Message(
        "Run '{run}' has no log.", "It has not been started, or its files were deleted.", "Start it, or a copy of it."
    ),
    "run.start_failed": Message("The worker could not be started.", "{detail}", "See the controller's log."),
    "run.start_lost": Message(
        "The start was interrupted.", "The job controller ended while it started the worker.", "The run waits again."
    ),
    "run.killed": Message(
        "The worker was killed.", "It did not stop within {seconds} s of being asked to.", "What it saved is kept."
    ),
    "journal.bad_line": Message(
        "A line of the worker's journal cannot be read.", "At byte {offset}: {detail}", "It is passed over."
    ),
    "journal.gap": Message(
        "Lines are missing in the worker's journal.", "Numbers {first} to {last} never came.", "The rest is shown."
    ),
    "artifact.unknown": Message("Run '{run}' has no result {artifact}.", "", "`forge show {run}` lists its results."),
    "artifact.gone": Message(
        "The result '{artifact}' of run '{run}' is no longer there.", "Its files were removed.", ""
    ),
    "settings.unreadable": Message(
        "The settings file '{file}' cannot be read.", "{detail}", "Correct it, or remove it for the usual settings."
    ),
    "settings.slot_form": Message("'{word}' is no number of slots.", "", "Write LANE=N with a lane of {lanes}: gpu=2."),
    "settings.days_form": Message("'{word}' is no number of days.", "", "Write a number, or 'forever'."),
    "settings.slots": Message(
        "{count} slots in lane '{lane}' are not possible.",
        "There are the lanes gpu, cpu and light, with 0 to {most} slots each.",
        "Choose another number.",
    ),
    "history.newer": Message(
        "The run history '{file}' was written by a newer version of this program.",
        "It has version {theirs}; this program reads up to {ours}.",
        "Update the program. Nothing was changed.",
    ),
    "history.unusable": Message(
        "The run history '{file}' cannot be used.", "{detail}", "Restore it from a copy, or move it away to start anew."
    ),
    "home.unusable": Message(
        "The data folder '{home}' cannot be used.", "{detail}", "Mend it, or name another one in FORGE_HOME."
    ),
    "worker.no_environment": Message(
        "There is no environment for workers.",
        "Training needs PyTorch, which is installed apart from the program.",
        "Make one in Settings under 'Workers', or run `forge worker install`.",
    ),
    "worker.lost": Message(
        "The worker is gone and nobody saw how it ended.",
        "The computer may have been switched off.",
        "Start the run again.",
    ),
    "run.no_metric": Message("Run '{run}' has no curve '{metric}'.", "It has: {known}.", "Name one of those."),
    "run.no_result": Message("Run '{run}' has no {kind} to download.", "It has: {known}.", "Name one of those."),
    "download.exists": Message(
        "'{target}' is there already.", "", "Add --force to replace it, or name another folder."
    ),
    "download.damaged": Message(
        "'{name}' did not arrive as it was saved.", "Its sha256 is {found}, not {expected}.", "Try again."
    ),
    "download.unsafe_name": Message(
        "The download was refused.", "It holds a file named '{name}', which would land elsewhere.", "Report this."
    ),
    "config.file_exists": Message("'{file}' is there already.", "", "Add --force to replace it."),
    "file.unwritable": Message(
        "'{file}' cannot be written.", "{detail}", "Check the folder, its rights and the space."
    ),
    "controller.still_running": Message(
        "The job controller did not end within {seconds} s.", "", "Look into its log: '{log}'."
    ),
    "worker.bad_name": Message(
        "'{name}' cannot name an environment.", "", "Use letters, digits, '-', '_' and '.', and begin with a letter."
    ),
    "worker.exists": Message(
        "There is a worker environment '{name}'.", "It is in '{folder}'.", "Add --force to remake it."
    ),
    "worker.install_failed": Message(
        "The worker environment could not be made.", "{detail}", "Check the network and the space, and try again."
    ),
    "worker.check_failed": Message(
        "The worker environment does not work.", "{python}: {detail}", "Make it anew: `forge worker install --force`."
    ),
    "query.too_slow": Message(
        "The question '{kind}' took longer than {seconds} s.", "", "Try again; a large model or file may need longer."
    ),
    "query.failed": Message("The question '{kind}' could not be answered.", "{detail}", "See the controller's log."),
}
