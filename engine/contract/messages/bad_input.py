"""What is said of bad input: files, folders, histories and homes that cannot be used as they are."""

from engine.contract.messages.base import Message

BAD_INPUT: dict[str, Message] = {
    "data.not_a_file": Message(
        "The dataset cannot be read.",
        "'{path}' is a pipe, a socket or a device, not a file.",
        "Save the rows to a file and choose that.",
    ),
    "data.dangling_link": Message(
        "The dataset is not there.",
        "'{path}' is a link to '{target}', where there is nothing.",
        "Mend the link, or choose the file itself.",
    ),
    "data.changed": Message(
        "The dataset changed while it was read.",
        "'{path}' had {before} bytes at first and {after} at the end, or was written again.",
        "Wait until it is written whole, then start the run again.",
    ),
    "data.other_kind": Message(
        "'{path}' is not text.",
        "It begins like a {kind} file.",
        "Choose a JSONL, JSON, CSV, Parquet or text file, and name it for what it is.",
    ),
    "data.packed": Message(
        "'{path}' is packed.", "It begins like a {kind} archive.", "Unpack it and choose the file inside."
    ),
    "data.zero_byte": Message(
        "", "Byte {at} of the line is zero, which text never holds.", "Save the file as UTF-8 text."
    ),
    "data.bytes_gb18030": Message(
        "", "Byte {at} of the line is not UTF-8; the line looks like GB18030 (GBK).", "Save the file as UTF-8."
    ),
    "data.key_twice": Message("", "The key '{key}' stands twice in one object.", "Keep one of them."),
    "data.column_twice": Message("", "The header names the column '{column}' twice.", "Give each column its own name."),
    "data.too_deep": Message("", "The row is nested too deeply to be read.", "Write it flatter."),
    "data.number_too_long": Message(
        "", "The row holds a number of thousands of digits.", "Write it as a text in quotes."
    ),
    "data.half_character": Message(
        "",
        "The row holds half of a character (a lone \\ud800 to \\udfff).",
        "Write the character itself, or remove it.",
    ),
    "config.not_a_file": Message(
        "", "'{value}' is a pipe, a socket or a device, not a file.", "Save the rows to a file and choose that."
    ),
    "config.path_unreadable": Message("", "'{value}' cannot be read: {detail}.", "Check who may read it."),
    "config.dangling_link": Message(
        "", "'{value}' is a link to '{target}', where there is nothing.", "Mend the link, or choose the file itself."
    ),
    "config.data_unknown_file": Message(
        "", "'{value}' is no dataset this program reads.", "Use a file that ends in one of: {known}."
    ),
    "config.data_empty_folder": Message(
        "", "The folder '{value}' holds no dataset.", "Put files in it that end in one of: {known}."
    ),
    "config.model_not_a_folder": Message(
        "",
        "'{value}' is a file, and a model is a folder.",
        "Choose the folder that holds config.json and *.safetensors.",
    ),
    "model.pickled": Message(
        "The model cannot be used.",
        "The folder '{path}' holds only pickled weights ({found}), which can run code when they are loaded.",
        "Convert them to safetensors first; pickled weights are never loaded.",
    ),
    "model.refused": Message(
        "The model cannot be used.", "{count} problem(s) were found in '{path}'.", "Get the model's files again, whole."
    ),
    "model.own_code": Message(
        "The model cannot be loaded.",
        "'{architecture}' is no architecture transformers knows, and the model brings code of its own.",
        "This version never runs a model's own code: choose a model whose architecture transformers knows.",
    ),
    "model.unknown_architecture": Message(
        "The model cannot be loaded.",
        "config.json in '{path}' names the architecture '{architecture}', which transformers does not know.",
        "Correct model_type in config.json, or install a newer worker environment.",
    ),
    "model.bad_index": Message("", "The list of weights '{file}' holds no weight_map.", "Get the file again."),
    "model.shards_outside": Message(
        "",
        "{count} of the files with weights are named outside the folder: {names}.",
        "Put all weights into the model's folder and name them in the index by name only.",
    ),
    "model.bad_tokenizer_file": Message("", "'{file}' cannot be read: {detail}", "Get the file again."),
    "model.vocabulary_too_large": Message(
        "",
        "The tokenizer knows {tokens} tokens, and the model has rows for {rows}.",
        "Take the tokenizer that belongs to the model.",
    ),
    "model.no_tokenizer": Message(
        "The model cannot be used.",
        "The folder '{path}' holds no tokenizer.",
        "Add tokenizer.json and tokenizer_config.json to it.",
    ),
    "model.bad_config": Message(
        "The model cannot be used.",
        "config.json in '{path}' is damaged or contradicts itself: {detail}",
        "Get config.json again from where the model came from.",
    ),
    "config.unreadable_file": Message("'{file}' cannot be read.", "{detail}.", "Check the path and who may read it."),
    "config.too_long": Message(
        "'{file}' is too long for a config.",
        "It has more than {limit} bytes.",
        "Choose the config; data belongs into a file of its own.",
    ),
    "config.binary": Message("'{file}' is not text.", "It holds zero bytes.", "Save the config as UTF-8 text."),
    "config.too_many": Message(
        "'{file}' cannot be used as a config.",
        "With its aliases repeated it has more than {limit} values.",
        "Write values out instead of repeating aliases of aliases.",
    ),
    "config.too_deep": Message(
        "'{file}' cannot be used as a config.", "It is nested too deeply.", "Start from `forge config init`."
    ),
    "config.comments": Message(
        "'{file}' cannot be read as JSON.",
        "There is a comment in line {line}, and JSON has none.",
        "Remove the comments, or write YAML, where they begin with '#'.",
    ),
    "config.key_twice": Message("", "'{key}' stands twice.", "Keep one of them."),
    "config.key_not_text": Message("", "'{key}' is no name of a setting.", "Put it in quotes, or remove it."),
    "config.half_character": Message(
        "",
        "The text holds half of a character (a lone \\ud800 to \\udfff).",
        "Write the character itself, or remove it.",
    ),
    "history.disk_full": Message(
        "The disk is full: nothing was stored.",
        "No room is left in '{folder}'. What was stored before is safe, and runs go on.",
        "Free some space and try again.",
    ),
    "history.damaged": Message(
        "The run history '{file}' is damaged.",
        "{detail}",
        "Copy what can be read with `forge history salvage`; nothing was changed.",
    ),
    "history.read_only": Message(
        "The run history '{file}' cannot be written.",
        "The file or its disk is read-only, or belongs to somebody else.",
        "Give yourself the right to write it, or name another data folder in FORGE_HOME.",
    ),
    "history.down": Message(
        "The run history '{file}' does not answer.", "{detail}", "Try again; if it stays so, check the disk."
    ),
    "history.not_a_file": Message(
        "The run history '{file}' cannot be used.", "Something that is no file lies in its place.", "Move it away."
    ),
    "history.foreign": Message(
        "'{file}' is no run history.",
        "It is a database of another program.",
        "Move it away to start anew; nothing was changed.",
    ),
    "history.emptied": Message(
        "The run history '{file}' is empty.",
        "There are runs beside it, so it was not always empty.",
        "Restore it from a copy, or move it away to start anew.",
    ),
    "home.disk_full": Message(
        "The disk is full.", "No room is left for the data folder '{home}'.", "Free some space and try again."
    ),
    "history.none": Message(
        "There is no run history '{file}'.", "", "Start a run first, or name another data folder in FORGE_HOME."
    ),
    "history.care_failed": Message(
        "The run history could not be looked through.",
        "The helper ended with code {code}.",
        "See the lines above, and report them.",
    ),
}
