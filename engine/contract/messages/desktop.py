"""What the desktop itself has to say."""

from engine.contract.messages.base import Message

DESKTOP: dict[str, Message] = {
    "desktop.bug": Message("Something went wrong in the window.", "{detail}", "Please report it; your runs are safe."),
    "desktop.file_unwritable": Message("'{file}' could not be written.", "{detail}", "Choose another folder."),
}
