"""What can be wrong with a run config."""

from engine.contract.messages.base import Message

CONFIG: dict[str, Message] = {
    "config.refused": Message(
        "The config cannot be used.", "{count} problem(s) were found.", "Mend them and try again."
    ),
    "config.unreadable": Message(
        "'{file}' cannot be read as YAML or JSON.", "{detail}", "Correct the file at the line named."
    ),
    "config.not_utf8": Message("'{file}' is not UTF-8 text.", "", "Save the file as UTF-8."),
    "config.missing_file": Message("There is no file '{file}'.", "", "Check the path."),
    "config.not_a_mapping": Message(
        "The config must be a list of 'name: value' lines.", "", "Start from `forge config init`."
    ),
    "config.version": Message(
        "",
        "Config version {value} is not known here; this program reads version {known}.",
        "Use a newer program, or set version: {known}.",
    ),
    "config.unknown_key": Message("", "'{key}' is no setting here.", "Did you mean '{near}'?"),
    "config.unknown_key_plain": Message("", "'{key}' is no setting here.", "Known settings: {known}."),
    "config.missing": Message("", "A value is needed.", "Give one."),
    "config.choice": Message("", "'{value}' is not one of the choices.", "Choose one of: {choices}."),
    "config.choice_near": Message(
        "", "'{value}' is not one of the choices.", "Did you mean '{near}'? Choices: {choices}."
    ),
    "config.number": Message("", "'{value}' is not a number.", "Write a number."),
    "config.whole_number": Message("", "'{value}' is not a whole number.", "Write a whole number."),
    "config.too_small": Message("", "{value} is too small.", "It must be {limit} or greater."),
    "config.must_exceed": Message("", "{value} is too small.", "It must be greater than {limit}."),
    "config.too_large": Message("", "{value} is too large.", "It must be {limit} or less."),
    "config.must_be_below": Message("", "{value} is too large.", "It must be less than {limit}."),
    "config.text": Message("", "'{value}' is not a text.", "Write a text, in quotes if it looks like a number."),
    "config.yes_or_no": Message("", "'{value}' is neither true nor false.", "Write true or false."),
    "config.pairs": Message(
        "", "'{value}' is not a list of names with values.", "Write names with values, such as q_proj=8, v_proj=4."
    ),
    "config.list": Message("", "'{value}' is not a list.", "Write a list: [a, b]."),
    "config.group": Message("", "'{value}' is not a group of settings.", "Write 'name: value' lines below it."),
    "config.too_short": Message("", "At least {limit} is needed here.", "Add one."),
    "config.bad_rows": Message(
        "", "{count} row(s) of the dataset cannot be used.", "Mend the lines listed in its preview."
    ),
    "config.nothing_chosen": Message("", "Nothing is chosen yet.", "Choose a file, a folder or a bundled name."),
    "config.text_too_short": Message("", "The text is empty.", "Write something."),
    "config.text_too_long": Message("", "The text is longer than {limit} characters.", "Shorten it."),
    "config.pattern": Message("", "'{value}' holds characters that are not allowed here.", "Use the form {pattern}."),
    "config.invalid": Message("", "'{value}' cannot be used: {detail}", "Change it."),
    "config.not_yet": Message("", "'{value}' is known but cannot be run by this version.", "Choose {choices}."),
    "config.not_yet_set": Message("", "This setting cannot be used by this version.", "Leave it at {default}."),
    "config.kind_not_yet": Message(
        "",
        "Runs of kind '{value}' cannot be started by this version.",
        "Use kind: train.",
    ),
    "config.packing_needs": Message("", "Packing cannot be run by this version.", "Set packing: false."),
    "config.absolute_path": Message(
        "",
        "'{value}' is a relative path, and the worker may run elsewhere.",
        "Write the whole path, starting with '/'.",
    ),
    "config.path_missing": Message("", "There is nothing at '{value}'.", "Check the path."),
    "config.file_empty": Message("", "The file '{value}' is empty.", "Choose a file with rows."),
    "config.bundled_unknown": Message("", "'{value}' is not bundled with the program.", "Choose one of: {choices}."),
    "config.model_without_weights": Message(
        "",
        "The folder '{value}' holds no .safetensors weights.",
        "Choose the folder that holds config.json and *.safetensors.",
    ),
    "config.model_pickled": Message(
        "",
        "The folder '{value}' holds only pickled weights ({found}), which can run code.",
        "Convert them to safetensors first.",
    ),
    "config.model_without_config": Message(
        "", "The folder '{value}' holds no config.json.", "Choose the folder of a transformers model."
    ),
    "config.model_without_tokenizer": Message(
        "", "The folder '{value}' holds no tokenizer.", "Add tokenizer.json and tokenizer_config.json to it."
    ),
    "config.no_steps": Message("", "Neither epochs nor max_steps says how long to train.", "Set epochs to 1 or more."),
    "config.targets_empty": Message("", "LoRA has no module to work on.", "Set targets to [all-linear]."),
    "config.needs_cuda": Message("", "'{value}' needs an NVIDIA GPU, and this computer has none.", "Choose {choices}."),
    "config.remote_code": Message(
        "",
        "trust_remote_code lets the model's own Python code run on this computer.",
        "This version never does that: leave it off.",
    ),
}
