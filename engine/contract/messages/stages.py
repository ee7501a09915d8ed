"""What can be wrong with the choice of a stage and of its loss."""

from engine.contract.messages.base import Message

STAGES: dict[str, Message] = {
    "config.stage_loss": Message("", "The stage {stage} has no loss '{loss}'.", "It has: {choices}."),
    "config.smoothing_needed": Message(
        "", "The loss {loss} needs a share of pairs that may be the wrong way round.", "Set label_smoothing to 0.001."
    ),
    "config.no_reference_to_ask": Message(
        "",
        "No base model is compared with (reference_free), so that there is nothing to ask beforehand.",
        "Set one of the two to false.",
    ),
    "config.reference_members": Message(
        "",
        "Asking the base model beforehand is done by one process, and this run has several.",
        "Set precompute_ref_log_probs to false, or use one GPU or process.",
    ),
    "config.kto_batch": Message(
        "",
        "KTO compares the rows of a batch with each other, and there is only one.",
        "Set micro_batch_size to 2 or more.",
    ),
    "config.stage_parts": Message(
        "", "With the loss {loss} the rows of a batch belong together.", "Set micro_batch_parts to 1."
    ),
    "config.split_for_stage": Message(
        "", "The rows of the stage {stage} cannot be split: each answer needs its question.", "Cut or drop long rows."
    ),
    "config.format_for_stage": Message(
        "", "The stage {stage} cannot learn from rows of the format {format}.", "It learns from: {choices}."
    ),
    "config.myself_for_stage": Message(
        "", "Self-cognition rows are conversations, from which the stage {stage} cannot learn.", "Leave the name empty."
    ),
    "config.packing_stage": Message(
        "",
        "The loss of the stage {stage} is made of whole rows, which cannot share a sequence.",
        "Set packing to none, or choose a stage that learns token by token: {able}.",
    ),
    "config.packing_tuner": Message(
        "",
        "With {tuner} learned tokens stand before every row, and in a shared sequence only the first row has them.",
        "Set packing to none, or choose another method.",
    ),
    "config.packing_init": Message(
        "", "{init} looks at batches of single rows for its beginning.", "Set init to default, or packing to none."
    ),
    "config.packing_buffer": Message(
        "",
        "Packed rows are put together by their lengths, all rows of an epoch at once, not out of a buffer.",
        "Leave shuffle_buffer empty, or set packing to padding_free.",
    ),
    "config.packing_weight": Message(
        "",
        "With a weight of {weight} every epoch has other rows, and packs them into another number of sequences.",
        "Set a whole number, or set packing to padding_free.",
    ),
    "config.sequence_members": Message(
        "",
        "To share each row's tokens among {parts} devices, {parts} processes must train together and pass keys and "
        "values to each other within every layer; a run has no attention that does.",
        "Set sequence_parallel to 1. For long rows: gradient_checkpointing, or Liger's kernels on a GPU.",
    ),
    "config.rope_none": Message(
        "The positions of this model cannot be stretched.",
        "The architecture {architecture} has no rotary positions, or another kind for each of its layers.",
        "Set model.rope to none.",
    ),
    "config.rope_original": Message(
        "The original length is longer than the model's.",
        "The model was made for {context} tokens, and model.rope_original is {original}.",
        "Leave it empty, or set {context} at most.",
    ),
    "config.rope_short": Message(
        "Rows are longer than the stretched positions reach.",
        "Rows may have {longest} tokens (data.max_length); with the factor {factor} the model reaches {reach}.",
        "Raise model.rope_factor, or lower data.max_length.",
    ),
    "training.not_compiled": Message(
        "The layers are not compiled.", "{detail}", "Training goes on without. For a compiler: install g++ or triton."
    ),
    "training.compiled": Message("{count} layers are compiled at their first step, which takes a while.", "", ""),
    "config.extra_name": Message(
        "", "'{name}' is no name of a variable.", "Take letters, digits and _, a digit not first."
    ),
    "config.extra_dangerous": Message(
        "",
        "{name} decides which code the worker loads, or is the program's own.",
        "Leave it out; what a worker needs goes into its environment (Settings, Environment).",
    ),
    "config.extra_kept": Message(
        "", "The program gives the worker {name} itself.", "Leave it out; it follows {where}."
    ),
    "config.extra_secret": Message(
        "",
        "{name} looks like a secret, and a config is written down, sent and shown.",
        "Give the secret to the settings (or `forge secret set`), which keep it in the keyring, and leave it out here.",
    ),
    "config.extra_control": Message("", "The value of {name} has control characters in it.", "Write it in one line."),
    "config.extra_elsewhere": Message("", "'{name}' is decided by a setting of its own.", "Set {where} instead."),
    "config.extra_fixed": Message(
        "", "'{name}' is decided by the model's weights, or this program relies on it.", "Leave it out."
    ),
    "training.rows_not_apart": Message(
        "Rows cannot share a sequence in this model.",
        "Its architecture ({architecture}), with the attention it runs with, does not keep the rows of a sequence "
        "apart: they would see each other.",
        "Set training.packing to none, or choose another model.attention.",
    ),
    "data.refused_for_stage": Message(
        "The rows are not for this stage.",
        "From {count} row(s) the stage {stage} cannot learn.",
        "Choose another stage or dataset, or take these rows out.",
    ),
    "training.no_answers": Message(
        "This model writes no answers.",
        "It gives numbers in place of text: a class, a vector or a score.",
        "Look at what it says of held-out rows instead.",
    ),
    "data.no_comparison": Message(
        "The held-out rows do not suit the stage.",
        "Line {line} is no pair of answers; a reward model is measured by which of two it scores higher.",
        "Choose held-out rows with two answers each (chosen and rejected).",
    ),
}
