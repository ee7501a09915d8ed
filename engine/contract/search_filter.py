"""Whether a run is what a search asks for, run by run; a controller asks its history instead, which is quicker."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contract.api import RunSummary
from engine.contract.search import Query, Term

UID_LETTERS = 3
"""Words of so many letters may be the beginning of an id."""
ME = "me"


def matches(query: Query, run: RunSummary, me: str = "") -> bool:
    """Whether the run has every word and every term, and nothing that is excluded. `me` is whom `owner:me` means."""
    text = search_text(run.name, run.model, run.dataset, run.tags)

    def there(word: str) -> bool:
        return word in text or (len(word) >= UID_LETTERS and run.uid.startswith(word))

    return (
        all(there(word) for word in query.words)
        and not any(there(word) for word in query.excluded)
        and all(_holds(term, run, me) is not term.negated for term in query.terms)
    )


def search_text(name: str, model: str, dataset: str, tags: Sequence[str]) -> str:
    """What the words of a search are looked for in."""
    return "\n".join((name, model, dataset, " ".join(tags))).casefold()


def _holds(term: Term, run: RunSummary, me: str) -> bool:
    operator = term.operator
    value = getattr(run, operator.field)
    if operator.ordered:
        return value is not None and any(one.holds(value) for one in term.ranges)
    if operator.kind == "switch":
        return ("yes" if value else "no") in term.values
    if operator.name == "tag":
        return any(tag.casefold() in term.values for tag in run.tags)
    folded = str(value or "").casefold()
    if operator.kind == "part":
        return any(part in folded for part in term.values)
    if operator.name == "owner":
        return folded in owners(term, me)
    return folded in term.values


def owners(term: Term, me: str) -> list[str]:
    """The names that an `owner` term means, folded."""
    return [me.casefold() if value == ME and me else value for value in term.values]
