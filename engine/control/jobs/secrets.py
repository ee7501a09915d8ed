"""Tokens, the proxy's login, nodes' keys: in the system's keyring, or a file only its owner can read. Never told.

Nothing of a value reaches the history, a log or an answer. What waits for a keyring may wait for a person: call it
on a thread.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from typing import Any, get_args

from engine.contract import logs
from engine.contract.artifact_place import ARTIFACT_SECRET
from engine.contract.datasets import ImportJob
from engine.contract.durable import write_durably
from engine.contract.errors import NotFound, Refused, UserError
from engine.contract.hubs import HUBS
from engine.contract.network import models_of
from engine.contract.paths import AttemptFolder, Home
from engine.contract.run_spec import RunSpec, TrainJob
from engine.contract.sampling import SampleJob
from engine.contract.secrets import (
    ALERT_SECRET,
    NODE_SECRET,
    TRACKER_SECRETS,
    GivenSecrets,
    SecretInfo,
    SecretName,
    Secrets,
)
from engine.contract.serving import ServeJob
from engine.control.jobs import alert_sending

log = logging.getLogger(__name__)
NAMES: tuple[SecretName, ...] = get_args(SecretName)
PROXY: SecretName = "proxy"
SERVICE = "LoRAForge"
USABLE_PRIORITY = 1
"""The keyring library's mark for a store that is safe; those below keep plain text, or nothing."""
LONGEST = 4096
LONGEST_KEY = 65_536


class SecretStore:
    """The secrets of one home. The file says which are set and where; values stand in it only without a keyring."""

    def __init__(self, home: Home) -> None:
        self._file = home.secrets_file
        self._service = f"{SERVICE} {home.root}"
        self._lock = threading.Lock()

    def listed(self) -> Secrets:
        """Which are set."""
        kept = self._read()
        return Secrets(secrets=[_info(name, kept) for name in (*NAMES, *sorted(kept.keys() - set(NAMES)))])

    def set(self, name: str, value: str) -> SecretInfo:
        """Keep it, in place of what was there."""
        known, value = known_name(name), value.strip()
        _refuse_bad(known, value)
        logs.hide(*_hidden(known, value))
        with self._lock:
            kept = self._read()
            kept[known] = {"place": "keyring"} if self._keep(known, value) else {"place": "file", "value": value}
            self._write(kept)
            return _info(known, kept)

    def delete(self, name: str) -> SecretInfo:
        """Forget it."""
        known = known_name(name)
        with self._lock:
            kept = self._read()
            if known not in kept:
                raise NotFound("secret.not_set", name=known)
            if kept.pop(known).get("place") == "keyring":
                self._drop(known)
            self._write(kept)
            return _info(known, kept)

    def get(self, name: str) -> str:
        """Its value; empty where none is set."""
        entry = self._read().get(known_name(name))
        if entry is None:
            return ""
        value = str(entry.get("value", "")) if entry.get("place") == "file" else self._ask(name)
        logs.hide(*_hidden(name, value))
        return value

    def given(self, hub: str, trackers: Sequence[str] = ()) -> GivenSecrets:
        """What somebody who asks this hub, and sends to these trackers, must know."""
        names: list[str] = [name for name in NAMES if hub and name in (hub, PROXY)]
        names += [name for name in TRACKER_SECRETS if name in trackers]
        return GivenSecrets.model_validate({name: value for name in names if (value := self.get(name))})

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._file.read_bytes())
            return {name: dict(entry) for name, entry in found.items() if is_name(name)}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            detail = f"{type(error).__name__}."
            raise UserError("secret.unreadable", file=str(self._file), detail=detail) from None

    def _write(self, kept: dict[str, dict[str, Any]]) -> None:
        write_durably(self._file, json.dumps(kept).encode(), 0o600)

    def _keep(self, name: str, value: str) -> bool:
        """Into the keyring; False where there is none that is safe, or it does not want to."""
        try:
            import keyring

            if keyring.get_keyring().priority < USABLE_PRIORITY:
                return False
            keyring.set_password(self._service, name, value)
            return bool(keyring.get_password(self._service, name) == value)
        except Exception as error:  # noqa: BLE001 - backends raise what they like, and a file is as good
            log.warning("the keyring does not take the secret '%s' (%s): a file has it", name, type(error).__name__)
            return False

    def _ask(self, name: str) -> str:
        try:
            import keyring

            value = keyring.get_password(self._service, name)
        except Exception as error:  # noqa: BLE001 - as above
            detail = f"{type(error).__name__}."
            raise UserError("secret.keyring_closed", name=name, detail=detail) from None
        if value is None:
            raise UserError("secret.keyring_closed", name=name, detail="It is not in there any more.")
        return str(value)

    def _drop(self, name: str) -> None:
        try:
            import keyring

            keyring.delete_password(self._service, name)
        except Exception as error:  # noqa: BLE001 - as above; the person no longer wants it used, and it is not
            log.warning("the keyring did not give up the secret '%s' (%s)", name, type(error).__name__)


