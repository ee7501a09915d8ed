"""`forge secret`: tokens of hubs and the proxy's login. Values come from a prompt or standard input, never as words."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from engine.cli.exits import FAILED, OK
from engine.cli.output import print_json, say, table

if TYPE_CHECKING:  # imported by who needs it: a command's first word comes quickly
    from engine.client.client import ControllerClient
    from engine.contract.secrets import SecretCheck, Secrets

T = TypeVar("T")

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
            known = f"one of {', '.join(NAMES)} (proxy is user:password), node/NODE/key (…/certificate, …/ca),"
            known += " wandb, swanlab or mlflow (keys of trackers), alerts (addresses of Apprise, one a line)"
            known += " or artifacts (ACCESS_KEY:SECRET_KEY of the bucket)"
            verb.add_argument("name", metavar="NAME", help=known)
        verb.set_defaults(work=work)


def show(options: argparse.Namespace) -> int:
    """All of them."""
    _told(options, lambda client: client.secrets(), _as_table)
    return OK


def put(options: argparse.Namespace) -> int:
    """Keep one."""
    value = _asked(options.name)
    _told(
        options,
        lambda client: client.set_secret(options.name, value.strip()),
        lambda found: f"{found.name}: kept in {PLACES[found.place]}",
    )
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
    _told(options, lambda client: client.delete_secret(options.name), lambda found: f"{found.name}: forgotten")
    return OK


def check(options: argparse.Namespace) -> int:
    """Ask who knows."""

    def said(found: SecretCheck) -> str:
        whose = f", it belongs to {found.account}" if found.account else ""
        return f"{options.name}: {'accepted' if found.accepted else 'not accepted'}{whose}"

    found = _told(options, lambda client: client.check_secret(options.name), said)
    return OK if found.accepted else FAILED


def _told(options: argparse.Namespace, ask: Callable[[ControllerClient], T], say: Callable[[T], str]) -> T:
    """The controller's answer, and it printed: as JSON where that is wanted, else in words."""
    from engine.cli.session import controller

    with controller() as client:
        found = ask(client)
    if options.json:
        print_json(found)
    else:
        print(say(found))
    return found


def _as_table(found: Secrets) -> str:
    rows = [(one.name, "yes" if one.is_set else "no", PLACES[one.place]) for one in found.secrets]
    return table(("SECRET", "SET", "KEPT IN"), rows)
