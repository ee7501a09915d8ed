"""Words of instances that serve a model."""

SERVING_WORDS = {
    "choice.serve": "Server",
    "phase.serving": "Serving",
    "stage.serving": "Serving",
    "stage.downloading": "Downloading",
    "unit.kB": "kB",
    "scope.inference": "Answers",
    "scope.embeddings": "Embeddings",
    "scope.adapters": "Load adapters",
    "scope.metrics": "Metrics",
}
