"""Words of instances that serve a model."""

SERVING_WORDS = {
    "choice.torch": "torch",
    "choice.llama_cpp": "llama.cpp",
    "choice.f32": "f32",
    "choice.f16": "f16",
    "choice.q8_0": "q8_0",
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
