"""`forge node`: the computers runs work on. Add, look at, change, examine, drain, export and import them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.node_words import profile_values, read_profiles, reading, report_table
from engine.cli.output import number, print_json, say, table
from engine.contract.errors import ErrorBody, UserError
from engine.contract.nodes import MoveView, NodeState, NodeView

HEAD = ("NODE", "KIND", "STATE", "ANSWERS", "RUNS", "GPUS", "PRICE", "ADDRESS")
STATES: dict[str, NodeState] = {"drain": "draining", "offline": "offline", "online": "online"}


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    command = commands.add_parser("node", parents=[common], help="the computers runs work on")
    verbs = command.add_subparsers(metavar="WHAT", required=True)
    for name, work, sentence in (
        ("list", show, "all nodes, and how they are"),
        ("add", add, "use one more"),
        ("edit", edit, "change what is named; runs at work there go on"),
        ("remove", remove, "use one no more"),
        ("test", test, "whether a node could be reached like this; nothing is kept"),
        ("doctor", doctor, "examine one: what is right, what is wrong, and its fix"),
        ("drain", set_state, "let its runs end and give it no more"),
        ("offline", set_state, "give it no runs"),
        ("online", set_state, "give it runs again"),
        ("export", export, "write all profiles, without secrets"),
        ("import", take_in, "add or change many from a file; all or none"),
    ):
        verb = verbs.add_parser(name, parents=[common], help=sentence)
        _add_arguments(verb, name)
        if name == "drain":
            verb.add_argument("--move", action="store_true", help="move its runs to other nodes instead of waiting")
        verb.set_defaults(work=work, verb=name)


def _add_arguments(verb: argparse.ArgumentParser, name: str) -> None:
    if name in ("export", "import"):
        verb.add_argument("file", metavar="FILE", nargs="?" if name == "export" else None, help="JSON; - for the pipe")
    elif name != "list":
        verb.add_argument("name", metavar="NODE", help="what it is called")
    if name not in ("add", "edit", "test"):
        return
    verb.add_argument("--kind", help="docker_local, docker_ssh or docker_tls")
    verb.add_argument("--address", help="[user@]host[:port] of ssh, host:port of tls, a socket's path of docker_local")
    verb.add_argument("--key", metavar="FILE|keyring:NAME", help="private key")
    verb.add_argument("--certificate", metavar="FILE|keyring:NAME", help="certificate of the client (tls)")
    verb.add_argument("--ca", metavar="FILE|keyring:NAME", help="authority that signed the server's certificate (tls)")
    verb.add_argument("--host-key", help="the server's public key or its fingerprint (ssh)")
    verb.add_argument("--docker-socket", metavar="PATH", help="the engine's socket over there (ssh)")
    verb.add_argument("--image", help="worker image; '' for that of the settings")
    verb.add_argument("--price", help="of an hour of one GPU; 'none' for none")
    verb.add_argument("--currency", help="as ISO 4217 writes it: EUR")
    verb.add_argument("--max-runs", help="most runs at once; 'auto': one a GPU")
    verb.add_argument("--label", action="append", metavar="KEY=VALUE", help="a label; 'KEY=' takes it away; may repeat")
    verb.add_argument(
        "--mount", action="append", metavar="/there:/here", help="a folder its containers see; may repeat"
    )
    verb.add_argument("--notes", help="for people")


def show(options: argparse.Namespace) -> int:
    """A table of them."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.nodes()
    if options.json:
        print_json(found)
        return OK
    rows = [
        (
            *(node.profile.name, node.profile.kind, node.state, node.reach, f"{len(node.runs)}/{node.slots}"),
            *(reading(node), _price(node.profile.price, node.profile.currency), node.profile.address or "–"),
        )
        for node in found.nodes
    ]
    print(table(HEAD, rows))
    for node in found.nodes:
        if node.error is not None:
            say(f"{node.profile.name}: {node.error.what} {node.error.why} {node.error.fix}".rstrip())
    return OK


