"""`forge serve`: a model with adapters as an OpenAI-compatible server; `forge serve-keys`: who may ask it."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from engine.cli.exits import OK
from engine.cli.output import moment, print_json, say, table
from engine.cli.session import add_run_argument
from engine.contract.errors import Refused, UserError
from engine.contract.paths import expanded

if TYPE_CHECKING:
    from engine.client.client import ControllerClient
    from engine.contract.serving import Instance, NewKey

KEY_VARIABLE = "FORGE_API_KEY"
NUMBERS = {"context": int, "parallel": int, "requests_per_minute": int, "tokens_per_minute": int, "idle_minutes": float}


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    from engine.cli.served_model import add_model_arguments
    from engine.contract.serving import SCOPES, ServeJob

    command = commands.add_parser("serve", parents=[common], help="answer in OpenAI's form with a model and adapters")
    add_model_arguments(command)
    command.add_argument("--name", default="", help="of the run")
    command.add_argument("--served-name", default="", metavar="NAME", help="the base model's name in requests")
    command.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    command.add_argument("--port", type=int, default=0, help="0: any that is free")
    command.add_argument(
        "--api-key", metavar="KEY", help=f"a key of your own; - reads it from standard input, and {KEY_VARIABLE} is "
        "taken too: others see what stands on a command line. Without one a key is made and shown once",
    )  # fmt: skip
    command.add_argument("--open", action="store_true", help="answer without a key, on this computer only")
    for name, kind in NUMBERS.items():
        text = ServeJob.model_fields[name].description
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N", help=text)
    command.add_argument(
        "--route-model", default="", metavar="FOLDER", help="a sentence-embedding model by which 'auto' chooses an "
        "adapter; without one the base model compares",
    )  # fmt: skip
    command.add_argument("--detach", action="store_true", help="go on without this command once it answers")
    command.set_defaults(work=work)
    keys = commands.add_parser("serve-keys", parents=[common], help="list, make, rotate and revoke keys of an instance")
    add_run_argument(keys)
    deed = keys.add_mutually_exclusive_group()
    deed.add_argument("--make", metavar="NAME", help="a new key, shown this once")
    keys.add_argument("--tenant", default="", help="of the new key")
    keys.add_argument("--tier", type=int, default=1, help="of the new key: 0 is answered first (1)")
    keys.add_argument("--scope", action="append", choices=SCOPES, help="of the new key; may be repeated")
    keys.add_argument("--days", type=float, help="after which it ends")
    deed.add_argument("--rotate", metavar="ID", help="another key in its place; it goes on for --hours")
    keys.add_argument("--hours", type=float, default=24.0, help="(24)")
    deed.add_argument("--revoke", metavar="ID", help="refuse it from now on")
    keys.set_defaults(work=keys_work)


def work(options: argparse.Namespace) -> int:
    """Start it, say where it answers, and stay until somebody ends it."""
    from engine.cli.served_model import job_of, until_ready
    from engine.cli.session import controller

    settings = {name: getattr(options, name) for name in NUMBERS if getattr(options, name) is not None}
    settings |= {"host": options.host, "port": options.port, "open": options.open, "served_name": options.served_name}
    settings["route_model"] = str(expanded(options.route_model).absolute()) if options.route_model else ""
    with controller() as client:
        job, model = job_of(options, client, settings)
        asked = None if options.open else _key(options.api_key)
        run = client.serve(job, options.name, gpus=options.gpus, start=False)
        key = ""
        try:
            if asked is not None:
                made = client.make_serve_key(run.uid, asked).key
                key = made if asked.key is None else ""
            client.start(run.uid)
        except UserError:  # nobody asked for a draft
            client.delete(run.uid)
            raise
        try:
            instance = until_ready(client, run.uid, options.json)
        except KeyboardInterrupt:
            client.stop(run.uid)
            return OK
        _tell(instance, model, key, options)
        if options.detach:
            return OK
        return _stay(client, run.uid)


def _key(given: str | None) -> NewKey:
    """A key to ask with: the person's own, or one that is made."""
    from pydantic import SecretStr, ValidationError

    from engine.contract.serving import NewKey

    own = sys.stdin.readline().strip() if given == "-" else given or os.environ.get(KEY_VARIABLE, "")
    try:
        return NewKey(name="forge serve", key=SecretStr(own) if own else None)
    except ValidationError:
        raise Refused("serve.key_form") from None


def _tell(instance: Instance, model: str, key: str, options: argparse.Namespace) -> None:
    if options.json:
        print_json({**instance.model_dump(mode="json"), "model": model, "key": key})
        return
    print(f"{instance.run}  answers at {instance.address}/v1  as {', '.join(instance.models)}")
    if key:
        print(f"key (shown this once): {key}")
    header = "" if options.open else f" -H 'Authorization: Bearer ${KEY_VARIABLE}'"
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    print(f"curl {instance.address}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{body}'")
    sys.stdout.flush()


def _stay(client: ControllerClient, uid: str) -> int:
    """Until it ends; Ctrl-C ends it."""
    from engine.cli.exits import exit_code_of_state
    from engine.cli.run import wait

    say("Ctrl-C stops it.")
    try:
        return exit_code_of_state(wait(client, uid, quiet=True).run.state)
    except KeyboardInterrupt:
        client.stop(uid)
        return OK


def keys_work(options: argparse.Namespace) -> int:
    """Keys of an instance."""
    from engine.cli.session import controller, find_run
    from engine.contract.serving import MadeKey

    made: MadeKey | None = None
    asked = None if options.make is None else _asked(options)
    with controller() as client:
        uid = find_run(client, options.run).uid
        if asked is not None:
            made = client.make_serve_key(uid, asked)
        elif options.rotate:
            made = client.rotate_serve_key(uid, options.rotate, options.hours)
        elif options.revoke:
            client.revoke_serve_key(uid, options.revoke)
        kept = client.serve_keys(uid)
    if options.json:
        print_json({"made": made.model_dump(mode="json") if made else None, "keys": [one.model_dump() for one in kept]})
        return OK
    if made is not None:
        print(f"key (shown this once): {made.key}")
    rows = [
        (one.id, one.hint + "…", one.name, one.tenant, str(one.tier), ", ".join(one.scopes),
         moment(one.expires) if one.expires else "")
        for one in kept
    ]  # fmt: skip
    print(table(("ID", "KEY", "NAME", "TENANT", "TIER", "SCOPES", "ENDS"), rows))
    return OK


def _asked(options: argparse.Namespace) -> NewKey:
    """The key of these options; refused with all that is wrong."""
    from pydantic import ValidationError

    from engine.contract.config_file import problem_of
    from engine.contract.serving import NewKey

    plain = {"name": options.make, "tenant": options.tenant, "tier": options.tier, "days": options.days}
    scopes = {"scopes": tuple(options.scope)} if options.scope else {}
    try:
        return NewKey.model_validate({**plain, **scopes})
    except ValidationError as error:
        problems = [problem_of(dict(detail), NewKey) for detail in error.errors()]
        raise Refused("request.refused", problems=problems) from None
