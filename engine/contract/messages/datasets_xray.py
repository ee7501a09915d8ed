"""What is said about chat templates and about rows as tokens."""

from engine.contract.messages.base import Message

DATASETS_XRAY: dict[str, Message] = {
    "template.syntax": Message(
        "The chat template cannot be read.", "Line {line}: {detail}", "Mend the line, or choose another template."
    ),
    "template.endless": Message(
        "The chat template does not come to an end.",
        "One conversation took more than {seconds} s of work; usual ones take a few thousandths.",
        "Look for loops within loops, or choose another template.",
    ),
    "template.too_large": Message(
        "The chat template makes something far larger than the conversation.",
        "It was broken off before it filled the memory.",
        "Look for what is repeated or multiplied, or choose another template.",
    ),
    "template.too_deep": Message(
        "The chat template is nested too deeply.",
        "A part of it uses itself without an end, or brackets stand within brackets by the hundred.",
        "Look for macros that call themselves, or choose another template.",
    ),
    "template.forbidden": Message(
        "The chat template reaches for what is none of its business.",
        "Line {line}: {detail}",
        "Do not use this model's template unless you know who wrote it; choose another template.",
    ),
    "model.template_named": Message("Conversations become text by the template {title}, as the config says."),
    "model.template_tokens": Message(
        "The template {title} does not fit the model.",
        "Its vocabulary lacks {missing}.",
        "Set template: auto, or choose the template the model was trained with.",
    ),
    "model.no_thinking_switch": Message(
        "The chat template has no thinking switch.",
        "The config sets thinking: {thinking}, and nothing in the template could be told so.",
        "Set thinking: auto, or choose a template with the switch, such as qwen3.",
    ),
    "model.template_end_unmarked": Message(
        "The template marks answers without the token that ends them.",
        "{token} is not learned, so that the model may not learn when to stop.",
        "Choose another template, or mark the end in it, too.",
    ),
    "data.row_far": Message(
        "Row {row} lies too far back to be shown in a moment.",
        "The first {rows} rows of the file were read in the time there is.",
        "Import the file into the library: there any row is shown at once.",
    ),
    "data.row_unknown": Message("There is no row {row}.", "The dataset has {rows} rows.", "Choose an earlier one."),
}
