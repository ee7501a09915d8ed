"""`forge chat`: talk with a model and its adapters in the terminal."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from engine.cli.exits import OK
from engine.cli.output import print_json, say
from engine.contract.errors import UserError

if TYPE_CHECKING:
    from engine.client.client import ControllerClient

IDLE_MINUTES = 10.0
HELP = "/model NAME asks another model, /system TEXT sets the system prompt, /reset begins anew, /quit ends."


def register(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    from engine.cli.served_model import add_model_arguments

    command = commands.add_parser("chat", parents=[common], help="talk with a model and its adapters")
    command.add_argument("prompt", nargs="?", help="ask this and end; without it, line by line")
    add_model_arguments(command)
    command.add_argument("--instance", metavar="RUN", help="an instance that is there already, in place of a model")
    command.add_argument("--ask", metavar="NAME", help="which of its models to ask")
    command.add_argument("--system", default="", help="system prompt")
    command.add_argument("--temperature", type=float, help="0: the likeliest token each time")
    command.add_argument("--max-tokens", type=int, default=512, metavar="N", help="longest answer (512)")
    command.add_argument("--seed", type=int)
    command.set_defaults(work=work)


def work(options: argparse.Namespace) -> int:
    """Find or start an instance, and talk."""
    from engine.cli.served_model import job_of, until_ready
    from engine.cli.session import controller, find_run

    with controller() as client:
        own = ""
        if options.instance:
            uid, model = find_run(client, options.instance).uid, ""
        else:
            if not options.model and not options.run:
                options.model = "demo"
            job, model = job_of(options, client, {"idle_minutes": IDLE_MINUTES})
            uid = own = client.serve(job, f"Chat {job.base_name}", ("chat",), gpus=options.gpus).uid
        try:
            instance = until_ready(client, uid, options.json)
            talk = Talk(client, uid, options, options.ask or model or instance.models[0])
            if options.prompt is not None:
                talk.say(options.prompt)
            else:
                talk.go_on()
        except KeyboardInterrupt:
            say("")
        finally:
            if own:
                client.stop(own)
    return OK


class Talk:
    """What was said so far."""

    def __init__(self, client: ControllerClient, run: str, options: argparse.Namespace, model: str) -> None:
        self._client, self._run, self._options, self._model = client, run, options, model
        self._system, self._said = options.system, list[dict[str, str]]()

    def go_on(self) -> None:
        """Line by line, until the input ends."""
        asking = sys.stdin.isatty()
        if asking:
            say(f"You talk with {self._model}. {HELP}")
        while True:
            if asking:
                print("> ", end="", flush=True)
            line = sys.stdin.readline()
            if not line or line.strip() == "/quit":
                return
            if not line.strip() or self._obeyed(line.strip()):
                continue
            try:
                self.say(line.rstrip("\n"))
            except UserError as error:  # the next one may be answered
                self._said.pop()
                say(error.text)

    def _obeyed(self, line: str) -> bool:
        """A word to this command, not to the model."""
        word, _, rest = line.partition(" ")
        if word == "/model" and rest:
            self._model = rest.strip()
        elif word == "/system":
            self._system = rest.strip()
        elif word == "/reset":
            self._said.clear()
        elif word == "/help":
            say(HELP)
        else:
            return False
        return True

    def say(self, text: str) -> None:
        """Ask, and print the answer as it comes."""
        from engine.client.serving import Stop

        self._said.append({"role": "user", "content": text})
        before = [{"role": "system", "content": self._system}] if self._system else []
        body: dict[str, Any] = {"model": self._model, "messages": before + self._said}
        _in_utf8(before + self._said)
        body["max_tokens"] = self._options.max_tokens
        chosen = {"temperature": self._options.temperature, "seed": self._options.seed}
        body |= {name: value for name, value in chosen.items() if value is not None}
        answer, times, finish = "", dict[str, Any](), ""
        for piece in self._client.chat_stream(self._run, body, Stop()):
            answer, times, finish = answer + piece.text, piece.times or times, piece.finish or finish
            if not self._options.json:
                print(piece.text, end="", flush=True)
        if self._options.json:
            print_json({"model": self._model, "answer": answer, "finish": finish, "forge": times})
        else:
            print(flush=True)
        self._said.append({"role": "assistant", "content": answer})


def _in_utf8(said: list[dict[str, str]]) -> None:
    """Refuse bytes that are no letters: a terminal hands them on as halves of characters."""
    for one in said:
        try:
            one["content"].encode()
        except UnicodeEncodeError as error:
            raise UserError("serve.not_utf8", place=len(one["content"][: error.start].encode())) from None
