"""What is to be said where memory ran out."""

from engine.contract.messages.base import Message

MEMORY: dict[str, Message] = {
    "memory.asks": Message(
        "Memory ran out; the run waits for your choice.",
        "What it has learned up to its last checkpoint is kept.",
        "Choose what to lower, then go on: in its page, or with `forge resume --rung`.",
    ),
    "memory.nothing_left": Message(
        "Memory ran out, and nothing is left to lower.",
        "One row at once with gradient checkpointing does not fit either.",
        "Use a smaller model, a lower rank, or a device with more memory.",
    ),
    "memory.rung_unknown": Message(
        "'{rung}' cannot be lowered for this run.", "Offered are: {offered}.", "Choose one of these."
    ),
    "memory.lowered_parts": Message(
        "Memory ran out: a micro batch now passes in more parts.",
        "{changes}; by the estimate this saves {saved}. The mathematics stays the same, a step takes a little longer.",
        "",
    ),
    "memory.lowered_checkpointing": Message(
        "Memory ran out: activations are now computed again in the backward pass.",
        "{changes}; by the estimate this saves {saved}. The mathematics stays the same, a step takes about a third "
        "longer.",
        "",
    ),
    "memory.lowered_8bit": Message(
        "Memory ran out: the optimiser's state is now held in 8 bits.",
        "{changes}; by the estimate this saves {saved}. Steps are coarser, and what the optimiser had gathered begins "
        "anew.",
        "",
    ),
    "memory.lowered_length": Message(
        "Memory ran out: rows are now cut at half their length.",
        "{changes}; by the estimate this saves {saved}. What is cut is not learned.",
        "",
    ),
    "memory.lowered_4bit": Message(
        "Memory ran out: the base weights are now held in 4 bits.",
        "{changes}; by the estimate this saves {saved}. The arithmetic is coarser.",
        "",
    ),
}
