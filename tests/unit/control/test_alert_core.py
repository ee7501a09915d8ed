"""Readings in, alerts out: once until it recovers, after it lasted, and never because nothing is known."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import alert_check
from engine.contract.node_alerts import ALERT_KINDS, DEFAULT_RULES, AlertRule
from engine.control.jobs.alert_core import GAP_S, Sight, Watcher

HOT = AlertRule(kind="gpu_temperature", threshold=85, recover=80, minutes=1)
IDLE = AlertRule(kind="gpu_idle", threshold=5, recover=15, minutes=0)
STEP_S = 5.0


def seen(value: float | None, rule: AlertRule = HOT, node: str = "box") -> Sight:
    return Sight(rule.kind, f"{node}/gpu0", value, node, "0")


def told(watcher: Watcher, values: list[float | None], rule: AlertRule = HOT, begin: float = 0.0) -> list[str]:
    """What was told, a reading every five seconds."""
    said: list[str] = []
    for number, value in enumerate(values):
        at = begin + number * STEP_S
        said += [change.what for change in watcher.look([rule], [seen(value, rule)], at, at) if change.what != "worse"]
    return said


values = st.lists(st.one_of(st.none(), st.floats(70, 95)), max_size=120)


@given(values)
def test_it_is_told_once_until_it_recovers(found: list[float | None]) -> None:
    """Between two alerts of one GPU the first ended, and by a value that was back at the second limit."""
    watcher, said = Watcher(), []
    last = 0.0
    for number, value in enumerate(found):
        at = number * STEP_S
        last = value if value is not None else last
        for change in watcher.look([HOT], [seen(value)], at, at):
            if change.what == "over":
                assert last <= HOT.recover
            if change.what == "raised":
                assert last >= HOT.threshold
            if change.what != "worse":
                said.append(change.what)
    assert all(one != other for one, other in pairwise(said))
    assert not said or said[0] == "raised"


@given(values)
def test_it_has_lasted(found: list[float | None]) -> None:
    """Whenever one is raised, every known value of the last minute was past the limit."""
    watcher = Watcher()
    for number, value in enumerate(found):
        at = number * STEP_S
        raised = [change for change in watcher.look([HOT], [seen(value)], at, at) if change.what == "raised"]
        if raised:
            known = [one for one in found[number - 12 : number + 1] if one is not None]
            assert all(one >= HOT.threshold for one in known)


@given(values, st.integers(0, 119))
def test_a_restart_tells_nothing_again(found: list[float | None], cut: int) -> None:
    """A second watcher that takes over what was on says nothing that the first had said, and ends what it began."""
    first = Watcher()
    before = told(first, found[:cut])
    second = Watcher(first.on)
    after = told(second, found[cut:], begin=cut * STEP_S)
    whole = before + after
    assert all(one != other for one, other in pairwise(whole))


def test_a_short_peak_is_no_alert() -> None:
    assert told(Watcher(), [90.0] * 12 + [84.0] + [90.0] * 12) == []
    assert told(Watcher(), [90.0] * 13) == ["raised"]


def test_between_the_limits_nothing_changes() -> None:
    watcher = Watcher()
    assert told(watcher, [90.0] * 13 + [82.0] * 50 + [90.0] * 20) == ["raised"]
    assert told(watcher, [80.0], begin=1000) == ["over"]


def test_nobody_claims_that_it_lasted_while_nothing_was_known() -> None:
    watcher = Watcher()
    assert watcher.look([HOT], [seen(90.0)], 0.0, 0.0) == []
    assert watcher.look([HOT], [seen(90.0)], GAP_S + 1, 0.0) == []
    assert told(watcher, [90.0] * 13, begin=GAP_S + 1) == ["raised"]


def test_the_time_of_day_may_jump() -> None:
    watcher = Watcher()
    assert watcher.look([HOT], [seen(90.0)], 0.0, 1e9) == []
    assert watcher.look([HOT], [seen(90.0)], 5.0, 2e9) == []
    for number in range(2, 12):
        watcher.look([HOT], [seen(90.0)], 5.0 * number, 0.0)
    (change,) = watcher.look([HOT], [seen(90.0)], 60.0, 3.0)
    assert (change.what, change.alert.began) == ("raised", 3.0)


def test_too_little_is_an_alert_too() -> None:
    assert told(Watcher(), [50.0, 4.0, 10.0, 4.0, 15.0, 3.0], IDLE) == ["raised", "over", "raised"]


def test_what_is_gone_is_over() -> None:
    watcher = Watcher()
    told(watcher, [90.0] * 13)
    assert [change.what for change in watcher.look([HOT], [], 100.0, 100.0)] == ["over"]
    told(watcher, [90.0] * 13, begin=200)
    off = HOT.model_copy(update={"enabled": False})
    assert [change.what for change in watcher.look([off], [seen(90.0)], 300.0, 300.0)] == ["over"]


def test_the_rule_of_a_node_goes_before_the_general_one() -> None:
    mine = HOT.model_copy(update={"node": "box", "threshold": 70.0, "recover": 60.0, "minutes": 0.0})
    watcher = Watcher()
    found = watcher.look([HOT, mine], [seen(75.0), seen(75.0, node="other")], 0.0, 0.0)
    assert [(change.what, change.alert.node) for change in found] == [("raised", "box")]


def test_worse_is_told_at_most_once_a_minute() -> None:
    rule = HOT.model_copy(update={"minutes": 0.0})
    watcher = Watcher()
    said = []
    for second in range(0, 180, 5):
        said += [(c.what, c.alert.worst) for c in watcher.look([rule], [seen(85 + second / 10)], float(second), 0.0)]
    assert [what for what, _worst in said] == ["raised", "worse", "worse"]
    assert said[1][1] == 91.0


def test_the_usual_rules_are_without_fault() -> None:
    assert alert_check.problems_of([rule.model_dump() for rule in DEFAULT_RULES], ()) == []
    assert {rule.kind for rule in DEFAULT_RULES} == set(ALERT_KINDS)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"kind": "gpu_colour"}, "rules.0.kind", "alerts.kind"),
        ({"threshold": "hot"}, "rules.0.threshold", "alerts.number"),
        ({"threshold": float("nan")}, "rules.0.threshold", "alerts.number"),
        ({"threshold": True}, "rules.0.threshold", "alerts.number"),
        ({"threshold": 500}, "rules.0.threshold", "alerts.range"),
        ({"recover": 90}, "rules.0.recover", "alerts.recover_above"),
        ({"recover": None}, "rules.0.recover", "alerts.number"),
        ({"minutes": -1}, "rules.0.minutes", "alerts.range"),
        ({"node": "bax"}, "rules.0.node", "alerts.node"),
        ({"kind": "gpu_idle", "threshold": 20, "recover": 10}, "rules.0.recover", "alerts.recover_below"),
    ],
)
def test_every_fault_is_named_at_its_field(change: dict[str, object], field: str, code: str) -> None:
    (problem,) = alert_check.problems_of([HOT.model_dump() | change], ["local", "box"])
    assert (problem.field, problem.code) == (field, code)


def test_all_faults_are_named_at_once() -> None:
    bad = [HOT.model_dump() | {"threshold": 0, "minutes": "x"}, HOT.model_dump(), HOT.model_dump()]
    assert [p.field for p in alert_check.problems_of(bad)] == [
        "rules.0.threshold", "rules.0.minutes", "rules.1.kind", "rules.2.kind",
    ]  # fmt: skip
    assert [p.code for p in alert_check.problems_of("no")] == ["alerts.not_rules"]
