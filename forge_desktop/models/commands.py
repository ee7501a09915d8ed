"""The commands as they can be given now: the table, bound to what the window can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PySide6.QtGui import QKeySequence

from forge_desktop.models.command_table import ALL_ENTRIES, GROUP_TEXTS, Entry
from forge_desktop.theme.language import tr

WhyNot = Callable[[], str | None]


def possible() -> str:
    """Of a command that can always be given."""
    return ""


@dataclass(frozen=True)
class Command:
    """A command and how to give it. `why_not` says why it cannot be given now; None: there is no such thing here."""

    entry: Entry
    do: Callable[[], object]
    why_not: WhyNot = possible

    @property
    def text(self) -> str:
        """Its name in the language in force."""
        return command_text(self.entry)

    @property
    def group(self) -> str:
        """The name of its group."""
        return group_text(self.entry.group)


class Commands:
    """All of them, in the order of the table."""

    def __init__(self) -> None:
        self._bound: dict[str, Command] = {}

    def bind(self, key: str, do: Callable[[], object], why_not: WhyNot = possible) -> None:
        """Say how a command of the table is given."""
        entry = next(entry for entry in ALL_ENTRIES if entry.key == key)
        self._bound[key] = Command(entry, do, why_not)

    def __iter__(self) -> Iterator[Command]:
        return (self._bound[entry.key] for entry in ALL_ENTRIES if entry.key in self._bound)

    def get(self, key: str) -> Command | None:
        """The command of a key."""
        return self._bound.get(key)

    def give(self, key: str) -> bool:
        """Give a command, if it can be given now."""
        command = self._bound.get(key)
        if command is None or command.why_not() != "":
            return False
        command.do()
        return True


def command_text(entry: Entry) -> str:
    """What a command is called, in the language in force."""
    return tr(entry.text)


def group_text(group: str) -> str:
    """What a group is called, in the language in force."""
    return tr(GROUP_TEXTS[group])


def keys_text(keys: str) -> str:
    """A shortcut as this computer writes it."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText) or keys
