"""What every format is read with: the reason a row is refused, and the columns that play its parts."""

from __future__ import annotations

from typing import Any

from engine.contract.data_format import PARTS, Mapping, Part
from engine.contract.datasets import CheckKind
from engine.contract.errors import Problem

Content = dict[str, Any]
PARTS_BY_NAME: dict[str, dict[str, Part]] = {form: {part.name: part for part in parts} for form, parts in PARTS.items()}
KINDS: dict[str, CheckKind] = {
    "data.missing_column": "missing",
    "data.empty_column": "empty",
    "data.not_text": "wrong_type",
    "data.no_turns": "empty",
    "data.no_answer": "no_answer",
    "data.late_system": "role_order",
    "data.turn_not_an_object": "wrong_type",
    "data.turn_keys": "wrong_type",
    "data.unknown_role": "unknown_role",
    "data.turn_not_text": "wrong_type",
    "data.not_only_text": "wrong_type",
    "data.empty_answer": "empty",
    "data.bad_history": "wrong_type",
    "data.bad_tools": "wrong_type",
    "data.bad_train_key": "wrong_type",
    "data.bad_verdict": "wrong_type",
    "data.bad_score": "wrong_type",
    "data.bad_label": "wrong_type",
    "data.no_chosen": "missing",
    "data.unknown_format": "unknown_format",
    "data.other_format": "unknown_format",
}
"""What sort of problem a refused row is; other codes are of a line that is no row (`malformed`)."""

WIDE = 200
"""In rows of more columns, names in another case are not looked for."""


class BadRow(Exception):
    """A row that does not fit its form."""

    def __init__(self, code: str, where: str = "", **params: Any) -> None:
        super().__init__(code)
        self.code, self.where, self.params = code, where, params

    @property
    def kind(self) -> CheckKind:
        """What sort of problem it is."""
        return KINDS.get(self.code, "malformed")

    def problem(self, line: int) -> Problem:
        """The same as a problem of a line."""
        return Problem(code=self.code, field=self.where, line=line, params=self.params)


class Columns:
    """The columns of one row, by the parts they play in a format."""

    __slots__ = ("_lower", "content", "form", "mapping")

    def __init__(self, content: Content, form: str, mapping: Mapping) -> None:
        self.content, self.form, self.mapping = content, form, mapping
        self._lower: dict[str, str] | None = None

    def name(self, part: str) -> str:
        """The column that plays a part: the one the mapping names, else the commonest name that holds something.

        Where all that are there hold nothing, the first of them; "" where there is none. Upper and lower case are one
        where nothing is found otherwise.
        """
        named = self.mapping.columns.get(part)
        if named is not None:
            return named
        known = PARTS_BY_NAME[self.form].get(part)
        if known is None:
            return ""
        content, present = self.content, ""
        for column in known.columns:
            if column in content:
                if content[column] is not None:
                    return column
                present = present or column
        return present or self._any_case(known)

    def _any_case(self, part: Part) -> str:
        if len(self.content) > WIDE:  # a pass over all names for each row
            return ""
        if self._lower is None:
            # sorted: which of two that differ in case only is taken must not hang on their order in the row
            self._lower = {name.lower(): name for name in sorted(map(str, self.content), reverse=True)}
        return next((self._lower[column] for column in part.columns if column in self._lower), "")

    def value(self, part: str) -> Any:
        """What the column of a part holds; None where there is none."""
        return self.content.get(self.name(part))

    def text(self, part: str, required: bool = True) -> str:
        """The text of a part; raises BadRow where it is none."""
        column = self.name(part)
        value = self.content.get(column)
        if value is None:
            if not required:
                return ""
            usual = column or PARTS_BY_NAME[self.form][part].columns[0]
            code = "data.empty_column" if column in self.content else "data.missing_column"
            raise BadRow(code, usual, column=usual)
        if not isinstance(value, str):
            raise BadRow("data.not_text", column, column=column, found=type(value).__name__)
        if required and not value.strip():
            raise BadRow("data.empty_column", column, column=column)
        return value

    def missing(self, part: str) -> BadRow:
        """That a part's column is not there, or holds nothing."""
        column = self.name(part)
        usual = column or PARTS_BY_NAME[self.form][part].columns[0]
        return BadRow("data.empty_column" if column in self.content else "data.missing_column", usual, column=usual)

    def used(self) -> set[str]:
        """Every column that plays a part."""
        return {name for part in PARTS_BY_NAME[self.form] if (name := self.name(part))}


def named(content: Content) -> str:
    """The first columns of a row, for a message."""
    return ", ".join(str(name)[:40] for name in list(content)[:12])
