"""What a person may change about nodes: checked, then written in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from engine.contract import node_check
from engine.contract.errors import Conflict, Problem, Refused
from engine.contract.nodes import LOCAL, NodeProfile
from engine.control.jobs.scheduler import AUTO
from engine.control.store import nodes
from engine.control.store.database import Transaction

LOCAL_FIELDS = ("price", "currency", "max_runs", "labels", "notes")
"""What may be changed of this computer."""
RESERVED = (AUTO, "export", "import", "test")
"""Words that mean something else where a node's name could stand."""


def checked(values: Mapping[str, Any]) -> NodeProfile:
    """The profile; Refused with every problem of it. Looks at files: call it on a thread."""
    problems = problems_of(values)
    if problems:
        raise Refused("nodes.refused", count=len(problems), problems=problems)
    return NodeProfile.model_validate(dict(values))


def problems_of(values: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the values of a profile."""
    problems = node_check.problems_of(values)
    if (name := values.get("name")) in RESERVED:
        problems.insert(0, Problem(code="nodes.bad_name", field="name", params={"node": str(name)}))
    return problems


def checked_import(values: Mapping[str, Any]) -> list[NodeProfile]:
    """The profiles of an export; Refused with every problem of all of them. Looks at files: call it on a thread."""
    listed = values.get("nodes")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed) or values.get("version") != 1:
        raise Refused("nodes.not_an_export")
    problems = [
        problem.model_copy(update={"field": f"nodes.{index}.{problem.field}"})
        for index, one in enumerate(listed)
        for problem in problems_of(one)
    ]
    names = Counter(str(one.get("name", "")) for one in listed)
    problems += [
        Problem(code="nodes.twice", field="nodes", params={"node": name}) for name, count in names.items() if count > 1
    ]
    if problems:
        raise Refused("nodes.import_refused", count=len(problems), problems=problems)
    return [NodeProfile.model_validate(one) for one in listed]


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
