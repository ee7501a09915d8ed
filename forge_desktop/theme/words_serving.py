"""Words of instances that serve a model."""

SERVING_WORDS = {
    "choice.serve": "Server",
    "phase.serving": "Serving",
    "unit.kB": "kB",
}
