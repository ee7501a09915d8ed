"""What is said about datasets before a run of them starts, and about files made of them."""

from engine.contract.messages.base import Message

DATASETS_DESK: dict[str, Message] = {
    "data.nothing_learned": Message(
        "These rows teach nothing.",
        "Nothing would be learned from '{name}': in its first {rows} rows the template marks no answer, or every "
        "answer lies beyond the maximum length of {max_length} tokens.",
        "Choose another template, a greater maximum length, or the rows' true format.",
    ),
    "data.nothing_measured": Message(
        "These rows measure nothing.",
        "Nothing would be measured on '{name}': in its first {rows} rows the template marks no answer, or every "
        "answer lies beyond the maximum length of {max_length} tokens.",
        "Choose another template, a greater maximum length, or the rows' true format.",
    ),
    "dataset.export_short": Message(
        "The file '{file}' was not saved.",
        "{rows} of {total} rows came.",
        "Try again; if it goes on, restart the controller.",
    ),
}
