"""What is said about the formats of datasets: why one was taken, and why a row does not fit it."""

from engine.contract.messages.base import Message

DATASETS_FORMATS: dict[str, Message] = {
    "format.turns": Message("The column '{column}' holds messages with '{role}' and '{content}'."),
    "format.sides": Message("The column '{column}' holds exchanges with {keys}."),
    "format.named": Message("It has the columns {columns}."),
    "format.mapped": Message("The mapping names the columns {columns}."),
    "format.given": Message("It was chosen by hand."),
    "format.of_version": Message("The version was imported so."),
    "format.rejected": Message("The column '{column}' holds answers that were rejected."),
    "format.verdict": Message("The column '{column}' says of each answer whether it is good."),
    "format.pair": Message("The columns '{anchor}' and '{positive}' hold texts that belong together."),
    "format.class": Message("The column '{column}' gives the class of each text."),
    "format.text": Message("The column '{column}' holds texts, and no column asks or answers."),
    "format.unanswered": Message("The column '{column}' asks, and nothing answers."),
    "inspect.encoding_given": Message("The encoding is given."),
    "inspect.encoding_marked": Message("A mark at the beginning names the encoding."),
    "inspect.encoding_zeros": Message("Every second byte is zero, as in UTF-16."),
    "inspect.encoding_utf8": Message("The beginning is valid UTF-8."),
    "inspect.encoding_chinese": Message("The beginning is no UTF-8 and reads well as GB18030 (GBK)."),
    "inspect.encoding_unknown": Message("The beginning is in no encoding that is known here."),
    "data.other_format": Message(
        "",
        "The row looks like {found}, not like {format}; its columns are: {columns}.",
        "Keep rows of one format in a file, or remove this one.",
    ),
    "data.turn_keys": Message(
        "",
        "No key of the message says who speaks; its keys are: {keys}.",
        "Name the key of the role in the column mapping.",
    ),
    "data.bad_history": Message(
        "",
        "'{column}' is no list of pairs of question and answer.",
        'Write [["question", "answer"], …], or leave it empty.',
    ),
    "data.bad_tools": Message(
        "", "A tool in '{column}' is a {found}, not a JSON object with a name.", "Write tools as JSON schemas."
    ),
    "data.bad_train_key": Message(
        "", "'{key}' is '{value}', which says neither yes nor no.", "Write true or false (or 1 or 0)."
    ),
    "data.bad_verdict": Message(
        "", "'{column}' is '{value}', which says neither good nor bad.", "Write true or false."
    ),
    "data.bad_score": Message("", "'{column}' is '{value}', which is no number.", "Write a number, or remove it."),
    "data.bad_label": Message("", "'{column}' is a {found}, not a class.", "Write a name, a number or a list of them."),
    "data.no_chosen": Message(
        "",
        "There is an answer that was rejected in '{column}' and none that was preferred.",
        "Add the better answer as 'chosen', or as the last message.",
    ),
    "data.not_for_stage": Message(
        "The rows are not for this stage.",
        "Line {line} is read as {format}, which the stage {stage} cannot learn from.",
        "Choose another dataset, another format if the rows are really something else, or a stage that can: {able}.",
    ),
    "data.media_not_trained": Message(
        "Images, audio or videos are not learned.",
        "{rows} rows of '{name}' have some; of these rows only the text is learned.",
    ),
}
