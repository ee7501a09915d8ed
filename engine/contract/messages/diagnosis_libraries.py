"""Why runs fail, by what torch, transformers, peft, trl and bitsandbytes refuse: the cause, and what to do."""

from engine.contract.messages.base import Message

_TORCH: dict[str, Message] = {
    "diagnosis.fp16_gradients": Message(
        "Weights held in fp16 cannot be trained.",
        "Their updates are too small for fp16.",
        "Hold the weights in fp32; the arithmetic may stay fp16.",
    ),
    "diagnosis.half_unsupported": Message(
        "The processor cannot compute this in half precision.",
        "It has no {operation} for {kind}.",
        "Compute in fp32, or on a GPU.",
    ),
    "diagnosis.dtype_mismatch": Message(
        "Parts of the model hold numbers of two formats.",
        "{one} met {other}.",
        "Compute in one format: fp32, with weights held as the precision wants it.",
    ),
    "diagnosis.no_gradient": Message(
        "Nothing that is trained took part in the loss.",
        "The weights that learn are cut off from it: by recomputation, or because no layer got an adapter.",
        "Switch recomputation off, or put adapters on all linear layers.",
    ),
    "diagnosis.recomputed_otherwise": Message(
        "A part of the model came out otherwise when it was computed again.",
        "Gradient checkpointing needs each part to give the same twice.",
        "Switch gradient checkpointing off for this model.",
    ),
    "diagnosis.token_outside": Message(
        "A token or a position lies beyond the model's tables.",
        "The tokenizer gave a number for which the model has no row, or a row is longer than the model's positions.",
        "Take the tokenizer that belongs to the model, or cut rows at the length the model knows.",
    ),
    "diagnosis.shapes_do_not_multiply": Message(
        "Layers of two widths met.",
        "A matrix of {one} cannot be multiplied by one of {other}.",
        "Weights and config, or adapter and base model, do not belong together: get the model's files again.",
    ),
    "diagnosis.pickle_refused": Message(
        "A file holds more than numbers, and is not loaded.",
        "It is a pickle, which can run code when it is loaded.",
        "Convert it to safetensors, or start over without it.",
    ),
    "diagnosis.archive_broken": Message(
        "A file of torch is damaged.",
        "A part of it is missing: its copy or its download broke off.",
        "Get the file again; a run can be resumed from an older checkpoint.",
    ),
    "diagnosis.weights_shape": Message(
        "The weights have another form than the model.",
        "{name} is of another size than config.json says, often because tokens were added to one and not to the other.",
        "Get weights, config and tokenizer from the same place again.",
    ),
}

_MODELS: dict[str, Message] = {
    "diagnosis.weights_broken": Message(
        "A file of weights is damaged.",
        "Its head cannot be read: {detail}",
        "Get the file again. A file of some hundred bytes is a web page or a pointer of git-lfs in its place.",
    ),
    "diagnosis.weights_absent": Message(
        "The model has no weights.",
        "There is no {file} in its folder.",
        "Get the model's files again, or choose the folder that holds them.",
    ),
    "diagnosis.architecture_unknown": Message(
        "The worker's transformers does not know this model.",
        "It is of the type '{architecture}', which came later.",
        "Install a newer worker environment (`forge worker install`), or choose another model.",
    ),
    "diagnosis.architecture_not_causal": Message(
        "The model does not write text.",
        "{architecture} belongs to a model of another task.",
        "Choose a causal language model.",
    ),
    "diagnosis.own_code": Message(
        "The model needs Python of its own to be run.",
        "Code that comes with a model can do anything on this computer, and this version never runs it.",
        "Choose a model whose architecture transformers knows itself.",
    ),
    "diagnosis.flash_attention_absent": Message(
        "FlashAttention is not installed.",
        "The config asks for it, and the worker's environment does not have it.",
        "Let the worker take the fastest attention it has.",
    ),
    "diagnosis.attention_unsupported": Message(
        "This architecture does not have that attention.",
        "SDPA was chosen, and the model brings no code for it.",
        "Take the plain attention (eager).",
    ),
    "diagnosis.tokenizer_newer": Message(
        "The tokenizer's file cannot be read.",
        "tokenizer.json was written by a newer version than the worker has: its {part} is of an unknown form.",
        "Install a newer worker environment: `forge worker install`.",
    ),
    "diagnosis.padding_absent": Message(
        "Short rows cannot be filled up.",
        "The tokenizer has no padding token.",
        "Take one row at a time, or add pad_token to tokenizer_config.json.",
    ),
    "diagnosis.rows_ragged": Message(
        "Rows of several lengths cannot become one batch.",
        "Nothing cuts or fills them to one length.",
        "Take one row at a time, or look whether a column holds lists where texts are meant.",
    ),
    "diagnosis.template_absent": Message(
        "The model has no chat template.",
        "Conversations cannot become text without one.",
        "Take ChatML, or choose the template the model was trained with.",
    ),
    "diagnosis.template_refused": Message(
        "The chat template refused a conversation.",
        "It says: {detail}",
        "Take ChatML, which takes any order of roles, or let questions and answers alternate in the rows.",
    ),
    "diagnosis.template_unmaskable": Message(
        "The chat template does not let answers be told from questions.",
        "Message {turn} of a row cannot be found again in the text.",
        "Take ChatML, or learn questions as well.",
    ),
}

