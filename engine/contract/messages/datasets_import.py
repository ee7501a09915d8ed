"""What is said of files of rows as they are read, of archives, encodings and imports."""

from engine.contract.messages.base import Message

_FILES: dict[str, Message] = {
    "data.truncated": Message(
        "'{path}' ends too early.",
        "It is cut off; {rows} row(s) could be read before.",
        "Copy or download it again.",
    ),
    "data.damaged": Message("'{path}' cannot be unpacked.", "{detail}", "Copy or download it again."),
    "data.bomb": Message(
        "'{path}' is refused.",
        "It unpacks to more than {limit} MB, which no dataset of its size does.",
        "Unpack it yourself, if you know what it is, and choose the files inside.",
    ),
    "data.archive_unsafe": Message(
        "The archive '{path}' is refused.",
        "'{member}' in it is a link, or leads out of the folder.",
        "Use an archive that holds plain files only.",
    ),
    "data.archive_locked": Message(
        "The archive '{path}' is locked.",
        "'{member}' in it asks for a password.",
        "Unpack it and choose the files inside.",
    ),
    "data.archive_empty": Message(
        "The archive '{path}' holds no dataset.", "", "Put files in it that end in one of: {known}."
    ),
    "data.too_many_files": Message(
        "'{path}' is refused.", "It holds more than {limit} files.", "Join the rows in fewer files."
    ),
    "data.columns_alike": Message(
        "The table cannot be read.",
        "Two of its columns are called '{column}'.",
        "Give each column its own name.",
    ),
    "data.version_missing": Message(
        "The version of the dataset is not there.",
        "There is none at '{path}'.",
        "Import it again, or choose another version.",
    ),
    "data.version_damaged": Message(
        "A version of a dataset is damaged.", "'{path}': {detail}", "Import the dataset again."
    ),
    "data.encoding_plain": Message("'{name}' is read as {encoding}.", "It begins with plain letters only."),
    "data.encoding_utf8": Message("'{name}' is read as {encoding}.", "Its first lines are valid UTF-8."),
    "data.encoding_marked": Message("'{name}' is read as {encoding}.", "It begins with the mark of that encoding."),
    "data.encoding_zeros": Message("'{name}' is read as {encoding}.", "Zero bytes stand in their places."),
    "data.encoding_chinese": Message(
        "'{name}' is read as {encoding}.",
        "It is no UTF-8, and reads well as Chinese.",
        "Name another encoding if that is wrong.",
    ),
    "data.encoding_given": Message("'{name}' is read as {encoding}.", "The import says so."),
}

_IMPORT: dict[str, Message] = {
    "data.left_out": Message("{count} file(s) are left out: {names}.", "Their names are not those of rows."),
    "data.goes_on": Message("The import goes on after {rows} rows.", "An earlier attempt has kept them."),
    "data.begins_anew": Message(
        "The import begins anew.", "What it reads has changed since the last attempt, or what it was asked for."
    ),
    "data.imported": Message("{rows} rows of '{name}' are kept as {format}, {refused} are refused."),
    "data.there_already": Message("These rows were in the library already.", "No other copy is made of them."),
    "data.nothing_kept": Message(
        "Not one row can be used.",
        "{refused} row(s) were read, and all are wrong; the first are listed.",
        "Choose another format, or say which columns play which part.",
    ),
    "data.dropped": Message("{rows} rows are dropped by repairs."),
    "data.upload_missing": Message(
        "The upload is not there.", "There is no whole file '{path}'.", "Send the file again."
    ),
    "data.not_trained_media": Message(
        "", "The column '{column}' holds {kind}, which no stage learns from.", "The column is kept with the rows."
    ),
}

_HUBS: dict[str, Message] = {
    "data.hub_unknown": Message(
        "There is no dataset '{path}' there.",
        "{endpoint} knows none of this name, or not for everybody.",
        "Check the id; it is written as on the dataset's page. If it is private, set your token in the settings.",
    ),
    "data.hub_revision": Message(
        "The dataset '{path}' has no revision '{revision}'.",
        "{endpoint} knows no such branch, tag or commit of it.",
        "Correct the revision, or leave it empty for the newest.",
    ),
    "data.hub_gated": Message(
        "The dataset '{path}' is not open to you.",
        "Its owner gives access to those who accepted its terms.",
        "Accept them at {page}, set your token in the settings, and start the import again.",
    ),
    "data.nothing_there": Message(
        "There is no dataset at '{path}'.", "The server answers with status {status}.", "Check the address."
    ),
    "data.hub_offline": Message(
        "The dataset '{path}' cannot be fetched.",
        "Asking hubs is switched off (the setting 'offline', or HF_HUB_OFFLINE).",
        "Switch it on again, or import a file.",
    ),
    "data.hub_no_rows": Message(
        "The dataset '{path}' holds no files of rows.",
        "None of its files ends in one of: {known}.",
        "Choose another dataset, or download it and convert its files.",
    ),
    "data.hub_no_part": Message(
        "The dataset '{path}' has no such part.",
        "None of its files belongs to '{part}'; there are: {known}.",
        "Correct the subset and the split, or leave them empty for all.",
    ),
    "data.hub_fetching": Message("Fetching '{path}' at {commit}: {files} file(s), {megabytes} MB."),
    "data.no_room": Message(
        "There is no room for the dataset '{path}'.",
        "{need} bytes are still to come, and {free} are free for '{folder}'.",
        "Free space on that disk and start the import again.",
    ),
    "data.bad_address": Message(
        "'{path}' is no address of a dataset.",
        "It must begin with https:// and end like a file of rows: {known}.",
        "Correct it.",
    ),
}

DATASETS_IMPORT: dict[str, Message] = {**_FILES, **_IMPORT, **_HUBS}
