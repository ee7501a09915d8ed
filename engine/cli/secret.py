"""`forge secret`: tokens of hubs and the proxy's login. Values come from a prompt or standard input, never as words."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from engine.cli.exits import FAILED, OK
from engine.cli.output import print_json, say, table

NAMES = ("huggingface", "modelscope", "proxy")
PLACES = {"": "–", "keyring": "the system's keyring", "file": "a file only you can read"}


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    command = commands.add_parser("secret", parents=[common], help="tokens of hubs and the proxy's login")
    verbs = command.add_subparsers(metavar="WHAT", required=True)
    for name, work, sentence in (
        ("list", show, "which are set, and where they are kept"),
        ("set", put, "keep one; asks for it, or reads standard input"),
        ("delete", delete, "forget one"),
        ("check", check, "ask the hub, or the proxy, whether it takes it"),
    ):
        verb = verbs.add_parser(name, parents=[common], help=sentence)
        if name != "list":
            known = f"one of {', '.join(NAMES)} (proxy is user:password), or node/NODE/key, …/certificate, …/ca"
            verb.add_argument("name", metavar="NAME", help=known)
        verb.set_defaults(work=work)


def show(options: argparse.Namespace) -> int:
    """All of them."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.secrets()
    if options.json:
        print_json(found)
        return OK
    rows = [(one.name, "yes" if one.is_set else "no", PLACES[one.place]) for one in found.secrets]
    print(table(("SECRET", "SET", "KEPT IN"), rows))
    return OK


def put(options: argparse.Namespace) -> int:
    """Keep one."""
    from engine.cli.session import controller

    value = _asked(options.name)
    with controller() as client:
        found = client.set_secret(options.name, value.strip())
    if options.json:
        print_json(found)
    else:
        print(f"{found.name}: kept in {PLACES[found.place]}")
    return OK


def _asked(name: str) -> str:
    """The value: of a node all of standard input, for keys have many lines."""
    if name not in NAMES:
        if sys.stdin.isatty():
            say("Paste it, then press Ctrl-D on a line of its own.")
        return sys.stdin.read()
    asked = "user:password of the proxy: " if name == "proxy" else f"Token of {name}: "
    return getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline()


def delete(options: argparse.Namespace) -> int:
    """Forget one."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.delete_secret(options.name)
    if options.json:
        print_json(found)
    else:
        print(f"{found.name}: forgotten")
    return OK


def check(options: argparse.Namespace) -> int:
    """Ask who knows."""
    from engine.cli.session import controller

    with controller() as client:
        found = client.check_secret(options.name)
    if options.json:
        print_json(found)
    else:
        whose = f", it belongs to {found.account}" if found.account else ""
        print(f"{options.name}: {'accepted' if found.accepted else 'not accepted'}{whose}")
    return OK if found.accepted else FAILED
