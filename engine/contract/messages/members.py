"""What does not go with several processes that train one run, and what becomes of one of them."""

from engine.contract.messages.base import Message

MEMBERS: dict[str, Message] = {
    "config.processes_gpus": Message(
        "",
        "On GPUs there is one process for each; {processes} processes share the work on a processor only.",
        "Set compute.gpus to 0, or to the number of GPUs and compute.processes to 1.",
    ),
    "config.strategy_alone": Message(
        "",
        "There is nothing to share among one process, and {strategy} shares.",
        "Set compute.gpus (or, with gpus: 0, compute.processes) to 2 or more, or strategy to ddp.",
    ),
    "config.members_rows": Message(
        "",
        "{members} processes share the rows of a micro batch, and it has {rows}.",
        "Set training.micro_batch_size to {members} or more: it counts the rows of all together.",
    ),
    "config.parted": Message(
        "",
        "With strategy {strategy} each member has a part of what learns, and '{value}' needs all of it.",
        "Choose: {choices}; or set compute.strategy to ddp.",
    ),
    "config.zero_form": Message(
        "",
        "With strategy {strategy} DeepSpeed updates numbers of 32 bits, and '{value}' asks for others.",
        "Choose: {choices}; or set compute.strategy to ddp or fsdp2.",
    ),
    "config.too_few_gpus": Message(
        "", "The run asks for {wanted} GPUs on one node, and {node} has {gpus}.", "Set compute.gpus to {gpus} or less."
    ),
    "config.members_stage": Message(
        "",
        "The stage {stage} writes answers in every step, and they are not shared among several yet.",
        "Use one GPU or process.",
    ),
    "config.members_alone": Message(
        "",
        "{setting}: {value} works in one process only, and this run is trained by several.",
        "Set {setting} to {instead}, or use one GPU or process.",
    ),
    "config.members_loss": Message(
        "",
        "With the loss {loss} of {stage} the rows that pass together belong together: shared among several it would be "
        "another loss.",
        "Use one GPU or process, or another loss.",
    ),
    "worker.member_lost": Message(
        "Member {member} of the run ended in the middle of its work ({how}).",
        "The processes of a run learn together: without one of them the others cannot go on. One that was killed was, "
        "most often, short of memory.",
        "Its own log is '{log}' beside the worker's; lower micro_batch_size or use fewer processes or GPUs.",
    ),
    "worker.member_hung": Message(
        "Member {member} of the run did not come.",
        "The others waited {minutes} min for it within a step.",
        "Start the run again; raise compute.wait_minutes if steps may take so long.",
    ),
}
