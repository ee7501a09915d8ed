"""What the job controller, its client and the command line have to say."""

from engine.contract.messages.base import Message

CONTROLLER: dict[str, Message] = {
    "run.unknown": Message("There is no run '{run}'.", "", "`forge runs` lists them."),
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
    "request.invalid": Message("The request cannot be understood.", "{detail}", "Correct it."),
}
