"""`forge alerts`: what is wrong now, when alerts are raised, and whether they reach you."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import print_json, say, table

if TYPE_CHECKING:  # imported by who needs it: a command's first word comes quickly
    from engine.contract.node_alerts import Alert, AlertRule

HEAD = ("ID", "SINCE", "UNTIL", "SEEN", "WHAT")
RULES_HEAD = ("KIND", "NODE", "ON", "LIMIT", "OVER AT", "MINUTES")


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    command = commands.add_parser("alerts", parents=[common], help="what is wrong at nodes and runs, and who is told")
    command.set_defaults(work=show, all=False)
    verbs = command.add_subparsers(metavar="WHAT")
    listed = verbs.add_parser("list", parents=[common], help="alerts that are on; --all: also those that are over")
    listed.add_argument("--all", action="store_true", help="also those that are over")
    listed.set_defaults(work=show)
    rules = verbs.add_parser("rules", parents=[common], help="when alerts are raised")
    rules.set_defaults(work=show_rules)
    change = verbs.add_parser("set", parents=[common], help="change a rule, or have the usual ones again")
    change.add_argument("kind", metavar="KIND", nargs="?", help="as `forge alerts rules` names it")
    change.add_argument("--node", default="", help="for this node only")
    change.add_argument("--limit", type=float, help="past it an alert is raised")
    change.add_argument("--recover", type=float, help="back past it the alert is over")
    change.add_argument("--minutes", type=float, help="how long it must last")
    switch = change.add_mutually_exclusive_group()
    switch.add_argument("--on", dest="enabled", action="store_true", default=None, help="use it")
    switch.add_argument("--off", dest="enabled", action="store_false", default=None, help="do not use it")
    change.add_argument("--defaults", action="store_true", help="the usual rules, all of them")
    change.set_defaults(work=set_rule)
    seen = verbs.add_parser("ack", parents=[common], help="say that you have seen some")
    seen.add_argument("ids", type=int, metavar="ID", nargs="*")
    seen.add_argument("--all", action="store_true", help="all that are on and that nobody has seen")
    seen.set_defaults(work=acknowledge)
    test = verbs.add_parser("test", parents=[common], help="send a test to the addresses (forge secret set alerts)")
    test.set_defaults(work=send_test)


def show(options: argparse.Namespace) -> int:
    """A table of them."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.alerts()
    found.alerts = [alert for alert in found.alerts if options.all or alert.ended is None]
    if options.json:
        print_json(found)
    elif not found.alerts:
        say("No alerts.")
    else:
        print(table(HEAD, [_line(alert) for alert in found.alerts]))
    return OK


def show_rules(options: argparse.Namespace) -> int:
    """A table of them."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.alert_rules()
    if options.json:
        print_json(found)
        return OK
    rows = [
        (
            *(rule.kind, rule.node or "all", "yes" if rule.enabled else "no", f"{rule.threshold:g}"),
            *(f"{rule.recover:g}", f"{rule.minutes:g}"),
        )
        for rule in found.rules
    ]
    print(table(RULES_HEAD, rows))
    say(f"Alerts are sent to {found.targets} addresses; `forge secret set alerts` sets them.")
    if found.trouble is not None:
        say(f"{found.trouble.what} {found.trouble.why} {found.trouble.fix}")
    return OK


def set_rule(options: argparse.Namespace) -> int:
    """Change what was named."""
    from engine.cli.session import controller
    from engine.contract.node_alerts import DEFAULT_RULES

    if not options.defaults and options.kind is None:
        say("Name the kind of alert, or --defaults.")
        return FAILED
    with controller() as client:
        if options.defaults:
            found = client.set_alert_rules(DEFAULT_RULES)
        else:
            found = client.set_alert_rules(changed(client.alert_rules().rules, options))
    if options.json:
        print_json(found)
    else:
        say("The rules were kept.")
    return OK


def changed(rules: list[AlertRule], options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rules with this one changed, or added for its node. Not checked: the controller says what is wrong."""
    from engine.contract.node_alerts import DEFAULT_RULES

    plain = [rule.model_dump(mode="json") for rule in rules]
    mine = [one for one in plain if (one["kind"], one["node"]) == (options.kind, options.node)]
    if not mine:
        usual = [rule.model_dump(mode="json") for rule in (*rules, *DEFAULT_RULES) if rule.kind == options.kind]
        mine = [(*usual, {"kind": options.kind})[0] | {"node": options.node, "enabled": True}]
        plain += mine
    given = {
        "threshold": options.limit, "recover": options.recover, "minutes": options.minutes, "enabled": options.enabled
    }  # fmt: skip
    mine[0].update({name: value for name, value in given.items() if value is not None})
    return plain


def acknowledge(options: argparse.Namespace) -> int:
    """Somebody has seen them."""
    from engine.cli.session import controller
    from engine.contract.node_alerts import Alerts, words

    if not options.ids and not options.all:
        say("Name an alert by its ID, or --all.")
        return FAILED
    with controller() as client:
        ids = list(options.ids)
        if options.all:
            ids += [one.id for one in client.alerts().alerts if one.ended is None and not one.acknowledged]
        found = [client.acknowledge(number) for number in dict.fromkeys(ids)]
    if options.json:
        print_json(Alerts(alerts=found))
        return OK
    for alert in found:
        say(f"{words(alert).what} It is marked as seen{_by(alert)}.")
    if not found:
        say("No alert waits to be seen.")
    return OK


def send_test(options: argparse.Namespace) -> int:
    """Whether alerts arrive."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.test_alerts()
    if options.json:
        print_json(found)
    else:
        print(table(("ADDRESS", "SENT"), [(one.place, "yes" if one.sent else "no") for one in found.results]))
    return OK if all(one.sent for one in found.results) else FAILED


def _line(alert: Alert) -> tuple[str, ...]:
    from engine.contract.node_alerts import words

    return (
        str(alert.id), _moment(alert.began), _moment(alert.ended) if alert.ended is not None else "–",
        f"yes{_by(alert)}" if alert.acknowledged else "no", words(alert).what,
    )  # fmt: skip


def _by(alert: Alert) -> str:
    """By whom and when, where that is known."""
    person = f" by {alert.acknowledged_by}" if alert.acknowledged_by else ""
    return person + (f", {_moment(alert.acknowledged_at)}" if alert.acknowledged_at is not None else "")


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
