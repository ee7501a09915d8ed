"""A search as SQL: what its words and operators ask of the history, from indexes alone, without reading a run's row."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.contract.search import Query, Range, Term
from engine.contract.search_filter import UID_LETTERS, owners
from engine.control.store.runs import COST, SECONDS

if TYPE_CHECKING:  # numpy is imported where it is used: a controller starts quicker without
    import numpy as np

    Ids = np.ndarray[Any, np.dtype[np.int64]]

EVERY = Query()
COLUMNS = {"step": "last_step", "cost": COST, "seconds": SECONDS}
"""Where a field of a summary is not simply a column of its name."""
SEEN = "tokens_seen"


@dataclass
class Filter:
    """Which runs are asked for, as a SELECT of their ids; without one, all."""

    sql: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    by_state_only: bool = True

    def value(self, value: Any) -> str:
        """A place for a value in the statement."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def any_of(self, values: Sequence[Any]) -> str:
        """The same for a list."""
        return f"({', '.join(map(self.value, values))})"


@dataclass
class Asked:
    """Everything that is asked of a list of runs."""

    states: Sequence[str] = ()
    project: str = ""
    query: Query = EVERY
    me: str = ""
    at: float = 0.0


def compiled(connection: sqlite3.Connection, asked: Asked) -> Filter:
    """State, project and words as a statement; without operators, for which there is `found`."""
    facts, query = _placed(asked), asked.query
    if not query.words and not query.excluded:
        return facts
    result = Filter(values=dict(facts.values), by_state_only=False)
    parts = _texts(connection, result, query)
    if facts.sql:
        parts.append(f"+run_id IN ({facts.sql})")
    result.sql = f"SELECT run_id AS id FROM run_search WHERE {' AND '.join(parts)}"
    return result


def _placed(asked: Asked) -> Filter:
    """State and project."""
    result = Filter(by_state_only=not asked.project)
    if not asked.states and not asked.project:
        return result
    if not asked.project:
        result.sql = f"SELECT id FROM run WHERE deleting = 0 AND state IN {result.any_of(asked.states)}"
        return result
    result.sql = f"SELECT id FROM run WHERE deleting = 0 AND project = {result.value(asked.project)}"
    if asked.states:  # from an index of its own: no row is read
        states = result.any_of(asked.states)
        result.sql += f" AND +id IN (SELECT id FROM run WHERE deleting = 0 AND state IN {states})"
    return result


def found(connection: sqlite3.Connection, asked: Asked, few: int) -> Ids:
    """Whom operators, words, state and project together ask for.

    One walk along the index of facts, one over the texts, and the tags from theirs; joined here, for that takes a
    tenth of the time that the database takes for it. Of a few, only the texts of those few are read.
    """
    import numpy as np

    facts = _facts(connection, asked)
    ids = numbers(connection, facts.sql, facts.values) if facts.sql else None
    for term in asked.query.terms:
        if term.operator.name == "tag":
            ids = _tagged(connection, ids, term)
    texts = Filter()
    parts = _texts(connection, texts, asked.query)
    if ids is not None and (not parts or not len(ids)):
        return ids
    if ids is not None and len(ids) <= few:
        parts.append(f"run_id IN (SELECT value FROM json_each({texts.value(json.dumps(ids.tolist()))}))")
    read = numbers(connection, f"SELECT run_id AS id FROM run_search WHERE {' AND '.join(parts)}", texts.values)
    return read if ids is None else read[np.isin(read, ids, assume_unique=True)]


def _tagged(connection: sqlite3.Connection, ids: Ids | None, term: Term) -> Ids:
    """Those of the ids (None: of all runs) that have one of the tags, or have none of them."""
    import numpy as np

    tagged = Filter()
    tagged.sql = f"SELECT DISTINCT run_id AS id FROM run_tag WHERE tag IN {tagged.any_of(term.values)}"
    tags = numbers(connection, tagged.sql, tagged.values)
    if ids is None and not term.negated:
        return tags
    every = numbers(connection, "SELECT id FROM run WHERE deleting = 0", {}) if ids is None else ids
    return every[np.isin(every, tags, assume_unique=True, invert=term.negated)]


