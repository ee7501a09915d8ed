"""What is said about how datasets are mixed, split and read while a run learns from them."""

from engine.contract.messages.base import Message

DATASETS_MIX: dict[str, Message] = {
    "data.read_version": Message(
        "Rows of '{name}' come from the library: {rows} rows, read as {format}.",
        "Version {version}; they were checked when it was made, and are read when a batch needs them.",
    ),
    "data.version_gone": Message(
        "The dataset '{name}' is no longer in the library.",
        "Its version {version} was deleted after the run was made: there is nothing at '{path}'.",
        "Import the same data again (the same rows make the same version), or start a new run with another version.",
    ),
    "data.removed_while_training": Message(
        "The dataset '{name}' was deleted while this run learns from it.",
        "Its rows stay readable until this attempt ends; the run cannot be gone on with after that.",
        "Import the same data again before the run is paused or stopped.",
    ),
    "data.row_unusable": Message(
        "Row {row} of version {version} of a dataset cannot be read as {form}.",
        "It could when it was imported, by another version of this program ({detail}).",
        "Import the dataset again: its rows are checked anew.",
    ),
    "data.group_missing": Message(
        "", "The row has nothing in the column '{column}' of its group.", "Fill it in, or set aside by row."
    ),
    "data.all_set_aside": Message(
        "No row is left to learn from.",
        "All {rows} rows fall on the side of validation; the content of a row and the seed decide where it falls.",
        "Set a smaller share aside, change the seed, or name validation rows.",
    ),
    "data.none_set_aside": Message(
        "No row was set aside for validation.",
        "Of {rows} rows none falls into the share of {share}; rows that are added later move no other.",
        "Set a larger share aside, change the seed, or name validation rows.",
    ),
    "data.unpaired": Message(
        "{pairs} pair(s) of answers were taken apart into {rows} rows.",
        "This stage learns from single answers: the better of two is called good, the worse bad.",
    ),
    "data.self_cognition": Message(
        "{rows} rows an epoch teach the model that it is {name}, made by {author}.", "The config asks for it."
    ),
    "config.group_column_needed": Message(
        "", "Groups are set aside, and no column says which group a row belongs to.", "Name the column."
    ),
    "config.buffer_without_shuffle": Message(
        "", "The order of the rows is kept, so there is nothing to draw from a buffer.", "Leave the buffer empty."
    ),
    "config.self_cognition_half": Message("", "A name and an author belong together.", "Give both, or neither."),
}
