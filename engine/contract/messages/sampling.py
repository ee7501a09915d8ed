"""What can be wrong with a dataset that a model is to make, and what is told of it."""

from engine.contract.messages.base import Message

SAMPLING: dict[str, Message] = {
    "sample.from_scratch": Message(
        "", "A model with fresh weights has learned nothing it could answer.", "Choose a model that was trained."
    ),
    "sample.no_rewards": Message(
        "",
        "Answers are to be chosen by their rewards (choose: {choose}), and there is no reward.",
        "Add one to rewards, or set choose to all.",
    ),
    "sample.keep_too_many": Message(
        "", "The {keep} best of {answers} answer(s) are to be kept.", "Lower keep or raise answers."
    ),
    "sample.one_answer": Message("", "A pair needs two answers to the same question.", "Set answers to 2 or more."),
    "sample.all_alike": Message(
        "",
        "At temperature 0 all {answers} answers to a question are the same.",
        "Set answers to 1, or temperature to about 1.",
    ),
    "sample.no_room": Message(
        "",
        "Answers may be {answer} tokens long and whole rows {length}: nothing is left for the question.",
        "Lower max_tokens or raise max_length.",
    ),
    "sample.adapter_unfit": Message(
        "",
        "The folder '{value}' holds neither an adapter nor the weights of a checkpoint.",
        "Choose the folder outputs/adapter or a checkpoint of a run, or leave adapter empty.",
    ),
    "model.adapter_failed": Message(
        "The adapter or checkpoint cannot be used.",
        "'{path}': {detail}",
        "Choose one that was trained on this model and writes text, or leave adapter empty.",
    ),
    "data.asks_nothing": Message(
        "The dataset asks nothing.",
        "Its rows are of the format {format}, which has no question that could be answered.",
        "Choose a dataset of prompts, conversations, preferences or judged answers.",
    ),
    "data.questions_too_long": Message(
        "No question leaves room for an answer.",
        "Each of the {rows} question(s) has more than {room} tokens, which is what max_length ({length}) leaves with "
        "answers of {answer} tokens.",
        "Raise max_length or lower max_tokens.",
    ),
    "data.nothing_sampled": Message(
        "Not one answer was kept.",
        "Of {answers} answer(s) to {questions} question(s), {cut} were cut at the longest length, {empty} were empty, "
        "{refused} were not chosen, {unjudged} no reward judged; {alike} question(s) gave no pair.",
        "Raise max_tokens or set keep_cut to true where many were cut; lower threshold or margin where few were "
        "chosen; raise answers or temperature where all are alike.",
    ),
    "memory.sampling": Message(
        "Memory ran out.",
        "The model and {size} answer(s) at once do not fit.",
        "Set batch_size to {smaller}; a smaller max_tokens, max_length and fewer bits (model.quantisation) save more.",
    ),
    "sample.one_model": Message(
        "No model was chosen, or more than one.",
        "It is named by --model, with --adapter where it has one, or by --run.",
        "Give either --model or --run.",
    ),
    "sample.no_list": Message(
        "'{path}' holds no rewards.",
        "A list was expected, by itself or as rollouts.rewards of a run's config.",
        "Write `- kind: accuracy` and the like.",
    ),
    "sample.run_taught_nothing": Message(
        "The run '{name}' taught no model.", "Only a training run leaves one that could answer.", "Choose another run."
    ),
    "sample.no_result": Message(
        "The run '{name}' has no result.", "It left neither an adapter nor a model.", "Name one of its checkpoints."
    ),
    "sample.no_checkpoint": Message(
        "The run '{name}' has no checkpoint of step {step}.", "Its checkpoints are of the steps {known}.", "Choose one."
    ),
    "sample.goes_on": Message(
        "Sampling goes on with question {question} of {questions}.", "An earlier attempt has kept {rows} row(s)."
    ),
    "sample.begins_anew": Message(
        "Sampling begins anew.", "The model, the questions or the settings have changed since the last attempt."
    ),
    "sample.cut": Message(
        "{cut} of {answers} answer(s) were cut at the longest length and left out.",
        "They have no end a model could learn.",
        "Raise max_tokens, or set keep_cut to true.",
    ),
    "sample.too_long": Message(
        "{rows} question(s) were left out.",
        "They leave no room for an answer.",
        "Raise max_length or lower max_tokens.",
    ),
    "sample.made": Message("{rows} row(s) of '{name}' were made of {answers} answer(s) to {questions} question(s)."),
}
