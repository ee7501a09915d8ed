"""The classes texts are put into: gathered from rows, and what each row's label is among them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.compute.data.row_set import RowSet
from engine.compute.data.rows import Example
from engine.contract.errors import Problem, Refused, UserError
from engine.contract.heads import ProblemName

CHUNK = 1024
NAMED = 12
"""Classes that a message names."""
MOST_PROBLEMS = 50
UNBALANCED = 10
"""So many times as many rows of one class as of another are worth a word."""
Target = int | float | tuple[float, ...]


@dataclass(frozen=True)
class Labels:
    """The classes in their order; none for a number."""

    problem: ProblemName
    names: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    """What a row of each class weighs, or, with several a row, what a class weighs where it is there; empty: 1."""

    def target(self, example: Example) -> Target:
        """What is learned of a row: a class by its number, which classes it has, or a number."""
        if self.problem == "regression":
            return number_of(example)
        found = classes_of(example)
        if self.problem == "single_label" and len(found) > 1:
            raise UserError("data.several_labels", line=example.line, count=len(found))
        places = [self.place(name, example.line) for name in found]
        if self.problem == "single_label":
            return places[0]
        return tuple(float(place in places) for place in range(len(self.names)))

    def place(self, name: str, line: int) -> int:
        """The number of a class; one that is never learned is refused."""
        try:
            return self.names.index(name)
        except ValueError:
            raise UserError("data.unknown_label", line=line, label=name[:80], known=named(self.names)) from None

    def weight(self, target: Target) -> float | tuple[float, ...]:
        """What each loss of a row weighs."""
        if isinstance(target, tuple):
            return tuple(w if there else 1.0 for w, there in zip(self.weights, target, strict=True))
        return self.weights[int(target)]


def classes_of(example: Example) -> list[str]:
    """The classes of a row by name, each once."""
    label = example.label
    return list(dict.fromkeys(map(name_of, label if isinstance(label, list) else [label])))


def name_of(label: Any) -> str:
    """A class as a name."""
    if isinstance(label, bool):
        return "true" if label else "false"
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label).strip()


def number_of(example: Example) -> float:
    """The label as a number."""
    label = example.label
    try:
        found = math.nan if isinstance(label, bool | list) else float(label)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise UserError("data.label_no_number", line=example.line, label=str(label)[:80])
    return found


def named(names: Sequence[str]) -> str:
    """The first of many names, for a message."""
    return ", ".join(name[:40] for name in names[:NAMED]) + (" …" if len(names) > NAMED else "")


def gather(
    problem: ProblemName, given: Sequence[str], train: Sequence[RowSet], weighs: bool
) -> tuple[Labels, Counter[str]]:
    """The classes of a run, and how many training rows each has; `given` in place of those of the rows."""
    if problem == "regression":
        for example in _examples(train):
            number_of(example)
        return Labels(problem), Counter()
    counts = Counter[str]()
    for example in _examples(train):
        found = classes_of(example)
        if problem == "single_label" and len(found) > 1:
            raise UserError("data.several_labels", line=example.line, count=len(found))
        counts.update(found)
    names = tuple(given) or tuple(sorted(counts, key=_order))
    if len(names) == 1 and problem == "single_label":
        raise UserError("heads.one_label_found", label=names[0][:80])
    return Labels(problem, names, _weights(problem, names, counts, train) if weighs else ()), counts


def _weights(
    problem: ProblemName, names: Sequence[str], counts: Counter[str], train: Sequence[RowSet]
) -> tuple[float, ...]:
    """So that all classes weigh alike; a class without rows weighs 1, for nothing is learned of it."""
    rows = sum(map(len, train))
    if problem == "single_label":
        present = sum(1 for name in names if counts[name])
        return tuple(rows / (present * counts[name]) if counts[name] else 1.0 for name in names)
    return tuple(max(rows - counts[name], 1) / counts[name] if counts[name] else 1.0 for name in names)


def check(labels: Labels, sets: Iterable[RowSet]) -> None:
    """Refuse rows whose classes are never learned, or whose label is no number, each with its line."""
    problems, count = list[Problem](), 0
    for example in _examples(sets):
        try:
            labels.target(example)
        except UserError as error:
            count += 1
            if len(problems) < MOST_PROBLEMS:
                problems.append(Problem(code=error.code, line=example.line, params=error.params))
    if count == 1:
        raise UserError(problems[0].code, **problems[0].params)
    if count:
        raise Refused("data.refused_for_stage", problems=problems, count=count, stage="classification")


def unbalanced(names: Sequence[str], counts: Counter[str]) -> dict[str, Any] | None:
    """The commonest and the rarest class, where one has many times as many rows as the other."""
    known = [(counts[name], name) for name in names if counts[name]]
    if len(known) < 2 or max(known)[0] < UNBALANCED * min(known)[0]:
        return None
    (fewest_rows, fewest), (most_rows, most) = min(known), max(known)
    return {"most": most[:80], "most_rows": most_rows, "fewest": fewest[:80], "fewest_rows": fewest_rows}


def _order(name: str) -> tuple[int, float, str]:
    """Numbers by size, then names."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _examples(sets: Iterable[RowSet]) -> Iterator[Example]:
    for rows in sets:
        for begin in range(0, len(rows), CHUNK):
            yield from rows.examples(range(begin, min(begin + CHUNK, len(rows))))
