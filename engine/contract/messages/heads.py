"""What can be wrong with stages whose model gives classes, vectors or scores."""

from engine.contract.messages.base import Message

HEADS: dict[str, Message] = {
    "heads.joined": Message(
        "", "The text needs {{query}}, and behind it {{document}}.", "Write both names with their braces."
    ),
    "heads.alone": Message(
        "",
        "The loss {loss} compares with texts that do not belong, and here are none: one row at once, no negatives.",
        "Set micro_batch_size to 2 or more, or allow negatives.",
    ),
    "heads.labels_of_number": Message("", "A number has no classes.", "Leave the classes empty."),
    "heads.label_twice": Message("", "The class '{label}' stands twice.", "Name each class once."),
    "heads.one_label": Message("", "With one class there is nothing to tell apart.", "Name two classes or more."),
    "heads.smoothing": Message("", "Classes are smoothed for single_label only, not for {problem}.", "Set it to 0."),
    "heads.weights_of_number": Message("", "A number has no classes to weigh.", "Set class_weights to none."),
    "heads.one_label_found": Message(
        "The training rows have one class only.",
        "Every row has the class '{label}', so there is nothing to tell apart.",
        "Take rows of other classes as well.",
    ),
    "heads.no_negatives": Message(
        "There is nothing to compare with.",
        "Line {line} has no text that does not belong, and a batch holds one row only.",
        "Set micro_batch_size to 2 or more, or give the rows a column 'negative'.",
    ),
    "heads.unbalanced": Message(
        "",
        "The classes are unbalanced: '{most}' has {most_rows} rows, '{fewest}' has {fewest_rows}.",
        "With class_weights: auto all classes weigh alike.",
    ),
    "heads.labels": Message("", "{count} classes: {names}.", ""),
    "data.unknown_label": Message(
        "A class was never learned.",
        "Line {line}: the class '{label}' is none of those that are learned: {known}.",
        "Add training rows of it, name it in the classes, or take the row out.",
    ),
    "data.several_labels": Message(
        "A row has several classes.",
        "Line {line} has {count} classes, and each text may have one.",
        "Set the kind of answer to multi_label, or leave one class in each row.",
    ),
    "data.label_no_number": Message(
        "A label is no number.",
        "Line {line}: '{label}' is no number.",
        "Choose single_label for classes, or write numbers.",
    ),
    "data.several_positives": Message(
        "A row has several second texts.",
        "Line {line} has {count} texts that belong to the first one.",
        "Make a row of each.",
    ),
    "data.score_needed": Message(
        "A row has no score.",
        "Line {line}: the loss {loss} learns how alike two texts are, and the row does not say.",
        "Give the rows a column 'score', or choose another loss.",
    ),
    "data.score_unused": Message(
        "A row has a score.",
        "Line {line}: the loss {loss} takes both texts to belong together, whatever the score is.",
        "Choose the loss {other}, or take the column out.",
    ),
    "data.score_range": Message(
        "A score is out of range.",
        "Line {line}: the score {score} is not between {low} and 1.",
        "Scale the scores.",
    ),
}
