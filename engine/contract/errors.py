"""Errors that people see, and the problems found in what they gave us.

    ForgeError
    ├── UserError            what happened, why, and what to do; shown as it is
    │   ├── NotFound         no such run, artifact, node
    │   ├── Conflict         not possible in the present state
    │   ├── Refused          the request holds problems, all of them listed
    │   └── Unreachable      no controller (or node) answers
    └── (anything else is a bug, reported with a bundle)

Texts live in `engine.contract.messages` under a code, in English; `resources/translations` holds them in Chinese.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from engine.contract.messages import MESSAGES, Message


class Problem(BaseModel):
    """One thing wrong with what a person gave us: where, why, and what to do."""

    model_config = ConfigDict(frozen=True)

    code: str
    field: str = ""
    line: int | None = None
    params: dict[str, Any] = {}

    @property
    def reason(self) -> str:
        """What is wrong, in English."""
        return render(MESSAGES[self.code].why or MESSAGES[self.code].what, self.params)

    @property
    def fix(self) -> str:
        """What to do about it, in English."""
        return render(MESSAGES[self.code].fix, self.params)

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        place += f"{self.field}: " if self.field else ""
        return f"{place}{self.reason} {self.fix}".strip()


class ErrorBody(BaseModel):
    """A UserError as it travels over the wire, in a journal, or as JSON on the command line."""

    code: str
    what: str
    why: str = ""
    fix: str = ""
    params: dict[str, Any] = {}
    problems: list[Problem] = []


class ForgeError(Exception):
    """Base of all our own errors."""


class UserError(ForgeError):
    """Something a person can understand and act on. Create it by code: `UserError("run.unknown", run=uid)`."""

    status = 400

    def __init__(self, code: str, /, *, problems: Sequence[Problem] = (), **params: Any) -> None:
        self.code = code
        self.params = params
        self.problems = list(problems)
        message = MESSAGES.get(code, Message(what=code))
        self.what = render(message.what, params)
        self.why = render(message.why, params)
        self.fix = render(message.fix, params)
        super().__init__(self.text)

    @property
    def text(self) -> str:
        """The whole message in one paragraph, ending with its code."""
        parts = [part for part in (self.what, self.why, self.fix) if part]
        lines = [" ".join(parts) + f" [{self.code}]"]
        lines += [f"  - {problem}" for problem in self.problems]
        return "\n".join(lines)

    def body(self) -> ErrorBody:
        """The error in the form that travels."""
        params = {
            key: value if isinstance(value, str | int | float | bool) else str(value)
            for key, value in self.params.items()
        }
        return ErrorBody(
            code=self.code, what=self.what, why=self.why, fix=self.fix, params=params, problems=self.problems
        )

    @classmethod
    def from_body(cls, body: ErrorBody) -> Self:
        """The error again, with the texts it travelled with."""
        params = {name: value for name, value in body.params.items() if name != "problems"}
        error = cls(body.code, problems=body.problems, **params)
        error.what, error.why, error.fix = body.what, body.why, body.fix
        error.args = (error.text,)
        return error


class NotFound(UserError):
    """What was asked for is not there."""

    status = 404


class Conflict(UserError):
    """The present state does not allow it."""

    status = 409


class Refused(UserError):
    """The request holds problems; nothing of it was applied."""

    status = 422


class Unreachable(UserError):
    """Nobody answers at the other end."""

    status = 503


CLASSES: Mapping[int, type[UserError]] = {kind.status: kind for kind in (NotFound, Conflict, Refused, Unreachable)}
"""Errors by the status they travel with."""


def error_of(body: ErrorBody, status: int | None = None) -> UserError:
    """The error again, of the class its status says."""
    return CLASSES.get(status or 0, UserError).from_body(body)


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def render(text: str, params: Mapping[str, Any]) -> str:
    """A message with its parameters filled in; a parameter that is missing shows its name."""
    return text.format_map(_Lenient(params)) if text else ""
