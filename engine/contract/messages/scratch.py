"""What can be wrong with a model that begins with fresh weights, and with its tokenizer."""

from engine.contract.messages.base import Message

SCRATCH: dict[str, Message] = {
    "scratch.stage": Message(
        "",
        "A model with fresh weights knows no words yet: the stage {stage} needs one that does.",
        "Set stage to pretrain, or choose a base model.",
    ),
    "scratch.tuner": Message(
        "",
        "The method {tuner} leaves most weights as they are, and fresh weights say nothing.",
        "Set tuner.kind to full, or choose a base model.",
    ),
    "scratch.heads": Message(
        "",
        "The hidden size {hidden} is no multiple of {heads} heads, and no head size is set.",
        "Set scratch.heads to {below}, or set scratch.head_size.",
    ),
    "scratch.kv_heads": Message(
        "",
        "{heads} heads cannot be shared out among {kv_heads} heads of keys and values.",
        "Set scratch.kv_heads to {below}.",
    ),
    "scratch.odd": Message(
        "",
        "Rotary positions turn pairs of numbers, and a head of {size} has an odd one.",
        "Make it {fix}.",
    ),
    "scratch.experts": Message(
        "",
        "{chosen} experts are to work on a token, and there are {experts}.",
        "Set scratch.experts_per_token to {experts} or fewer.",
    ),
    "scratch.dense_layers": Message(
        "", "{dense} dense layers are to come first, and there are {layers}.", "Set scratch.dense_layers to fewer."
    ),
    "scratch.context": Message(
        "",
        "Rows may be {longest} tokens long, and the model is made for {context}.",
        "Set data.max_length to {context} or less, or raise scratch.context.",
    ),
    "scratch.no_tokenizer": Message(
        "",
        "The tokenizer is to come from '{tokenizer}', and none is named.",
        "Set scratch.tokenizer_path, or scratch.tokenizer to trained.",
    ),
    "scratch.tokenizer_missing": Message(
        "",
        "The folder '{value}' has no tokenizer.",
        "Choose in scratch.tokenizer_path a folder with tokenizer.json or tokenizer.model.",
    ),
    "scratch.special_tokens": Message(
        "",
        "The special token '{token}' is empty or stands there twice.",
        "Name each of scratch.special_tokens once.",
    ),
    "scratch.vocabulary_bytes": Message(
        "",
        "A vocabulary of {vocabulary} cannot hold 256 bytes and {special} special tokens.",
        "Set scratch.vocabulary to {least} or more.",
    ),
    "scratch.vocabulary_special": Message(
        "",
        "A vocabulary of {vocabulary} cannot hold {special} special tokens and the unknown one.",
        "Set scratch.vocabulary to {least} or more.",
    ),
    "scratch.vocabulary_too_large": Message(
        "The vocabulary is too large for the rows.",
        "The rows of the run give {made} tokens at most, and scratch.vocabulary asks for {wanted}.",
        "Set scratch.vocabulary to {made} or less, or give more text.",
    ),
    "scratch.vocabulary_too_small": Message(
        "The vocabulary is too small for the rows.",
        "The rows have {letters} different characters, and scratch.vocabulary allows {wanted} tokens.",
        "Set scratch.vocabulary to {least} or more, or scratch.algorithm to bpe, which works on bytes.",
    ),
    "scratch.nothing_to_read": Message(
        "A tokenizer cannot be trained.",
        "The training rows have no text.",
        "Choose rows with text, or set scratch.tokenizer to base or folder.",
    ),
    "scratch.no_end_token": Message(
        "The tokenizer cannot be used for a new model.",
        "The tokenizer of '{path}' names no token that ends a text.",
        "Choose another in scratch.tokenizer_path, or set scratch.tokenizer to trained.",
    ),
    "scratch.trained": Message(
        "A tokenizer was trained.",
        "{algorithm}, {tokens} tokens from {rows} rows; {per_token} characters a token.",
    ),
    "scratch.unknown": Message(
        "The tokenizer does not know all of the text.",
        "{percent}% of the tokens of the rows are unknown to it.",
        "Raise scratch.vocabulary, or set scratch.algorithm to bpe, which works on bytes.",
    ),
    "scratch.made": Message(
        "A model with fresh weights was made.",
        "{family}: {total} parameters, of which {active} work on a token; seed {seed}.",
    ),
}
