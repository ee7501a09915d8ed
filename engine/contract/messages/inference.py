"""What can go wrong while the engine answers."""

from engine.contract.messages.base import Message

INFERENCE: dict[str, Message] = {
    "inference.architecture": Message(
        "The engine cannot answer with a model of the architecture {architecture}.",
        "Some of its layers keep something else than keys and values, or see them in another way: {kinds}.",
        "Choose a model whose layers are all of attention.",
    ),
    "inference.closed": Message("The engine is ended.", "", "Start it again."),
    "inference.busy": Message(
        "Too many requests wait.",
        "{waiting} wait, and no more than {limit} may.",
        "Ask again later, or raise the engine's queue or rows.",
    ),
    "inference.no_prompt": Message("There is nothing to answer.", "The prompt has no tokens.", "Say something."),
    "inference.too_long": Message(
        "The prompt and its answer are too long.",
        "{prompt} tokens of the prompt and up to {answer} of the answer are {whole}; at least 1 and at most {most} in "
        "all are possible.",
        "Shorten the prompt, lower max_tokens, or raise the engine's context and blocks.",
    ),
    "inference.no_token": Message(
        "The prompt cannot be read.",
        "{token} is no token of the model: they are 0 to {last}.",
        "Make the tokens with the model's own tokenizer.",
    ),
    "inference.sampling": Message(
        "Tokens cannot be chosen in this way.", "{setting} is {value}; it must be {wanted}.", "Change {setting}."
    ),
    "inference.no_adapters": Message(
        "The adapter '{name}' is not known.", "The engine works without adapters.", "Name none."
    ),
    "inference.no_shapes": Message(
        "Answers of a given shape are not possible here.",
        "The package llguidance is missing in the worker's environment.",
        "Install it there: pip install llguidance.",
    ),
    "inference.no_shapes_here": Message(
        "Answers of a given shape are not possible with this model.",
        "Its tokenizer cannot be followed: {detail}",
        "Choose a model with a fast tokenizer (tokenizer.json).",
    ),
    "inference.shape": Message(
        "The answer cannot have that shape.",
        "{kind}: {detail}",
        "Mend the schema, the expression or the choices.",
    ),
    "inference.timeout": Message(
        "The answer was broken off.",
        "Its stage {stage} may take {seconds} s and took longer.",
        "Raise that limit, ask for fewer tokens, or ask again when fewer requests are at work.",
    ),
    "inference.out_of_memory": Message(
        "Memory ran out while answering.",
        "{rows} requests at once, {blocks} blocks of keys and values, and pieces of {piece} tokens of a prompt did not "
        "fit beside the model.",
        "Lower the engine's rows, blocks or piece, or hold the model in fewer bits.",
    ),
    "inference.broken": Message("The answer was broken off by a bug.", "{detail}", "Please report it with the log."),
}
