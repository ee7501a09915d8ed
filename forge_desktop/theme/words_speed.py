"""Names of what makes training faster, or lets it take other paths through a model."""

SPEED_WORDS: dict[str, str] = {
    "choice.packed": "Packed",
    "choice.padding_free": "Without filling",
    "choice.lisa": "LISA",
    "choice.llama_pro": "LLaMA-Pro",
    "method.lisa": "A few random layers learn at a time: far less memory than training all weights.",
    "method.llama_pro": "New blocks that change nothing at first; only they learn.",
    "choice.dynamic": "Dynamic (NTK)",
    "choice.yarn": "YaRN",
    "choice.llama3": "Llama 3",
}
