"""What can be wrong with the teacher that a model learns from."""

from engine.contract.messages.base import Message

TEACHER: dict[str, Message] = {
    "teacher.none": Message(
        "",
        "The stage {stage} learns from a teacher, and none is named.",
        "Set teacher.path to a model with the same vocabulary.",
    ),
    "teacher.itself": Message(
        "",
        "The teacher '{value}' is the model that learns: they never differ, so nothing is learned.",
        "Name a larger model, or an adapter in teacher.adapter.",
    ),
    "teacher.adapter_unfit": Message(
        "",
        "The folder '{value}' holds no adapter: {file} is missing.",
        "Choose the folder outputs/adapter of a run, or leave teacher.adapter empty.",
    ),
    "teacher.vocabulary": Message(
        "The teacher speaks another vocabulary.",
        "The tokenizers of the teacher '{teacher}' and of the model differ: {detail}. Their predictions cannot be "
        "compared token by token.",
        "Choose as teacher.path a model of the same family, whose tokenizer is the same.",
    ),
    "teacher.adapter_failed": Message(
        "The teacher's adapter cannot be used.",
        "'{path}': {detail}",
        "Choose an adapter that was trained on the teacher and writes text, or leave teacher.adapter empty.",
    ),
}
