"""The English words of models that begin with fresh weights: families, tokenizers, and the curves of experts."""

SCRATCH_WORDS = {
    "phase.making_model": "Making the model",
    "stage.making_model": "Making the model",
    "choice.scratch": "From scratch",
    "choice.llama": "Llama (dense)",
    "choice.qwen3": "Qwen3 (dense)",
    "choice.qwen3_moe": "Qwen3 (experts)",
    "choice.deepseek_v3": "DeepSeek (MLA, experts)",
    "choice.trained": "Trained on the rows",
    "choice.base": "Of a bundled model",
    "choice.folder": "Of a folder",
    "choice.bpe": "BPE (bytes)",
    "choice.unigram": "Unigram",
    "choice.wordpiece": "WordPiece",
    "metric.balance_loss": "Balance of experts",
    "metric.expert_load/most": "Busiest expert",
    "metric.expert_load/idle": "Idle experts",
}
