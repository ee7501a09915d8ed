"""What can be wrong with rewards and with answers a model samples to learn from."""

from engine.contract.messages.base import Message

REWARDS: dict[str, Message] = {
    "rewards.none": Message(
        "", "The stage {stage} learns from rewards, and there is none.", "Add one: accuracy and format are usual."
    ),
    "rewards.no_weight": Message("", "All rewards have the weight 0.", "Give one of them another weight."),
    "rewards.no_room": Message(
        "",
        "Answers may be {answer} tokens long and whole rows {length}: nothing is left for the question.",
        "Lower rollouts.max_tokens or raise data.max_length.",
    ),
    "rewards.file_needed": Message("", "No Python file is named.", "Give its path."),
    "rewards.model_needed": Message("", "No reward model is named.", "Give the folder the stage reward left."),
    "rewards.out_of_range": Message("", "{option} is {value}.", "It may be {limits}."),
    "rewards.one_form": Message("", "The form needs a pattern or a preset, one of the two.", "Presets are: {presets}."),
    "rewards.bad_pattern": Message("", "The pattern is no regular expression: {detail}.", "Correct it."),
    "rewards.file_not_python": Message("", "The file is no Python: {detail} (line {row}).", "Correct it."),
    "rewards.no_function": Message(
        "", "The file has no function '{function}'.", "Name it so, or set the option function. It has: {known}."
    ),
    "rewards.model_unfit": Message("", "The folder '{value}' holds no model.", "Choose one the stage reward left."),
    "rewards.file_broken": Message(
        "The reward file cannot be used.",
        "'{path}' ended while it was loaded: {detail}",
        "Correct the file; `forge reward preview` tries it without training.",
    ),
    "rewards.file_raised": Message(
        "The reward file broke off.",
        "'{path}' raised on the answers to line {line}: {detail}",
        "Correct the file; `forge reward preview` tries it without training.",
    ),
    "rewards.file_slow": Message(
        "The reward file took too long.",
        "'{path}' had not answered for line {line} after {seconds} s.",
        "It may loop. Make it quicker, or raise the option seconds.",
    ),
    "rewards.file_prints": Message(
        "The reward file prints too much.",
        "'{path}' had printed {bytes} bytes when it came to line {line}.",
        "Take the prints out.",
    ),
    "rewards.file_wrong_count": Message(
        "The reward file gave the wrong number of rewards.",
        "'{path}' gave {found} for line {line}, which has {wanted} answers.",
        "Return a list with one number for each answer.",
    ),
    "rewards.file_no_number": Message(
        "The reward file gave something that is no number.",
        "'{path}' gave {found} for answer {answer} to line {line}.",
        "Return finite numbers, or None for an answer that is not to be judged.",
    ),
    "rewards.no_answer_column": Message(
        "There is no right answer to compare with.",
        "Line {line} has no column '{column}'. It has: {known}.",
        "Set the option column of the reward, or choose rows with answers.",
    ),
    "rewards.model_failed": Message(
        "The reward model cannot be used.", "'{path}': {detail}", "Choose a folder the stage reward left."
    ),
    "rewards.pattern_slow": Message(
        "The pattern of a reward took too long.",
        "'{pattern}' had not been matched against an answer to line {line} after {seconds} s.",
        "Repetitions inside repetitions take for ever on some texts; write it without them.",
    ),
}
