"""What the library of datasets and uploads have to say."""

from engine.contract.messages.base import Message

DATASETS_LIBRARY: dict[str, Message] = {
    "dataset.unknown": Message(
        "There is no dataset '{dataset}' in the library.", "", "`forge data list` shows those that are there."
    ),
    "dataset.unknown_near": Message(
        "There is no dataset '{dataset}' in the library.", "There is one called '{near}'.", "Did you mean that one?"
    ),
    "dataset.no_version": Message(
        "Dataset '{dataset}' has no version '{version}'.",
        "It has: {known}.",
        "Name one of them, or none for the newest.",
    ),
    "dataset.empty": Message(
        "Dataset '{dataset}' has no version.", "All that it held was deleted.", "Import rows into it first."
    ),
    "dataset.name_taken": Message(
        "There is a dataset '{name}' already.", "Names differ in more than capital letters.", "Choose another name."
    ),
    "dataset.needed": Message(
        "'{dataset}' is still needed.",
        "These runs work with it, or wait to: {runs}.",
        "Let them end, or stop or delete them first.",
    ),
    "dataset.being_imported": Message(
        "'{dataset}' is being imported into.",
        "The import {runs} writes its rows under this name.",
        "Wait for its end, or stop it first.",
    ),
    "dataset.gone": Message(
        "The files of version {version} of '{dataset}' are missing.",
        "The folder {folder} does not hold it.",
        "Import the rows again; the same rows make the same version.",
    ),
    "dataset.damaged": Message(
        "The files of a version of a dataset cannot be read.",
        "{folder}: {detail}",
        "Move the folder away and import the rows again; the same rows make the same version.",
    ),
    "dataset.sort": Message("Datasets cannot be sorted by '{sort}'.", "", "Choose one of: {choices}."),
    "dataset.problem_kind": Message("There is no problem of the kind '{kind}'.", "", "Choose one of: {choices}."),
    "dataset.unchanged": Message(
        "Nothing new in '{dataset}': its rows are those of version {version}.",
        "The same rows, read in the same way, are the same version.",
        "",
    ),
    "move.import_stays": Message(
        "'{run}' was not moved.",
        "Imports work on the controller's computer, where the library is.",
        "Let it go on there; runs on other nodes get the rows with their start.",
    ),
    "config.dataset_unknown": Message(
        "", "The library has no dataset '{value}'.", "`forge data list` shows those that are there."
    ),
    "config.dataset_near": Message("", "The library has no dataset '{value}'.", "Did you mean '{near}'?"),
    "config.dataset_version": Message(
        "", "Dataset '{value}' has no version '{version}'.", "It has: {known}. Leave it empty for the newest."
    ),
    "config.version_unknown": Message(
        "", "No dataset of the library has a version '{version}'.", "`forge data list` shows the datasets."
    ),
    "config.dataset_empty": Message("", "Dataset '{value}' has no version.", "Import rows into it first."),
    "config.dataset_gone": Message(
        "",
        "The files of version {version} of dataset '{value}' are missing.",
        "Import the rows again, or choose another version.",
    ),
    "config.version_without_library": Message(
        "", "Only datasets of the library have versions.", "Set hub to 'library', or leave the version empty."
    ),
    "config.import_elsewhere": Message(
        "",
        "Imports work on the controller's computer, not on '{value}'.",
        "Set the node to 'local'; runs on other nodes get the rows with their start.",
    ),
    "config.import_address": Message(
        "", "'{value}' is no https address.", "Write it in full, with https:// before it."
    ),
    "config.upload_unknown": Message(
        "", "There is no upload '{value}'.", "Send the file again; uploads that nobody needs go after a week."
    ),
    "config.upload_open": Message(
        "", "The upload '{value}' is not complete: {received} of {bytes} bytes are here.", "Send the rest first."
    ),
    "upload.unknown": Message(
        "There is no upload '{upload}'.",
        "It was deleted, or nobody needed it for a week.",
        "Begin it again.",
    ),
    "upload.bad_name": Message("'{name}' is no name of a file.", "{detail}", "Give the file another name."),
    "upload.wrong_place": Message(
        "This piece of the upload does not go on from what is here.",
        "{received} bytes are here, and the piece begins at {offset}.",
        "Go on from {received}.",
    ),
    "upload.too_long": Message(
        "More came than was announced.",
        "The file was said to have {bytes} bytes.",
        "Delete the upload and begin it again.",
    ),
    "upload.finished": Message("The upload is complete already.", "", "Import it, or delete it."),
    "upload.other_content": Message(
        "What arrived is not the file that was announced.",
        "Its sha256 is {found}, not {expected}.",
        "Send it again from the beginning; the file may have changed meanwhile.",
    ),
    "upload.no_room": Message(
        "There is no room for an upload of {bytes} bytes.",
        "{free} bytes are free on the disk of the controller, and {kept} of them are kept for other things.",
        "Delete what is not needed, or move the data to a larger disk.",
    ),
    "upload.needed": Message(
        "The upload is still needed.", "The import {run} reads it.", "Let it end, or stop it first."
    ),
    "upload.failed": Message("The file {file} could not be sent.", "{detail}", "Try again; it goes on where it was."),
    "data.check_failed": Message("{file} could not be checked.", "{detail}", "Look at the messages above."),
    "data.encoding_unknown": Message(
        "'{value}' is no encoding that can be read.", "", "Leave it to be found (auto), or write one of: {choices}."
    ),
    "data.check_column": Message(
        "'{value}' is no mapping of a column.", "", "Write PART=COLUMN, for instance instruction=question."
    ),
}
