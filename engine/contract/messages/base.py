"""The form of a message."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """What happened, why, and what to do. `{name}` stands for a parameter."""

    what: str
    why: str = ""
    fix: str = ""
