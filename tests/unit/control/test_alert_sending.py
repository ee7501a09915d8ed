"""Alerts reach a real address, are tried again, and nothing of an address is ever told."""

from __future__ import annotations

import logging
import socket

import pytest

from engine.contract import logs
from engine.contract.errors import Conflict, Refused, UserError
from engine.contract.paths import Home
from engine.control.diagnostics.gather import gather
from engine.control.jobs.alert_sending import Sender, Text, addresses_of
from engine.control.jobs.secrets import SecretStore
from tests.helpers.controller import ControllerProcess, service
from tests.helpers.waiting import wait_until
from tests.helpers.webhook import hook

__all__ = ["service"]
TEXT = Text("GPU 1 of 'box' is hot", "Look at its fans.")


def dead_address() -> str:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return f"json://lin:other-secret@127.0.0.1:{port}"


def test_it_arrives() -> None:
    noted: list[UserError | None] = []
    with hook() as there:
        sender = Sender(lambda: [there.address], noted.append)
        sender.send(TEXT)
        (got,) = wait_until(lambda: there.got, what="the message arrives")
        sender.close()
    assert got["title"] == TEXT.title
    assert got["message"] == TEXT.body
    assert noted == []


def test_a_service_that_refuses_is_asked_again() -> None:
    noted: list[UserError | None] = []
    with hook() as there:
        there.refusals = 2
        sender = Sender(lambda: [there.address], noted.append, pauses=(0.01, 0.01, 0.01))
        sender.send(TEXT)
        wait_until(lambda: there.got, what="the message arrives")
        sender.close()
        assert (there.asked, len(there.got)) == (3, 1)
    assert noted == []


def test_a_failure_is_noted_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    noted: list[UserError | None] = []
    with hook() as there:
        addresses = [there.address, dead_address()]
        sender = Sender(lambda: list(addresses), noted.append, pauses=(0.01,))
        with caplog.at_level(logging.DEBUG):
            for _ in range(3):
                sender.send(TEXT)
            wait_until(lambda: len(there.got) == 3, what="the one that works has all")
            wait_until(lambda: len(noted) == 1, what="the failure is noted")
            del addresses[1]
            sender.send(TEXT)
            wait_until(lambda: len(noted) == 2, what="the end of it is noted")
        sender.close()
    assert noted[0] is not None
    assert noted[0].code == "alerts.not_sent"
    assert noted[0].params == {"failed": 1, "count": 2, "places": "JSON (2)"}
    assert noted[1] is None
    assert "other-secret" not in caplog.text
    assert "pa55word" not in caplog.text
    assert "pa55word" not in str(noted[0])


def test_a_test_says_which_address_took_it() -> None:
    with hook() as there:
        sender = Sender(lambda: [there.address, dead_address()], lambda _error: None)
        assert [(one.place, one.sent) for one in sender.test(TEXT)] == [("JSON (1)", True), ("JSON (2)", False)]
    with pytest.raises(Conflict, match="No address"):
        Sender(list, lambda _error: None).test(TEXT)


@pytest.mark.parametrize(("value", "line"), [("nonsense", 1), ("json://host\nfoo://bar", 2), ("# only this", 1)])
def test_lines_that_are_no_addresses_are_refused_by_number(tmp_path: object, value: str, line: int) -> None:
    home = Home(tmp_path)  # type: ignore[arg-type]
    with pytest.raises(Refused) as refused:
        SecretStore(home).set("alerts", value)
    assert refused.value.params == {"line": line}
    assert "foo" not in str(refused.value)
    assert not SecretStore(home).get("alerts")


def test_several_lines_and_remarks() -> None:
    assert addresses_of("# mine\n json://a \n\nmailto://b\n") == ["json://a", "mailto://b"]


def test_addresses_stand_in_no_log_and_no_diagnostics(tmp_path: object) -> None:
    home = Home(tmp_path)  # type: ignore[arg-type]
    home.root.mkdir(exist_ok=True)
    secret = "T0K3N-in-a-path/B0B/xyzzy99"
    SecretStore(home).set("alerts", f"json://one@host/{secret}\njson://lin:pa55word@mail.example/x")
    assert secret not in logs.scrubbed(f"POST json://one@host/{secret} failed")
    home.controller_log.parent.mkdir(parents=True, exist_ok=True)
    home.controller_log.write_text(
        f"12:00 INFO sending json://one@host/{secret}\n12:01 INFO lin:pa55word@mail.example/x refused\n"
    )
    texts = "\n".join(file.text for file in gather(home, False).files)
    assert "xyzzy99" not in texts
    assert "pa55word" not in texts


@pytest.mark.slow
def test_a_whole_controller_sends_tells_and_lists(service: ControllerProcess) -> None:
    service.start()
    client = service.client
    with pytest.raises(Conflict):
        client.test_alerts()
    with hook() as there:
        client.set_secret("alerts", f"# chat\n{there.address}")
        assert client.alert_rules().targets == 1
        assert [(one.place, one.sent) for one in client.test_alerts().results] == [("JSON (1)", True)]
        assert there.got[0]["message"].startswith("Somebody asked")
    assert client.alerts().alerts == []
    listed = service.forge("alerts", "rules")
    assert "gpu_temperature" in listed.stdout
    assert service.forge("alerts", "set", "gpu_temperature", "--limit", "70", "--recover", "65").returncode == 0
    assert client.alert_rules().rules[0].threshold == 70
    refused = service.forge("alerts", "set", "disk_full", "--limit", "120", "--minutes", "-1")
    assert refused.returncode != 0
    assert "from 1 to 100" in refused.stderr
    assert "from 0 to 10000" in refused.stderr
    assert service.forge("alerts", "set", "--defaults").returncode == 0
    assert client.alert_rules().rules[0].threshold == 85
    assert "No alerts" in service.forge("alerts").stderr
    assert service.forge("alerts", "test").returncode == 1  # nobody listens there any more
    assert service.forge("alerts", "ack", "7").returncode != 0
    assert service.forge("alerts", "ack").returncode != 0  # neither an id nor --all
    assert "No alert waits" in service.forge("alerts", "ack", "--all").stderr
    history = wait_until(lambda: client.node_history("local").series, what="the first reading is kept")
    assert "cpu.utilisation" in history
    assert "pa55word" not in service.home.controller_log.read_text()
    for row in service.home.root.glob("*.json"):
        if row.name != "secrets.json":
            assert "pa55word" not in row.read_text()