def add(options: argparse.Namespace) -> int:
    """Use one more node."""
    from engine.cli.session import controller

    with controller() as client:
        node = client.add_node(profile_values(options, {"name": options.name, "kind": "docker_local"}))
    return _said(options, node, f"{node.profile.name} was added; `forge node doctor {node.profile.name}` examines it")


def edit(options: argparse.Namespace) -> int:
    """Change what was named."""
    from engine.cli.session import controller

    with controller() as client:
        known = client.node(options.name).profile.model_dump(mode="json")
        node = client.edit_node(options.name, profile_values(options, known))
    return _said(options, node, f"{node.profile.name} was changed")


def remove(options: argparse.Namespace) -> int:
    """Use one no more."""
    from engine.cli.session import controller

    with controller() as client:
        client.remove_node(options.name)
    return _said(options, {"removed": options.name}, f"{options.name} was removed")


def test(options: argparse.Namespace) -> int:
    """Try the way to one."""
    from engine.cli.session import controller

    with controller() as client:
        known = {node.profile.name: node.profile for node in client.nodes().nodes}
        begin = known[options.name].model_dump(mode="json") if options.name in known else {"name": options.name}
        report = client.test_node(profile_values(options, {"kind": "docker_local", **begin}))
    return _reported(options, report)


def doctor(options: argparse.Namespace) -> int:
    """Examine one."""
    from engine.cli.session import controller

    with controller() as client:
        report = client.doctor(options.name)
    return _reported(options, report)


def set_state(options: argparse.Namespace) -> int:
    """Drain, offline, online."""
    from engine.cli.session import controller

    with controller() as client:
        node = client.set_node_state(options.name, STATES[options.verb])
        if getattr(options, "move", False):
            return _move_away(options, client, node)
    left = f"; {len(node.runs)} runs are still at work there" if node.runs and node.state != "online" else ""
    return _said(options, node, f"{node.profile.name} is {node.state}{left}")


def _move_away(options: argparse.Namespace, client: Any, node: NodeView) -> int:
    """Every run that works there goes where the scheduler sends it; those that cannot are named, and stay."""
    moved, refused = list[MoveView](), dict[str, ErrorBody]()
    for run in node.runs:
        try:
            moved.append(client.move_run(run.uid))
        except UserError as error:
            refused[run.name] = error.body()
    if options.json:
        errors = {name: body.model_dump(mode="json") for name, body in refused.items()}
        print_json({"moves": [move.model_dump(mode="json") for move in moved], "errors": errors})
    else:
        print(f"{node.profile.name} is {node.state}; {len(moved)} of {len(node.runs)} runs are being moved away")
        for name, body in refused.items():
            say(f"{name}: {body.what} {body.why} {body.fix}".rstrip())
    return FAILED if refused else OK


def export(options: argparse.Namespace) -> int:
    """Into a file, or out of the pipe."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.export_nodes()
    text = json.dumps(found.model_dump(mode="json"), ensure_ascii=False, indent=2) + "\n"
    if options.file in (None, "-"):
        sys.stdout.write(text)
        return OK
    Path(options.file).write_text(text, "utf-8")
    return _said(options, {"file": options.file, "nodes": len(found.nodes)}, f"{len(found.nodes)} nodes are in it")


def take_in(options: argparse.Namespace) -> int:
    """Add or change many."""
    from engine.cli.session import controller

    content = read_profiles(options.file)
    with controller() as client:
        found = client.import_nodes(content)
    return _said(options, found, f"{len(content.get('nodes', []))} nodes were taken in")


def _said(options: argparse.Namespace, content: Any, sentence: str) -> int:
    if options.json:
        print_json(content)
    else:
        print(sentence)
    return OK


def _reported(options: argparse.Namespace, report: Any) -> int:
    if options.json:
        print_json(report)
    else:
        print(report_table(report))
    return OK if all(check.state != "bad" for check in report.checks) else FAILED


def _price(price: float | None, currency: str) -> str:
    return "–" if price is None else f"{number(price)} {currency}"
