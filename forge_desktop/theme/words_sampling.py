"""The English words of datasets that a model makes: its stage, and which answers are kept."""

SAMPLING_WORDS = {
    "phase.sampling": "Sampling answers",
    "stage.sampling": "Sampling",
    "phase.comparing": "Asking the base model",
    "stage.reading": "Reading",
    "stage.checking": "Checking",
    "stage.comparing": "Base model",
    "choice.sample": "Answers of a model",
    "choice.all": "All answers",
    "choice.best_n": "The best of each question",
    "choice.threshold": "From a least reward on",
    "choice.best_worst": "Pairs of best and worst",
}
