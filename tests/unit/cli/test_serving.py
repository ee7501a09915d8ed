"""`forge serve`, `forge serve-keys` and `forge chat` with a controller that is made up: what goes wrong is said."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from engine.cli import exits, session
from engine.cli.__main__ import main
from engine.client.serving import Piece
from engine.contract.errors import Refused
from engine.contract.serving import Instance, NewKey, make_key
from engine.contract.states import RunState

RUN = SimpleNamespace(uid="run1", name="Serve demo", state=RunState.DRAFT, phase="", error=None)


class Controller:
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.keys: list[NewKey] = []
        self.refuses = self.ready = False
        self.said: list[dict[str, object]] = []

    def run(self, uid: str) -> SimpleNamespace:
        """The only one."""
        return SimpleNamespace(run=RUN)

    def serve(self, job, name="", tags=(), start=True, gpus=None) -> SimpleNamespace:
        """A draft."""
        self.did.append("draft")
        return RUN

    def make_serve_key(self, uid: str, asked: NewKey):
        """One more."""
        self.keys.append(asked)
        return make_key(asked, "k1", 0.0)

    def serve_keys(self, uid: str) -> list[object]:
        """None are told."""
        return []

    def start(self, uid: str) -> None:
        """It begins, or is refused."""
        if self.refuses:
            raise Refused("config.refused", count=1)
        self.did.append("start")

    def delete(self, uid: str) -> None:
        """It is gone."""
        self.did.append("delete")

    def instance(self, uid: str) -> Instance:
        """Where it answers."""
        return Instance(run=uid, ready=self.ready, address="http://127.0.0.1:1", models=["demo"])

    def chat_stream(self, run, body, stop):
        """Two words and the account."""
        self.said.append(body)
        yield from (Piece(text="Hello"), Piece(text=" you", finish="stop", times={"answer": 2, "prompt": 9}))


@pytest.fixture
def controller(monkeypatch, tmp_path):
    made = Controller()

    @contextmanager
    def opened():
        yield made

    monkeypatch.setenv("FORGE_HOME", str(tmp_path))
    monkeypatch.delenv("FORGE_API_KEY", raising=False)
    monkeypatch.setattr(session, "controller", opened)
    return made


def test_that_a_key_that_cannot_be_leaves_no_draft(controller, capsys):
    assert main(["serve", "--model", "demo", "--api-key", "short"]) == exits.USAGE
    assert "16 to 200" in capsys.readouterr().err
    assert controller.did == []


def test_that_a_model_that_is_refused_leaves_no_draft(controller):
    controller.refuses = True
    assert main(["serve", "--model", "demo", "--open"]) == exits.USAGE
    assert controller.did == ["draft", "delete"]


def test_that_a_key_of_ones_own_is_not_told_again(controller, capsys):
    controller.ready = True
    assert main(["serve", "--model", "demo", "--detach", "--api-key", "my-own-key-0123456789"]) == exits.OK
    assert main(["serve", "--model", "demo", "--detach"]) == exits.OK
    own, made = controller.keys
    assert (own.key.get_secret_value(), made.key) == ("my-own-key-0123456789", None)
    told = capsys.readouterr().out
    assert "my-own-key" not in told
    assert told.count("key (shown this once): lf-") == 1


@pytest.mark.parametrize(
    ("more", "field"),
    [
        (["--days", "-1"], "days"),
        (["--tier", "12"], "tier"),
        (["--tenant", "a/b"], "tenant"),
        (["--days", "nan"], "days"),
    ],
)
def test_that_a_key_that_cannot_be_made_is_refused_by_its_field(controller, capsys, more, field):
    assert main(["serve-keys", "run1", "--make", "x", *more]) == exits.USAGE
    assert f"- {field}" in capsys.readouterr().err
    assert controller.keys == []


def test_that_a_key_is_made_or_rotated_or_revoked(controller):
    with pytest.raises(SystemExit):
        main(["serve-keys", "run1", "--make", "x", "--rotate", "y"])
    with pytest.raises(SystemExit):
        main(["serve-keys", "run1", "--rotate", "x", "--revoke", "y"])


def test_that_an_answer_in_json_is_the_answer(controller, capsys):
    controller.ready = True
    assert main(["chat", "--instance", "run1", "--json", "Hi"]) == exits.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["answer"], told["finish"], told["forge"]["answer"]) == ("Hello you", "stop", 2)


def test_that_nobody_waits_for_a_draft(controller, capsys):
    assert main(["chat", "--instance", "run1", "Hi"]) == exits.CONFLICT
    assert "draft" in capsys.readouterr().err


def test_that_what_is_no_utf8_is_refused_and_the_talk_goes_on(controller, capsys, monkeypatch):
    controller.ready = True
    lines = io.TextIOWrapper(io.BytesIO("Grüß\n".encode() + b"H\xff\nHi\n"), "utf-8", errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", lines)
    assert main(["chat", "--instance", "run1"]) == exits.OK
    assert "From byte 1 on" in capsys.readouterr().err
    asked = [body["messages"][-1]["content"] for body in controller.said]
    assert asked == ["Grüß", "Hi"]
