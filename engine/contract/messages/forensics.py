"""What is said about losses of rows, and about runs that are done again."""

from engine.contract.messages.base import Message

FORENSICS: dict[str, Message] = {
    "rows.none": Message(
        "No losses of rows are kept of '{run}'.",
        "The run was made before they were kept, it has not trained a step yet, they were switched off, or its working "
        "files have gone.",
        "Leave `forensics.row_losses` on, and look while the working files are there.",
    ),
    "rows.unknown": Message(
        "The run never learned from this row.",
        "No loss is kept of line {line} of its dataset {source}.",
        "`forge rows RUN --step N` shows which rows a step learned from.",
    ),
    "rows.not_found": Message(
        "Line {line} of '{name}' cannot be read.",
        "The file has changed since, or the line lies too far behind to be reached in a few seconds.",
        "Import the file into the library: there every row is reached at once, and no version ever changes.",
    ),
    "rows.state_gone": Message(
        "The state '{state}' is not there any more.",
        "Checkpoints make room for newer ones, and working files go some days after a run.",
        "Choose another state, or the base model.",
    ),
    "rows.state_unusable": Message(
        "The state '{state}' does not fit the model.", "{detail}", "Choose another state, or the base model."
    ),
    "rows.given_up": Message(
        "Excluding rows was given up.", "The import goes on by itself.", "Its page shows how far it is."
    ),
    "rows.import_failed": Message(
        "The version without the rows could not be made.", "The import '{run}' did not complete.", "Its page says why."
    ),
    "reproduce.not_training": Message(
        "Only training runs can be done again exactly.", "Other runs have no losses to compare.", "Copy it instead."
    ),
    "reproduce.no_manifest": Message(
        "'{run}' has not told what its losses depend on.",
        "It was made before runs told that, or ended before its model and rows were read.",
        "Copy it instead: the copy has the same settings.",
    ),
}