def numbers(connection: sqlite3.Connection, sql: str, values: dict[str, Any]) -> Ids:
    """The ids that a statement selects; as one text, for 100,000 rows of one number each take twice the time."""
    import numpy as np

    (text,) = connection.execute(f"SELECT group_concat(id) FROM ({sql})", values).fetchone()
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def _facts(connection: sqlite3.Connection, asked: Asked) -> Filter:
    """State, project and all operators but those about texts and tags; without any, no statement."""
    result = Filter(values={"now": asked.at}, by_state_only=False)
    parts = ["deleting = 0"]
    if asked.states:
        parts.append(f"state IN {result.any_of(asked.states)}")
    if asked.project:
        parts.append(f"project = {result.value(asked.project)}")
    for term in asked.query.terms:
        if term.operator.name not in ("tag", "name"):
            condition = _condition(connection, result, term, asked.me)
            parts.append(f"NOT coalesce({condition}, 0)" if term.negated else condition)
    if len(parts) > 1:
        result.sql = f"SELECT id FROM run INDEXED BY run_facts WHERE {' AND '.join(parts)}"
    return result


def _texts(connection: sqlite3.Connection, result: Filter, query: Query) -> list[str]:
    """What words and names ask of the text that is searched."""
    parts = [_word(connection, result, word) for word in query.words]
    parts += [f"NOT {_word(connection, result, word)}" for word in query.excluded]
    names = [term for term in query.terms if term.operator.name == "name"]
    return parts + [f"{'NOT ' if term.negated else ''}({_in_name(result, term.values)})" for term in names]


def _condition(connection: sqlite3.Connection, result: Filter, term: Term, me: str) -> str:
    operator = term.operator
    column = COLUMNS.get(operator.field, operator.field)
    if operator.field == SEEN:  # not among the facts: from an index of its own
        ranges = " OR ".join(_between(result, column, one) for one in term.ranges)
        return f"id IN (SELECT id FROM run INDEXED BY run_by_tokens_seen WHERE deleting = 0 AND ({ranges}))"
    if operator.ordered:
        return "(" + " OR ".join(_between(result, column, one) for one in term.ranges) + ")"
    if operator.kind == "choice":
        return f"{column} IN {result.any_of(term.values)}"
    if operator.kind == "switch":
        return f"pinned IN {result.any_of([int(value == 'yes') for value in term.values])}"
    values = owners(term, me) if operator.name == "owner" else term.values
    fits = _part(values) if operator.kind == "part" else _whole(values)
    fitting = [value for value in _different(connection, column) if fits(value.casefold())]
    return f"{column} IN (SELECT value FROM json_each({result.value(json.dumps(fitting))}))"


def _part(parts: Sequence[str]) -> Callable[[str], bool]:
    return lambda value: any(part in value for part in parts)


def _whole(values: Sequence[str]) -> Callable[[str], bool]:
    return lambda value: value in values


def _different(connection: sqlite3.Connection, column: str) -> list[str]:
    """Every value there is, by jumping along an index from one to the next."""
    index = f"run_by_{column}"
    rows = connection.execute(
        f"WITH RECURSIVE found(value) AS (SELECT min({column}) FROM run INDEXED BY {index} WHERE deleting = 0 "
        f"UNION ALL SELECT (SELECT min({column}) FROM run INDEXED BY {index} WHERE deleting = 0 AND "
        f"{column} > found.value) FROM found WHERE found.value IS NOT NULL) SELECT value FROM found "
        "WHERE value IS NOT NULL"
    )
    return [row[0] for row in rows]


def _in_name(result: Filter, parts: Sequence[str]) -> str:
    """The name is the first line of what is searched."""
    places = [result.value(part) for part in parts]
    return " OR ".join(
        f"(instr(text, {place}) AND instr(text, {place}) + length({place}) <= instr(text, char(10)))"
        for place in places
    )


def _between(result: Filter, column: str, one: Range) -> str:
    """The range as a comparison; what has no value lies in none."""
    parts = []
    if one.low > -math.inf:
        parts.append(f"{column} {'>=' if one.low_included else '>'} {result.value(one.low)}")
    if one.high < math.inf:
        parts.append(f"{column} {'<=' if one.high_included else '<'} {result.value(one.high)}")
    return f"({' AND '.join(parts)})"


def _word(connection: sqlite3.Connection, result: Filter, word: str) -> str:
    """Whether the word occurs, or begins the id."""
    place = result.value(word)
    if not _begins_uid(connection, word):
        return f"(instr(text, {place}) > 0)"
    among = f"SELECT id FROM run WHERE uid >= {place} AND uid < {result.value(word + '~')}"
    return f"(instr(text, {place}) > 0 OR run_id IN ({among}))"


def _begins_uid(connection: sqlite3.Connection, word: str) -> bool:
    """Whether there is a run whose id begins with the word."""
    if len(word) < UID_LETTERS or not word.isascii():
        return False
    found = connection.execute("SELECT 1 FROM run WHERE uid >= ? AND uid < ? LIMIT 1", (word, word + "~")).fetchone()
    return found is not None
