"""What can be wrong with an instance that answers requests, and with requests."""

from engine.contract.messages.base import Message

SERVING: dict[str, Message] = {
    "serve.from_scratch": Message(
        "", "A model with fresh weights has learned nothing it could answer.", "Choose a model that was trained."
    ),
    "serve.name_taken": Message(
        "", "The name '{name}' is taken already, by {by}.", "Give each adapter a name of its own; auto is the router's."
    ),
    "serve.idle": Message(
        "Nobody asked for {minutes} minutes: it ended.", "", "Start it again, or raise idle_minutes; 0 never ends it."
    ),
    "serve.no_model": Message("No model was named.", "", "Name one: --model demo, or --run RUN for what a run made."),
    "serve.bad_key": Message(
        "The key cannot be used.", "It needs 16 to 200 visible ASCII characters.", "Choose another, or leave it out."
    ),
    "serve.adapter_unfit": Message(
        "",
        "'{value}' is neither a .lora.arrow file nor the folder of an adapter.",
        "Choose outputs/adapter or a checkpoint of a run, a .lora.arrow file, or leave it out.",
    ),
    "serve.not_serving": Message(
        "The run '{run}' does not serve a model.", "It is of the kind {kind}.", "Choose a run of the kind serve."
    ),
    "serve.not_ready": Message(
        "The instance '{run}' does not answer yet.", "It is {state}.", "Wait until it is ready, or start it."
    ),
    "serve.unreachable": Message(
        "The instance '{run}' cannot be reached.", "{detail}", "Look at its log; start it again if it hangs."
    ),
    "serve.no_key": Message("The instance '{run}' has no key {id}.", "", "List its keys: forge serve keys {run}."),
    "serve.too_many_keys": Message(
        "The instance '{run}' has {count} keys already.", "", "Revoke one that is not used any more."
    ),
    "serve.open_to_all": Message(
        "",
        "Without keys everyone who reaches {host} could ask.",
        "Set host to 127.0.0.1, or open to false and make keys.",
    ),
}
