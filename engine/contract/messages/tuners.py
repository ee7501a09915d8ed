"""What can be wrong with the choice of weights that are trained."""

from engine.contract.messages.base import Message

TUNERS: dict[str, Message] = {
    "config.tuner_refused": Message(
        "The method {tuner} cannot be used on this model as it is set.",
        "{detail}",
        "Change the setting named, or choose other target modules (tuner.targets) or another method (tuner.kind).",
    ),
    "config.module_unknown": Message(
        "The model has no module '{module}' to be trained whole.",
        "",
        "Did you mean {near}? Change tuner.modules_to_save.",
    ),
    "config.freeze_nothing": Message(
        "", "No layer and no module would be trained.", "Set layers, or name modules in modules_to_save."
    ),
    "config.new_tokens_tuner": Message(
        "",
        "With {tuner}, as the base weights are held, no rows of the embeddings are there that could learn new tokens.",
        "Leave new_tokens empty, or choose one of these without fewer bits: {able}.",
    ),
    "config.new_tokens_init": Message(
        "", "{init} changes how the result is written, which then has no place for new tokens.", "Set init to default."
    ),
    "config.new_tokens_stage": Message(
        "",
        "With the stage {stage} the model is held to another vocabulary, or has no words of its own.",
        "Leave new_tokens empty.",
    ),
    "config.token_text": Message(
        "", "'{token}' cannot be a new token: it is blank, or too long.", "Take 1 to {most} characters."
    ),
    "config.token_known": Message(
        "The model has the token '{token}' already.",
        "It is number {number} of its vocabulary.",
        "Take it out of tuner.new_tokens, or name it in tuner.tokens.",
    ),
    "config.token_described": Message(
        "The description of the token '{token}' has no tokens.",
        "'{words}' becomes none.",
        "Write words in tuner.new_tokens, or leave it empty for the mean of all.",
    ),
    "config.lisa_layers": Message(
        "", "LISA draws layers from all of them, and {layers} is no number of layers.", "Set layers to 1 or more."
    ),
    "config.pro_blocks": Message(
        "{blocks} new blocks are to be added, and the model has {have} of its own.",
        "At most one comes behind each.",
        "Set tuner.blocks to {have} at most.",
    ),
    "config.pro_unfit": Message(
        "LLaMA-Pro does not fit this model.",
        "A new block that should change nothing changes what {architecture} answers.",
        "Choose another method (tuner.kind), such as lora or freeze.",
    ),
    "config.freeze_layers": Message(
        "{layers} layers are to be trained, and the model has {have}.", "", "Set tuner.layers to {have} at most."
    ),
    "config.option_unknown": Message(
        "", "The method {tuner} has no option '{option}'.", "Did you mean '{near}'? It has: {known}."
    ),
    "config.option_unknown_plain": Message("", "The method {tuner} has no option '{option}'.", "It has: {known}."),
    "config.option_type": Message("", "'{value}' does not suit the option '{option}'.", "It takes: {type}."),
    "config.init_with_dora": Message(
        "", "DoRA cannot begin with {init}: both change what the base model's weights mean.", "Set init to default."
    ),
    "config.loftq_bits": Message(
        "",
        "LoftQ makes up for what 4 bits lose, and the base weights are held as {held}.",
        "Set tuner.kind to qlora or model.quantisation to 4bit, or set init to default.",
    ),
    "config.init_for_stage": Message(
        "",
        "{init} begins with the gradient of predicting the rows' own tokens, which is not what {stage} learns.",
        "Set init to default, pissa or corda.",
    ),
    "config.adalora_steps": Message(
        "AdaLoRA's phases do not fit into the run.",
        "{tinit} steps before, {tfinal} steps after, and {steps} steps in all leave none in which ranks go.",
        "Set tuner.tinit or tuner.tfinal lower, or train more steps (training.epochs, training.max_steps).",
    ),
    "config.adalora_rank": Message(
        "", "AdaLoRA goes from rank {rank} to {target}, which is not lower.", "Set target_rank below tuner.rank."
    ),
    "config.prompt_text": Message(
        "", "The virtual tokens are to begin as a text, and there is none.", "Set prompt_text, or prompt_init=random."
    ),
    "config.tokens_needed": Message(
        "", "No token is named whose embedding is to learn.", "Name tokens in tuner.tokens."
    ),
    "config.token_not_single": Message(
        "'{token}' is no single token of this model.",
        "Its tokenizer makes {count} of it: {pieces}.",
        "Name tokens of the vocabulary in tuner.tokens.",
    ),
    "config.token_no_row": Message(
        "'{token}' has the number {number}, and the model has embeddings for {rows} tokens.",
        "The tokenizer knows more tokens than the model.",
        "Take the token out of tuner.tokens.",
    ),
    "config.virtual_length": Message(
        "Rows of {length} tokens and {tokens} virtual tokens are more than the model's context of {most}.",
        "",
        "Set data.max_length to {rest} at most, or tuner.virtual_tokens lower.",
    ),
    "config.prefix_checkpointing": Message(
        "",
        "Prefix tuning puts its prefix into the key-value cache, which gradient checkpointing does without.",
        "Set gradient_checkpointing=false, or tuner.kind to prompt_tuning or p_tuning.",
    ),
    "config.tuner_for_stage": Message(
        "",
        "The method {tuner} puts virtual tokens before every row, and the stage {stage} cannot do with them yet.",
        "Set tuner.kind to lora, or choose a stage that predicts tokens.",
    ),
    "config.init_rank": Message(
        "{init} cannot begin: rank {rank} is too high for the module {module}.",
        "",
        "Set tuner.rank, or its value in tuner.rank_pattern, to {most} at most, or leave it out of tuner.targets.",
    ),
    "config.init_nothing": Message(
        "{init} cannot begin: of the {rows} rows it looked at none teaches a token.",
        "",
        "Set tuner.init_rows higher, or tuner.init to default.",
    ),
    "config.init_weight": Message(
        "LoftQ cannot begin: the model's files have no weight {weight}.",
        "It needs the weights as they were before they were held in 4 bits.",
        "Set tuner.init to default.",
    ),
    "config.low_rank_adapter": Message(
        "",
        "The optimiser {optimizer} works on the model's own matrices, and here only an adapter learns.",
        "Set tuner.kind to full or freeze, or choose another optimiser.",
    ),
    "config.plus_with_optimizer": Message(
        "", "LoRA+ cannot be had with the optimiser {optimizer}.", "Empty tuner.plus_ratio, or choose an AdamW."
    ),
    "config.nesterov_alone": Message(
        "", "Nesterov's momentum needs a momentum above 0.", "Set momentum, such as 0.9, or nesterov=false."
    ),
    "config.quantised_tuner": Message(
        "", "The method {tuner} cannot be had with base weights held as {held}.", "Choose one of {known}, or none here."
    ),
    "config.quantised_init": Message(
        "", "{init} takes its beginning out of the weights, and those are held as {held}.", "Set init to default."
    ),
    "package.missing": Message(
        "{used_for} needs the package '{package}', which the worker's environment does not have.",
        "",
        "Install it there with `pip install {install}`, or choose something else at {field}.",
    ),
    "package.needs_cuda": Message(
        "{used_for} works on NVIDIA GPUs only, and this run has none.", "", "Choose something else at {field}."
    ),
}
