"""What can be wrong with an adapter: its file, its folder, the base it is put on, what is asked of it."""

from engine.contract.messages.base import Message

LORA: dict[str, Message] = {
    "lora.missing": Message("The adapter '{path}' is not there.", "", "Check the path."),
    "lora.refused": Message(
        "The adapter '{path}' cannot be used.", "{count} problems were found in it.", "Mend them, or export it again."
    ),
    "lora.no_config": Message(
        "'{path}' is no adapter.", "It has no adapter_config.json.", "Choose the folder that peft saved."
    ),
    "lora.bad_config": Message(
        "The adapter '{path}' cannot be read.",
        "Its adapter_config.json is broken: {detail}.",
        "Save the adapter again with peft's save_pretrained.",
    ),
    "lora.pickled": Message(
        "The adapter '{path}' is not opened.",
        "Its weights are a pickle ({found}), which can run code.",
        "Save it as safetensors: save_pretrained(folder, safe_serialization=True).",
    ),
    "lora.no_weights": Message(
        "The adapter '{path}' has no weights.", "adapter_model.safetensors is missing.", "Copy the whole folder."
    ),
    "lora.bad_weights": Message(
        "The adapter '{path}' cannot be read.",
        "Its adapter_model.safetensors is broken: {detail}.",
        "Copy the folder again, or save the adapter anew.",
    ),
    "lora.kind": Message(
        "The adapter '{path}' cannot be represented.",
        "Its peft_type is {kind}, and a file of ours holds LORA (also with rsLoRA and DoRA).",
        "Keep it as a folder of peft's.",
    ),
    "lora.option": Message(
        "", "{option} = {value} changes how it is computed, which is not supported here.", "Train without {option}."
    ),
    "lora.unknown_option": Message(
        "",
        "{option} = {value} is not known here: it may change how it is computed.",
        "Use a version of this program that knows it, or, if it changes nothing, take it out of adapter_config.json.",
    ),
    "lora.key": Message("", "'{key}' is no weight of a LoRA.", "Remove it from the file, or export the adapter again."),
    "lora.half": Message("", "'{module}' has {have} and no {missing}.", "Copy the whole file, or export it again."),
    "lora.shape": Message("", "'{module}' has A {a} and B {b}, which do not fit.", "Export the adapter again."),
    "lora.rank": Message("", "'{module}' has rank 0.", "Leave the module out, or set its rank to 1 or more."),
    "lora.rank_other": Message(
        "", "'{module}' has rank {have}, its config says {said}.", "Set r or rank_pattern to what the weights are."
    ),
    "lora.dtype": Message("", "'{key}' is {dtype}, which is not known.", "Store it as fp32, fp16, bf16, int8 or int4."),
    "lora.not_finite": Message(
        "", "'{key}' holds {count} values that are NaN or infinite.", "Take an earlier checkpoint of its run."
    ),
    "lora.overflow": Message(
        "", "'{key}' has values too large for {dtype}.", "Store it as bf16 or fp32 (--storage bf16)."
    ),
    "lora.pattern": Message("", "'{pattern}' is no regular expression.", "Correct it in {field}."),
    "lora.value": Message("", "{setting} is {value}; it must be {wanted}.", "Correct it in adapter_config.json."),
    "lora.card": Message(
        "The card of the adapter cannot be written.",
        "{detail}.",
        "Choose a shorter name (at most 200 characters), and texts and numbers that can be stored.",
    ),
    "lora.file_broken": Message(
        "The adapter file '{path}' cannot be read.",
        "{detail}.",
        "Copy it again, or make it anew with `forge adapter convert`.",
    ),
    "lora.file_version": Message(
        "The adapter file '{path}' is of a newer program.",
        "Its format is version {version}, this program knows {known}.",
        "Update the program.",
    ),
    "lora.tampered": Message(
        "The adapter file '{path}' was changed after it was written.",
        "Its content has sha256 {found}, it says {said}.",
        "Copy it again from where it came from.",
    ),
    "lora.folder_storage": Message(
        "'{path}' cannot hold {storage}.",
        "A folder of peft's has no quantised matrices.",
        "Name a file that ends with .lora.arrow.",
    ),
    "adapters.unknown": Message("There is no adapter {id} in the library.", "", "List them: forge adapter list."),
    "adapters.of_run": Message(
        "The adapter '{name}' belongs to the run '{run}'.", "It goes when its run goes.", "Delete the run instead."
    ),
    "adapters.file_missing": Message(
        "The file of the adapter '{name}' is not there any more.", "{path}", "Train it again, or bring it in anew."
    ),
    "lora.folder_only": Message(
        "The adapter stands as a folder of peft's only, not as one file.", "{detail}", "Nothing: the folder is whole."
    ),
    "lora.exists": Message("'{path}' is there already.", "", "Choose another name, or remove it first."),
    "lora.foreign_base": Message(
        "The adapter '{name}' belongs to another base model.",
        "It was made for {wanted}, this one has the weights {found}.",
        "Load the base model named in its card.",
    ),
    "lora.module_missing": Message(
        "", "The base model has no module '{module}'.", "Load the base model named in its card."
    ),
    "lora.module_shape": Message(
        "", "'{module}' is {have} in the base model and {wanted} in the adapter.", "Load the base named in its card."
    ),
    "lora.module_kind": Message(
        "", "'{module}' is a {kind}; adapters go on Linear and Embedding.", "Merge it with peft instead."
    ),
    "lora.unfit": Message(
        "The adapter '{name}' does not fit the base model.", "{count} modules do not fit.", "See the list."
    ),
    "lora.two_whole": Message(
        "These adapters cannot work together.",
        "{names} both replace '{module}' as a whole.",
        "Activate one of them, or give each row its own.",
    ),
    "lora.whole_weighed": Message(
        "The adapter '{name}' cannot be weighed.",
        "It replaces '{module}' as a whole, which has no part of {weight}.",
        "Set its weight to 1.",
    ),
    "lora.rows": Message(
        "The adapters of the rows cannot be applied.",
        "They were named for {rows} rows, and a module was given {found}.",
        "Name one adapter a row, and generate without beams.",
    ),
    "lora.unknown": Message("There is no adapter '{name}'.", "Known are: {known}.", "Register it first."),
    "lora.taken": Message("There is an adapter '{name}' already.", "", "Unload it first, or choose another name."),
    "lora.in_use": Message(
        "The adapter '{name}' is in use.", "{requests} requests work with it.", "Wait for them, then unload it."
    ),
    "lora.no_room": Message(
        "The adapter '{name}' finds no room.",
        "It needs {bytes} bytes, and adapters in use leave {free} of {limit}.",
        "Raise the limit, or wait until others are let go.",
    ),
    "lora.no_model": Message("No base model is there yet.", "", "Inject into a model first."),
    "lora.other_model": Message(
        "This manager works with another model.", "", "Remove it from that one first, or take a manager of its own."
    ),
    "lora.weight": Message("The weight {weight} of '{name}' is no finite number.", "", "Choose a number such as 0.5."),
    "lora.merge_method": Message(
        "Adapters cannot be merged by '{method}'.", "Known are: {known}.", "Choose one of them with --method."
    ),
    "lora.merge_none": Message("Nothing is to be merged.", "No adapter is named.", "Name one or more."),
    "lora.merge_counts": Message(
        "The adapters cannot be merged.", "There are {adapters} and {weights} weights.", "Give a weight each."
    ),
    "lora.merge_dora": Message(
        "The adapter '{name}' cannot be merged in this way.",
        "{what} is no low-rank change of the weights.",
        "Merge it into a base model that has the parameters for it.",
    ),
    "lora.merge_bases": Message(
        "The adapters cannot be merged.",
        "'{module}' is {one} in '{first}' and {other} in '{name}'.",
        "Merge adapters of one base model.",
    ),
    "lora.merge_ranks": Message(
        "The adapters cannot be merged by {method}.",
        "'{module}' has the ranks {ranks}, and {method} works on matrices of one shape.",
        "Choose --method cat or svd, which take any ranks.",
    ),
    "lora.merge_density": Message(
        "{method} needs a density.", "{density} is not above 0 and at most 1.", "Set --density, such as 0.5."
    ),
    "lora.shrink_error": Message(
        "The adapter cannot be shrunk.", "An error of {error} is not between 0 and 1.", "Set --error, such as 0.05."
    ),
    "lora.diff_none": Message(
        "The adapters cannot be compared.", "They have no module in common.", "Compare adapters of one base model."
    ),
    "lora.no_embedding": Message(
        "The adapter '{name}' cannot be routed to.", "Its card has no embedding.", "Describe it, then add it again."
    ),
    "lora.embedding_size": Message(
        "The embedding of '{name}' does not fit.",
        "It has {found} numbers, the others have {wanted}.",
        "Make all embeddings with one base model.",
    ),
}
