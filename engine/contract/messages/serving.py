"""What can be wrong with an instance that answers requests, and with requests."""

from engine.contract.messages.base import Message

SERVING: dict[str, Message] = {
    "serve.from_scratch": Message(
        "", "A model with fresh weights has learned nothing it could answer.", "Choose a model that was trained."
    ),
    "serve.name_taken": Message(
        "", "The name '{name}' is taken already, by {by}.", "Give each adapter a name of its own; auto is the router's."
    ),
    "serve.open_to_all": Message(
        "",
        "Without keys everyone who reaches {host} could ask.",
        "Set host to 127.0.0.1, or open to false and make keys.",
    ),
}
