"""What ssh says, in our words."""

from __future__ import annotations

import pytest

from engine.control.executors.docker.ssh_words import explain

CHANGED = """@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
The fingerprint for the ED25519 key sent by the remote host is
SHA256:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ.
Host key for box has changed and you have requested strict checking.
Host key verification failed."""
SAID = [
    (CHANGED, "node.host_changed"),
    ("No ED25519 host key is known for box and you have requested strict checking.\nHost key verification failed.",
     "node.host_unknown"),
    ("ada@box: Permission denied (publickey,password).", "node.login_refused"),
    ('Load key "/k": error in libcrypto\nada@box: Permission denied (publickey).', "node.ssh_key_bad"),
    ("WARNING: UNPROTECTED PRIVATE KEY FILE!\nada@box: Permission denied (publickey).", "node.key_open"),
    ("ssh: connect to host box port 22: Connection refused", "node.port_refused"),
    ("ssh: connect to host box port 22: Connection timed out", "node.no_answer"),
    ("ssh: connect to host box port 22: No route to host", "node.no_route"),
    ("ssh: Could not resolve hostname box: Name or service not known", "node.unknown_host"),
    ("kex_exchange_identification: Connection closed by remote host", "node.not_ssh"),
    ("Bad owner or permissions on /root/.ssh/config", "node.ssh_config"),
    ("channel 2: open failed: administratively prohibited: open failed", "node.no_forwarding"),
    ("something new", "node.ssh_failed"),
    ("", "node.no_answer"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code"), SAID)
def test_that_what_ssh_says_has_a_name_and_a_fix(words, code):
    error = explain(words, "box", "ada@box:22", 20, "ada")
    assert error.code == code
    assert error.fix
    assert "{" not in error.text


def test_that_a_changed_key_shows_its_fingerprint():
    assert "SHA256:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ" in explain(CHANGED, "box", "a", 20, "a").why
