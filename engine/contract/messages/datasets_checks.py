"""What the checks of datasets remark on."""

from engine.contract.messages.base import Message

DATASETS_CHECKS: dict[str, Message] = {
    "checks.begins_with_answer": Message(
        "", "The conversation begins with an answer (message {turn}).", "Put the question before it, or drop the row."
    ),
    "checks.tool_first": Message(
        "", "A tool answers in message {turn}, and nobody called it.", "Add the assistant's call, or drop the row."
    ),
    "checks.same_role_twice": Message(
        "",
        "The {role} speaks twice in a row (message {turn}).",
        "Join the two messages, or add what is missing between.",
    ),
    "checks.unanswered_end": Message(
        "", "The last message is from the {role}, and nothing answers it.", "Add the answer, or cut the message off."
    ),
    "checks.same_answers": Message(
        "", "The preferred and the rejected answer are the same.", "Drop the row: nothing can be told apart."
    ),
    "checks.media": Message(
        "",
        "The row has media ({kinds}), which no stage of this version learns from; they are kept.",
        "Train on its text alone, or drop the row.",
    ),
    "checks.control_characters": Message(
        "", "The text holds {count} control characters, the first is {character}.", "Clean the row, or drop it."
    ),
    "checks.mojibake": Message(
        "", "'{text}' looks like text read in the wrong encoding; it may have been '{better}'.", "Clean the row."
    ),
    "checks.lost_characters": Message(
        "", "'{text}' stands where characters were lost.", "Read the source with its own encoding, or drop the row."
    ),
    "checks.repetition": Message(
        "", "A text repeats itself: packed, {share} of it is left.", "Drop the row unless the repetition is meant."
    ),
    "checks.very_long": Message(
        "", "The row has {characters} characters, more than {limit}.", "Split it, or drop it if it is a mistake."
    ),
    "checks.probably_too_long": Message(
        "",
        "{characters} characters come to about {tokens} tokens, some {over} more than {limit}.",
        "Raise the maximum length, split the row, or choose a model so that tokens are counted.",
    ),
    "checks.too_long": Message(
        "", "The row has {tokens} tokens, {over} more than {limit}.", "Raise the maximum length, or split the row."
    ),
    "checks.private": Message(
        "",
        "What looks like private data stands in it ({kinds}; {count} in all).",
        "Look at it; mask it or drop the row.",
    ),
    "checks.duplicate": Message("", "It reads the same as row {first} (line {line_of_first}).", "Remove duplicates."),
    "checks.near_duplicate": Message(
        "",
        "It is nearly the same as row {first} (line {line_of_first}): likeness {share}.",
        "Remove near duplicates, or keep it if the difference matters.",
    ),
    "checks.leak": Message(
        "", "The same row is number {other} of the held-out version {version}.", "Drop it here, or there."
    ),
    "checks.leak_same": Message("", "The same row stands in a version that is held out.", "Drop it here, or there."),
    "checks.near_leak": Message(
        "",
        "It is nearly the same as row {other} of the held-out version {version}: likeness {share}.",
        "Drop it here, or there.",
    ),
    "checks.other_language": Message(
        "", "The row seems to be in '{language}', while most are in {main}.", "Drop it unless the mix is meant."
    ),
    "checks.unbalanced": Message(
        "",
        "'{most}' has {most_rows} rows and '{least}' only {least_rows}.",
        "Add rows of the rare one, or weigh them when you train.",
    ),
    "checks.one_label": Message(
        "", "All {rows} rows are labelled '{label}'.", "Add rows with the other label: both are needed."
    ),
}
