"""What can be wrong with an adapter that a run goes on with."""

from engine.contract.messages.base import Message

ADAPTER_START: dict[str, Message] = {
    "tuner.adapter_kind": Message(
        "",
        "The method {tuner} cannot go on with an adapter.",
        "Set tuner.kind to one of {able}, as the adapter was trained, or leave tuner.adapter empty.",
    ),
    "tuner.adapter_init": Message(
        "",
        "An adapter to go on with has its beginning; {init} would give it another one.",
        "Set tuner.init to default, or leave tuner.adapter empty.",
    ),
    "tuner.adapter_new_tokens": Message(
        "",
        "An adapter that is gone on with has no place for new tokens.",
        "Leave tuner.new_tokens empty, or merge the adapter into its model first and name that model.",
    ),
    "tuner.adapter_differs": Message(
        "",
        "The adapter to go on with has {setting} = {theirs}, and the run {ours}.",
        "Set {setting} to {theirs}.",
    ),
    "tuner.adapter_unfit": Message(
        "",
        "The folder '{value}' has no adapter to go on with: {detail}.",
        "Choose the folder outputs/adapter of a run, or leave tuner.adapter empty.",
    ),
    "tuner.adapter_other_base": Message(
        "The run cannot go on with this adapter.",
        "The adapter in '{path}' was trained on another model: {detail}.",
        "Choose the model it was trained on ({base}) as model.path, or another adapter.",
    ),
    "tuner.adapter_broken": Message(
        "The run cannot go on with this adapter.",
        "'{path}': {detail}",
        "Choose the folder outputs/adapter of a run whose files are whole, or leave tuner.adapter empty.",
    ),
}
