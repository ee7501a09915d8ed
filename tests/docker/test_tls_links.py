"""Links over TLS: right and wrong certificates on both sides."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from engine.control.executors.docker import link_folder
from engine.control.executors.docker.validity import valid_until
from tests.helpers.docker_process import free_port
from tests.helpers.docker_profiles import (
    GivenSecrets,
    code_of,
    folders,
    linked,
    nothing_left,  # noqa: F401 - a fixture
    ping,
    tls_profile,
)

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.mark.parametrize(
    ("certificate", "code"),
    [("expired", "node.server_expired"), ("mismatched", "node.server_name"), ("foreign", "node.server_foreign")],
)
def test_that_a_wrong_certificate_of_the_server_is_named(remote_engine, certificate, code):
    with remote_engine.daemon.presenting(certificate), linked(tls_profile(remote_engine)) as link:
        assert code_of(link) == code


@pytest.mark.parametrize("round_", range(5))
@pytest.mark.parametrize(
    ("pair", "code"), [("foreign_client", "node.client_foreign"), ("expired_client", "node.client_expired")]
)
def test_that_a_wrong_certificate_of_ours_is_named(remote_engine, pair, code, round_):
    wrong = getattr(remote_engine.certificates, pair)
    with linked(tls_profile(remote_engine, certificate=str(wrong.cert), key=str(wrong.key))) as link:
        assert code_of(link) == code


def test_that_a_wrong_authority_is_named(remote_engine):
    with linked(tls_profile(remote_engine, ca=str(remote_engine.certificates.foreign_ca))) as link:
        assert code_of(link) == "node.server_foreign"
    with linked(tls_profile(remote_engine, ca="")) as link:
        assert code_of(link) == "node.server_foreign"


def test_that_no_certificate_of_ours_is_named(remote_engine):
    with linked(tls_profile(remote_engine, certificate="", key="")) as link:
        assert code_of(link) in ("node.client_missing", "node.client_foreign")


def test_wrong_files_by_name(remote_engine, tmp_path):
    found, junk = remote_engine.certificates, tmp_path / "junk.pem"
    junk.write_text("not a certificate\n")
    wrong = {
        "node.file_missing": {"ca": str(tmp_path / "nowhere.pem")},
        "node.certificate_bad": {"ca": str(junk)},
        "node.key_of_another": {"key": str(found.foreign_client.key)},
        "node.key_bad": {"key": str(junk)},
        "node.secret_missing": {"key": "keyring:gpu-box"},
    }
    for code, values in wrong.items():
        with linked(tls_profile(remote_engine, **values), GivenSecrets()) as link:
            assert code_of(link) == code


def test_that_a_key_with_a_passphrase_asks_nobody(remote_engine, tmp_path):

    pem = remote_engine.certificates.client.key.read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    locked = tmp_path / "locked.key"
    sealed = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed))
    with linked(tls_profile(remote_engine, key=str(locked))) as link:
        assert code_of(link) == "node.key_locked"


def test_that_keys_may_come_from_the_keyring(remote_engine):
    found = remote_engine.certificates
    kept = GivenSecrets(
        box=found.client.key.read_text().strip(), cert=found.client.cert.read_text(), ca=found.ca.read_text()
    )
    profile = tls_profile(remote_engine, key="keyring:box", certificate="keyring:cert", ca="keyring:ca")
    with linked(profile, kept) as link:
        assert link.ask(ping)
        assert sorted(kept.asked) == ["box", "ca", "cert"]
        assert not any(
            "key" in path.name for folder in folders() for path in Path(link_folder._place(), folder).iterdir()
        )


def test_that_plain_http_on_a_tls_port_is_named(remote_engine):

    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with linked(tls_profile(remote_engine, address=f"127.0.0.1:{server.server_port}")) as link:
            assert code_of(link) == "node.plain_http"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_that_a_refused_port_and_an_unknown_host_are_named(remote_engine):
    with linked(tls_profile(remote_engine, address=f"127.0.0.1:{free_port()}")) as link:
        assert code_of(link) == "node.port_refused"
    with linked(tls_profile(remote_engine, address="no-such-host.invalid:2376")) as link:
        assert code_of(link) == "node.unknown_host"


def test_that_a_certificates_end_is_read(remote_engine):
    from cryptography import x509

    found = remote_engine.certificates
    for pair in (found.client, found.expired_client, found.server):
        right = x509.load_pem_x509_certificate(pair.cert.read_bytes()).not_valid_after_utc.timestamp()
        assert valid_until(pair.cert.read_text()) == right
    assert valid_until("") is None
    assert valid_until("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----") is None
