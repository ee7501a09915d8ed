"""What is said of settings that are allowed and far from what is common."""

from engine.contract.messages.base import Message

UNUSUAL: dict[str, Message] = {
    "unusual.rank": Message(
        "",
        "Unusual: a rank of {rank} is more than the model is wide ({hidden}), and a rank of {hidden} learns as much.",
        "Lower tuner.rank, or set tuner.kind to full.",
    ),
    "unusual.epochs": Message(
        "",
        "Unusual: after {epochs} epochs (more than {most}) rows are mostly learned by heart.",
        "Lower training.epochs, or watch the validation loss.",
    ),
    "unusual.batch": Message(
        "",
        "Unusual: each step sees one row only, so that steps are noisy.",
        "Raise training.micro_batch_size or training.accumulation; 8 rows a step are common.",
    ),
    "unusual.length": Message(
        "", "Unusual: {share} % of {rows} measured rows are too long and are cut.", "Raise data.max_length."
    ),
    "unusual.beta": Message(
        "", "Unusual: {stage} mostly takes a beta from {low} to {high}, not {beta}.", "Set objective.beta within that."
    ),
    "training.bf16_unused": Message(
        "The device has bf16, and this run does not use it.",
        "training.precision asks for {chosen}: slower and larger than bf16 where it is fp32, less stable where fp16.",
        "Set training.precision to auto.",
    ),
}
