"""A row as the checks look at it: its texts once, and where in the row something stands."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from engine.compute.data.rows import Example, Record
from engine.contract.datasets import CheckKind, RowProblem, Severity

AROUND = 60
"""Characters of an excerpt before and behind what is meant."""


@dataclass(slots=True)
class CheckedRow:
    """One row under the checks."""

    number: int
    record: Record
    example: Example
    texts: list[str] = field(default_factory=list)
    """Everything that is read, in order."""
    body: str = ""
    """The same in one text."""
    data: bytes = b""
    """And as UTF-8: what is not among its bytes need not be looked for."""
    problems: list[RowProblem] = field(default_factory=list)

    @classmethod
    def of(cls, number: int, record: Record, example: Example) -> CheckedRow:
        """The row with its texts gathered."""
        texts = [turn["content"] for turn in example.turns]
        if example.text:
            texts.append(example.text)
        if example.chosen or example.rejected:
            texts += [turn["content"] for turn in (*example.chosen, *example.rejected)]
        if example.texts:
            texts += example.texts
        body = "\n\n".join(texts)
        return cls(number, record, example, texts, body, body.encode(errors="surrogatepass"))

    @property
    def digest(self) -> bytes:
        """16 bytes that are the same for rows that read the same, whatever their columns are called."""
        example = self.example
        shape = [turn["role"] + ("!" if "tool_calls" in turn else "") for turn in example.turns]
        shape += [str(len(example.chosen)), str(example.label)]
        for turn in (*example.turns, *example.chosen, *example.rejected):
            if "tool_calls" in turn:
                shape.append(json.dumps(turn["tool_calls"], sort_keys=True, default=str))
        digest = hashlib.blake2b(self.data, digest_size=16)
        digest.update(f"\0{' '.join(shape)}".encode(errors="surrogatepass"))
        return digest.digest()

    def remark(
        self,
        kind: CheckKind,
        code: str,
        severity: Severity = "warning",
        column: str = "",
        excerpt: str = "",
        **params: Any,
    ) -> None:
        """Say that something is wrong with the row."""
        self.problems.append(
            RowProblem(
                kind=kind, severity=severity, row=self.number, line=self.record.line, column=column, code=code,
                params=params, excerpt=excerpt,
            )
        )  # fmt: skip

    def column_of(self, piece: str) -> str:
        """Where in the row a text stands, as far as it can be told."""
        for name, value in self.record.content.items():
            if isinstance(value, list):
                for number, item in enumerate(value):
                    if _holds(item, piece):
                        return f"{name}[{number}]"
            elif _holds(value, piece):
                return name
        return ""

    def around(self, begin: int, end: int) -> str:
        """The body around a place in it."""
        return self.body[max(0, begin - AROUND) : end + AROUND].strip()


def _holds(value: Any, piece: str) -> bool:
    """Whether a text stands anywhere in a value."""
    if isinstance(value, str):
        return piece in value
    if isinstance(value, dict):
        return any(_holds(item, piece) for item in value.values())
    return isinstance(value, list) and any(_holds(item, piece) for item in value)