_ADAPTERS: dict[str, Message] = {
    "diagnosis.targets_absent": Message(
        "The model does not have the target modules.",
        "There is no {target} in it; each architecture has names of its own.",
        "Put adapters on all linear layers, whatever they are called.",
    ),
    "diagnosis.target_unsupported": Message(
        "LoRA cannot work on a target module.",
        "{target} is no layer that takes an adapter.",
        "Put adapters on all linear layers.",
    ),
    "diagnosis.adapter_shape": Message(
        "The adapter does not belong to this model.",
        "Its weights are of another size: it was made for another base model, or with another rank.",
        "Choose the base model that the adapter's adapter_config.json names.",
    ),
    "diagnosis.adapter_config_absent": Message(
        "There is no adapter in the folder.",
        "'{path}' holds no adapter_config.json.",
        "Choose the folder that holds adapter_config.json and adapter_model.safetensors.",
    ),
    "diagnosis.generations_group": Message(
        "The batch cannot be shared out to groups of answers.",
        "{batch} row(s) at once are no whole number of groups of {group}.",
        "Take a batch of whole groups.",
    ),
    "diagnosis.trainer_other_version": Message(
        "Packages of the worker do not belong together.",
        "{part} does not know the setting '{name}'.",
        "Install the worker environment again: `forge worker install`.",
    ),
    "diagnosis.preference_columns": Message(
        "The rows have no pairs of answers.",
        "The stage compares two answers, and there is no column '{column}'.",
        "Give each row a column 'chosen' and one 'rejected', or train on answers (sft).",
    ),
    "diagnosis.vllm_absent": Message(
        "The server that writes answers is not there.",
        "trl asked for vLLM again and again, and nobody answered.",
        "Start it on GPUs of its own (`trl vllm-serve`), and let the worker reach it.",
    ),
    "diagnosis.bitsandbytes_absent": Message(
        "bitsandbytes is not installed.",
        "The config asks for quantised weights, which only it computes with.",
        "Load the weights as they are, or install a worker environment with bitsandbytes.",
    ),
    "diagnosis.bitsandbytes_library": Message(
        "bitsandbytes does not fit this CUDA.",
        "It brings no library for the version of CUDA that torch was built with.",
        "Load the weights as they are, or install the worker environment again.",
    ),
    "diagnosis.quantised_too_large": Message(
        "The quantised model does not fit the GPU.",
        "A part of it would lie in the computer's memory, where it cannot be trained.",
        "Choose a smaller model or a larger GPU; 4-bit weights take half as much as 8-bit ones.",
    ),
    "diagnosis.quantised_without_adapter": Message(
        "Quantised weights cannot be trained themselves.",
        "They have too few steps between two values; only an adapter beside them can learn.",
        "Train a LoRA adapter.",
    ),
}

DIAGNOSIS_LIBRARIES: dict[str, Message] = {**_TORCH, **_MODELS, **_ADAPTERS}
