"""What the desktop itself has to say."""

from engine.contract.messages.base import Message

DESKTOP: dict[str, Message] = {
    "desktop.bug": Message("Something went wrong in the window.", "{detail}", "Please report it; your runs are safe."),
    "desktop.file_unwritable": Message("'{file}' could not be written.", "{detail}", "Choose another folder."),
    "preset.nameless": Message(
        "", "A template needs a name of 1 to {longest} signs.", "Write it in the first line: template: My recipe."
    ),
    "preset.foreign": Message(
        "",
        "This setting belongs to a run, to its model or to its rows; a template does not decide it.",
        "Take the line out of the file.",
    ),
}
