"""Names of what makes training faster, or lets it take other paths through a model."""

SPEED_WORDS: dict[str, str] = {
    "choice.packed": "Packed",
    "choice.padding_free": "Without filling",
    "choice.dynamic": "Dynamic (NTK)",
    "choice.yarn": "YaRN",
    "choice.llama3": "Llama 3",
}