def is_name(name: str) -> bool:
    """Whether a secret may be called so."""
    return name in (*NAMES, *TRACKER_SECRETS, ALERT_SECRET, ARTIFACT_SECRET) or NODE_SECRET.fullmatch(name) is not None


def known_name(name: str) -> str:
    """The name, if it is one."""
    if not is_name(name):
        raise NotFound(
            "secret.unknown",
            name=name[:100],
            known=", ".join((*NAMES, *TRACKER_SECRETS, ALERT_SECRET, ARTIFACT_SECRET, "node/NAME/key")),
        )
    return name


def hub_name(name: str) -> SecretName:
    """The name, if it is that of a hub or of the proxy: those can be tried."""
    for known in NAMES:
        if known == name:
            return known
    raise NotFound("secret.unknown", name=name[:100], known=", ".join(NAMES))


def _refuse_bad(name: str, value: str) -> None:
    """Nothing that could not stand in a header; of a node, in a file of text."""
    if name not in NAMES:
        if not 0 < len(value) <= LONGEST_KEY or not value.replace("\n", "").replace("\r", "").isprintable():
            raise Refused("secret.bad", name=name)
        if name == ALERT_SECRET:
            alert_sending.refuse_bad(value)
        if name in TRACKER_SECRETS and not _is_token(value):
            raise Refused("secret.bad", name=name)
        if name == ARTIFACT_SECRET and not (_is_token(value) and all(value.partition(":"))):
            raise Refused("secret.artifacts_form")
        return
    if not 0 < len(value) <= LONGEST or not value.isprintable() or (name != PROXY and not _is_token(value)):
        raise Refused("secret.bad", name=name)
    if name == PROXY and ":" not in value:
        raise Refused("secret.proxy_form")


def _hidden(name: str, value: str) -> list[str]:
    """What must never stand in a log: the value, and each part of it that is a secret by itself."""
    if name in (PROXY, ARTIFACT_SECRET):
        return [value, value.partition(":")[2]]
    if name == ALERT_SECRET:
        addresses = [line.strip() for line in value.splitlines()]
        return [value, *addresses, *(line.partition("://")[2] for line in addresses)]
    return [value]


def _is_token(value: str) -> bool:
    return value.isascii() and not any(letter.isspace() for letter in value)


def _info(name: str, kept: dict[str, dict[str, Any]]) -> SecretInfo:
    place = kept.get(name, {}).get("place", "")
    return SecretInfo(name=name, is_set=name in kept, place=place if place in ("keyring", "file") else "")


def needed(spec: RunSpec, store: SecretStore) -> GivenSecrets:
    """What a run's worker must be told; nothing, where it asks no hub."""
    hub, trackers = "local", list[str]()
    if isinstance(spec.job, TrainJob | SampleJob | ServeJob):
        asked = [source.hub for source in models_of(spec.job) if source.hub in (*HUBS, "url")]
        hub, trackers = next(iter(asked), "local"), spec.job.watching.trackers if isinstance(spec.job, TrainJob) else []
    elif isinstance(spec.job, ImportJob):
        hub = spec.job.source.kind
    hub = hub if hub in (*HUBS, "url") else ""
    given = store.given(hub, trackers) if hub or trackers else GivenSecrets()
    target = spec.job.outputs.push.hub if isinstance(spec.job, TrainJob) else "none"
    return _both(given, store.given(target)) if target not in ("none", hub) else given


def _both(one: GivenSecrets, other: GivenSecrets) -> GivenSecrets:
    names = GivenSecrets.model_fields
    return GivenSecrets.model_validate(
        {name: value for name in names if (value := one.plain(name) or other.plain(name))}
    )


def hand_over(folder: AttemptFolder, given: GivenSecrets) -> None:
    """Put them where the worker looks first, and removes them."""
    plain = {name: value for name in (*NAMES, *TRACKER_SECRETS) if (value := given.plain(name))}
    if plain:
        write_durably(folder.secrets, json.dumps(plain).encode(), 0o600)
