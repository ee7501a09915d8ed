"""Rows and problems of a version of a dataset, page by page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from engine.contract.dataset_queries import Turn
from engine.contract.datasets import ProblemPage, RowPage, RowProblem, RowView
from engine.contract.errors import Problem
from forge_desktop.bridge.backend import Backend
from forge_desktop.models.dataset_words import problem_text
from forge_desktop.models.paged_model import PagedModel
from forge_desktop.theme.language import explain, sentences

MOST_LETTERS = 400
ROLE_KEYS, TEXT_KEYS = ("role", "from", "speaker"), ("content", "value", "text")


class RowsModel(PagedModel):
    """The rows of one version, or those that a search finds."""

    titles = (("row", "Row"), ("content", "Content"), ("problems", "Remarks"))

    uid, version = "", 0
    search = problem = ""

    def show(self, uid: str, version: int) -> None:
        """Of this version."""
        self.uid, self.version = uid, version
        self.fetch()

    def look_for(self, text: str) -> None:
        """Only rows with these words."""
        if text != self.search:
            self.search = text
            self.fetch_soon()

    def only_with(self, problem: str) -> None:
        """Only rows with a kind of problem; empty: all."""
        if problem != self.problem:
            self.problem = problem
            self.fetch()

    def request(self, offset: int, limit: int) -> Callable[[Backend], RowPage] | None:
        """A piece of the rows."""
        if not self.uid or not self.version:
            return None
        wanted = (self.uid, self.version, offset, limit, self.search, self.problem)
        return lambda backend: backend.dataset_rows(*wanted)

    def items(self, answer: RowPage) -> Sequence[RowView]:
        """The rows in an answer."""
        return answer.rows

    def cell_text(self, item: RowView, key: str) -> str:
        """What a cell says."""
        match key:
            case "row":
                return f"{item.row + 1:,}"
            case "problems":
                return ", ".join(problem_text(kind) for kind in item.problems)
        return in_a_line(item.content)


class ProblemsModel(PagedModel):
    """The problems of one version."""

    titles = (("line", "Line"), ("kind", "Problem"), ("reason", "What is wrong and what to do"), ("excerpt", "Excerpt"))

    uid, version = "", 0
    kind = severity = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.counts: dict[str, int] = {}

    def show(self, uid: str, version: int) -> None:
        """Of this version."""
        self.uid, self.version = uid, version
        self.kind = self.severity = ""
        self.fetch()

    def only(self, kind: str) -> None:
        """Only one kind; empty: all."""
        self.kind = kind
        self.fetch()

    def request(self, offset: int, limit: int) -> Callable[[Backend], ProblemPage] | None:
        """A piece of the problems."""
        if not self.uid or not self.version:
            return None
        wanted = (self.uid, self.version, self.kind, self.severity, offset, limit)
        return lambda backend: backend.dataset_problems(*wanted)

    def items(self, answer: ProblemPage) -> Sequence[RowProblem]:
        """The problems in an answer."""
        self.counts = dict(answer.counts)
        return answer.problems

    def cell_text(self, item: RowProblem, key: str) -> str:
        """What a cell says."""
        match key:
            case "line":
                return f"{item.line:,}"
            case "kind":
                return problem_text(item.kind)
            case "reason":
                return reason_text(item)
        return item.excerpt


def reason_text(item: RowProblem) -> str:
    """What is wrong with a row, and what to do about it."""
    what, why, fix = explain(Problem(code=item.code, line=item.line, params=item.params))
    return sentences(why or what, fix)


def in_a_line(content: str) -> str:
    """A row of JSON in a line: what is said, without the names of columns where that is clear."""
    turns, extra = turns_of(content)
    text = "  ▸ ".join(turn.text.replace("\n", " ") for turn in turns if turn.role != "system") or content
    return (text or " ".join(extra.values()))[:MOST_LETTERS]


def turns_of(content: str) -> tuple[list[Turn], dict[str, str]]:
    """A row as people read it: lists of turns as turns, texts under the names of their columns, the rest apart."""
    try:
        row = json.loads(content)
    except ValueError:  # it was cut
        return [Turn(role="text", text=content)], {}
    turns, extra = list[Turn](), dict[str, str]()
    for name, value in row.items() if isinstance(row, dict) else ():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            part = name if name in ("chosen", "rejected") else ""
            turns += [_turn(one, part) for one in value]
        elif isinstance(value, str) and value:
            part = name if name in ("chosen", "rejected") else ""
            turns.append(Turn(role=name, text=value, part=part))  # type: ignore[arg-type]
        elif value not in (None, "", [], {}):
            extra[str(name)] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return turns, extra


def _turn(one: dict[str, Any], part: str) -> Turn:
    role = next((str(one[key]) for key in ROLE_KEYS if key in one), "?")
    text = next((one[key] for key in TEXT_KEYS if key in one), one)
    said = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    return Turn(role={"human": "user", "gpt": "assistant"}.get(role, role), text=said, part=part)  # type: ignore[arg-type]
