"""What a person may change about nodes: checked, then written in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.contract.errors import Conflict, Problem, Refused
from engine.contract.nodes import LOCAL, NAME, NodeProfile
from engine.control.jobs.scheduler import AUTO
from engine.control.store import nodes
from engine.control.store.database import Transaction

LOCAL_FIELDS = ("price", "currency", "max_runs", "labels", "notes")
"""What may be changed of this computer."""


def refuse_bad(profile: NodeProfile) -> None:
    """Refused with every problem of a profile. Looks at files: call it on a thread."""
    problems = problems_of(profile)
    if problems:
        raise Refused("nodes.refused", count=len(problems), problems=problems)


def problems_of(profile: NodeProfile) -> list[Problem]:
    """What is wrong with a profile: its name and kind here, the way to it by who goes it."""
    if profile.name == LOCAL:
        return []
    problems = []
    if not NAME.fullmatch(profile.name) or profile.name == AUTO:
        problems.append(Problem(code="nodes.bad_name", field="name", params={"node": profile.name}))
    if profile.kind == "process":
        problems.append(Problem(code="nodes.local_only", field="kind", params={"node": profile.name}))
        return problems
    return problems + _way_problems(profile, problems)


def _way_problems(profile: NodeProfile, known: Sequence[Problem]) -> list[Problem]:
    from engine.contract import node_check

    fields = {problem.field for problem in known}
    return [problem for problem in node_check.problems_of(profile.model_dump()) if problem.field not in fields]


def refuse_bad_import(profiles: Sequence[NodeProfile]) -> None:
    """Refused with every problem of all of them: nothing is imported then."""
    problems = [
        problem.model_copy(update={"field": f"nodes.{index}.{problem.field}"})
        for index, profile in enumerate(profiles)
        for problem in problems_of(profile)
    ]
    names = Counter(profile.name for profile in profiles)
    problems += [
        Problem(code="nodes.twice", field="nodes", params={"node": name}) for name, count in names.items() if count > 1
    ]
    if problems:
        raise Refused("nodes.import_refused", count=len(problems), problems=problems)


def add(transaction: Transaction, profile: NodeProfile, at: float) -> None:
    """A new node."""
    if nodes.find(transaction.connection, profile.name) is not None:
        raise Conflict("nodes.exists", node=profile.name)
    nodes.keep(transaction, profile, at)


def edit(transaction: Transaction, name: str, profile: NodeProfile, at: float) -> NodeProfile:
    """Another profile for a node that is used; runs at work there go on. What was kept."""
    if profile.name != name:
        raise Conflict("nodes.renamed", node=name, name=profile.name)
    row = nodes.find(transaction.connection, name)
    assert row is not None
    if name == LOCAL:
        _refuse_fixed(row.profile, profile)
    nodes.keep(transaction, profile, at)
    return profile


def _refuse_fixed(before: NodeProfile, after: NodeProfile) -> None:
    for field in NodeProfile.model_fields:
        if field not in LOCAL_FIELDS and getattr(before, field) != getattr(after, field):
            raise Conflict("nodes.local_fixed", node=LOCAL, field=field)


def remove(transaction: Transaction, name: str, at: float) -> None:
    """No longer use a node nobody needs."""
    if name == LOCAL:
        raise Conflict("nodes.local_stays", node=name)
    live = nodes.open_attempts(transaction.connection, name)
    if live:
        raise Conflict("nodes.has_runs", node=name, count=live)
    waiting = nodes.waiting_for(transaction.connection, name)
    if waiting:
        raise Conflict("nodes.is_waited_for", node=name, count=waiting)
    nodes.remove(transaction, name, at)
