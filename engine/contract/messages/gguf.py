"""What can go wrong when a model or an adapter is written for llama.cpp."""

from engine.contract.messages.base import Message

GGUF: dict[str, Message] = {
    "gguf.missing": Message(
        "Files for llama.cpp cannot be written.",
        "The package gguf is missing in the worker's environment.",
        "Install it there: pip install gguf.",
    ),
    "gguf.name": Message("'{path}' is no name for such a file.", "It does not end with .gguf.", "Name it NAME.gguf."),
    "gguf.exists": Message("'{path}' is there already.", "", "Choose another name, or remove it first."),
    "gguf.family": Message(
        "The model '{path}' cannot be written for llama.cpp here.",
        "It is of the family {kind}; known are {known}.",
        "Use llama.cpp's own converter for it.",
    ),
    "gguf.rope": Message(
        "The model '{path}' cannot be written for llama.cpp here.",
        "Its positions are stretched ({way}).",
        "Use llama.cpp's own converter for it.",
    ),
    "gguf.window": Message(
        "The model '{path}' cannot be written for llama.cpp here.",
        "Its layers look at the last {window} tokens only, llama.cpp's would look at all.",
        "Have torch compute it, or use llama.cpp's own converter.",
    ),
    "gguf.tensor": Message(
        "The model cannot be written for llama.cpp.",
        "llama.cpp's {family} has no place for '{name}'.",
        "Use llama.cpp's own converter for it.",
    ),
    "gguf.tokenizer": Message(
        "The tokenizer of '{path}' cannot be written for llama.cpp here.",
        "Only byte-level BPE of a tokenizer.json is; found: {detail}.",
        "Use llama.cpp's own converter for it.",
    ),
    "gguf.adapter": Message(
        "The adapter cannot be written for llama.cpp.",
        "{count} of its parts are more than two matrices of a linear layer (DoRA, biases, embeddings, whole modules), "
        "such as {first}.",
        "Merge it into its base model (forge adapter merge --into), and write that.",
    ),
    "gguf.no_base": Message(
        "It is not known which base model the adapter is for.", "", "Name the base model's folder: --base MODEL."
    ),
}
