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
