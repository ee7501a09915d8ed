"""What is wrong with a node's profile: all of it, in plain words. The form, the API and the import ask here."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.contract.errors import Problem
from engine.contract.node_address import host_key, is_keyring_name, keyring_name, socket_path, ssh_address, tls_address
from engine.contract.nodes import KINDS, LOCAL, NAME, NodeProfile
from engine.contract.paths import expanded

MOST_MOUNTS = 64
MOST_LABELS = 64
LONGEST_VALUE = 200
RESERVED = ("/", "/job", "/tmp", "/proc", "/sys", "/dev", "/etc", "/usr", "/bin", "/lib", "/lib64", "/opt")
"""Folders of a container that its image or the program needs itself."""
FORMS = {"docker_ssh": "[user@]host[:port]", "docker_tls": "host:port", "docker_local": "/path/to/docker.sock"}
_IMAGE = re.compile(r"[a-z0-9][\w./:@-]{0,255}")
_LABEL = re.compile(r"[A-Za-z0-9][\w./-]{0,62}")
_BEGIN = "-----BEGIN"
_NUMBERS = ("float_parsing", "int_parsing", "int_from_float", "float_type", "int_type", "finite_number")
_LIMITS = {
    "greater_than_equal": ("settings.least", "least", "ge"),
    "greater_than": ("node.above", "above", "gt"),
    "less_than_equal": ("settings.most", "most", "le"),
}


def problems_of(values: Mapping[str, Any], look: bool = True) -> list[Problem]:
    """Every problem of these values of a profile, each with its field. `look`: whether the files it names are there."""
    unknown = list(_unknown(values))
    return unknown + _problems(
        {name: value for name, value in values.items() if name in NodeProfile.model_fields}, look
    )


def _problems(values: Mapping[str, Any], look: bool) -> list[Problem]:
    try:
        profile = NodeProfile.model_validate(dict(values))
    except ValidationError as error:
        found = [_form_of(dict(detail)) for detail in error.errors()]
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        rest = {name: value for name, value in values.items() if name not in wrong}
        stand_in = {"name": "node"} if "name" in wrong else {}
        return found + (_problems({**rest, **stand_in}, look) if wrong - set(stand_in) or stand_in else [])
    return [*_own(profile), *_way(profile), *_references(profile, look), *_mounts(profile), *_numbers(profile)]


def _unknown(values: Mapping[str, Any]) -> Iterator[Problem]:
    for name in values:
        if name not in NodeProfile.model_fields:
            near = difflib.get_close_matches(str(name), list(NodeProfile.model_fields), 1)
            code = "node.unknown_setting_near" if near else "node.unknown_setting"
            yield Problem(code=code, field=str(name), params={"near": near[0] if near else ""})


def _form_of(detail: dict[str, Any]) -> Problem:
    """What pydantic found, by our own words."""
    field, kind, limits = ".".join(map(str, detail["loc"])), str(detail["type"]), detail.get("ctx", {})
    if kind == "missing" or (kind == "string_too_short"):
        return Problem(code="node.missing", field=field)
    if kind in _NUMBERS or (isinstance(detail["input"], float) and not math.isfinite(detail["input"])):
        return Problem(code="settings.number", field=field, params={"value": str(detail["input"])})
    if kind in _LIMITS:
        code, name, limit = _LIMITS[kind]
        return Problem(code=code, field=field, params={name: f"{limits[limit]:,}"})
    if kind == "string_too_long":
        return Problem(code="node.too_long", field=field, params={"most": limits["max_length"]})
    if field == "currency":
        return Problem(code="settings.currency", field=field, params={"value": str(detail["input"])})
    if field == "kind":
        return Problem(code="node.kind", field=field, params={"value": detail["input"], "kinds": ", ".join(KINDS)})
    return Problem(code="settings.value", field=field, params={"detail": str(detail["msg"])})


def _own(profile: NodeProfile) -> Iterator[Problem]:
    """Name, image, labels."""
    if not NAME.fullmatch(profile.name):
        yield Problem(code="node.bad_name", field="name", params={"name": profile.name})
    elif (profile.name == LOCAL) != (profile.kind == "process"):
        yield Problem(code="node.name_of_local", field="name", params={"name": LOCAL})
    if profile.image and not _IMAGE.fullmatch(profile.image):
        yield Problem(code="node.image_form", field="image", params={"image": profile.image})
    if len(profile.labels) > MOST_LABELS:
        yield Problem(code="node.too_many", field="labels", params={"most": MOST_LABELS})
    for name, value in profile.labels.items():
        if not _LABEL.fullmatch(name) or len(value) > LONGEST_VALUE or not value.isprintable():
            yield Problem(code="node.label_form", field=f"labels.{name}", params={"label": name})


def _way(profile: NodeProfile) -> Iterator[Problem]:
    """Address, host key, sockets."""
    address, form = profile.address.strip(), FORMS.get(profile.kind, "")
    if not address and profile.kind in ("docker_ssh", "docker_tls"):
        yield Problem(code="node.no_address", field="address", params={"form": form})
    elif address and not _is_address(profile.kind, address):
        yield Problem(code="node.address_form", field="address", params={"address": address, "form": form})
    if profile.kind == "docker_ssh":
        if profile.host_key.strip() and host_key(profile.host_key) is None:
            yield Problem(code="node.host_key_form", field="host_key")
        if profile.docker_socket and socket_path(profile.docker_socket) is None:
            params = {"address": profile.docker_socket, "form": FORMS["docker_local"]}
            yield Problem(code="node.address_form", field="docker_socket", params=params)


def _is_address(kind: str, address: str) -> bool:
    if kind == "docker_ssh":
        return ssh_address(address) is not None
    if kind == "docker_tls":
        return tls_address(address) is not None
    return kind != "docker_local" or socket_path(address.removeprefix("unix://")) is not None


def _references(profile: NodeProfile, look: bool) -> Iterator[Problem]:
    """Keys and certificates: by name, whole, and there."""
    used = {"docker_ssh": ("key",), "docker_tls": ("key", "certificate", "ca")}.get(profile.kind, ())
    for field in used:
        reference = str(getattr(profile, field))
        if reference and (problem := _reference(profile, field, reference, look)) is not None:
            yield problem
    if profile.kind == "docker_tls" and bool(profile.key) != bool(profile.certificate):
        missing = "certificate" if profile.key else "key"
        yield Problem(code="node.half_a_pair", field=missing, params={"missing": missing})


def _reference(profile: NodeProfile, field: str, reference: str, look: bool) -> Problem | None:
    if _BEGIN in reference:
        return Problem(code="node.key_pasted", field=field, params={"setting": field})
    if (name := keyring_name(reference)) is not None:
        return None if is_keyring_name(name) else Problem(code="node.keyring_form", field=field, params={"name": name})
    path = expanded(reference)
    if not path.is_absolute() or not reference.isprintable():
        return Problem(code="node.file_form", field=field, params={"file": reference})
    return _file(profile, field, path) if look else None


def _file(profile: NodeProfile, field: str, path: Path) -> Problem | None:
    params = {"node": profile.name, "setting": field, "file": str(path)}
    try:
        if not path.is_file():
            return Problem(code="node.file_missing", field=field, params=params)
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        detail = error.strerror or type(error).__name__
        return Problem(code="node.file_unreadable", field=field, params={**params, "detail": detail})
    if field == "key" and (path.suffix == ".pub" or head.startswith((b"ssh-", b"ecdsa-", b"sk-"))):
        return Problem(code="node.key_is_public", field=field, params=params)
    if profile.kind == "docker_ssh" and os.name == "posix" and path.stat().st_mode & 0o077:
        return Problem(code="node.key_open", field=field, params=params)
    return None


def _mounts(profile: NodeProfile) -> Iterator[Problem]:
    if len(profile.mounts) > MOST_MOUNTS:
        yield Problem(code="node.too_many", field="mounts", params={"most": MOST_MOUNTS})
    seen: set[str] = set()
    for place, mount in enumerate(profile.mounts):
        field, (there, colon, inside) = f"mounts.{place}", mount.partition(":")
        if not colon or not _is_folder(there) or not _is_folder(inside):
            yield Problem(code="node.mount_form", field=field, params={"mount": mount})
        elif inside.rstrip("/") in ("", *RESERVED):
            yield Problem(code="node.mount_reserved", field=field, params={"folder": inside})
        elif inside.rstrip("/") in seen:
            yield Problem(code="node.mount_twice", field=field, params={"folder": inside})
        seen.add(inside.rstrip("/"))


def _is_folder(path: str) -> bool:
    plain = path.startswith("/") and path.isprintable() and ":" not in path and "," not in path
    return plain and ".." not in path.split("/") and len(path) < 4096


def _numbers(profile: NodeProfile) -> Iterator[Problem]:
    given = {"price": profile.price, "mirror_minutes": profile.mirror_minutes}
    for name, value in {**given, **{f"limits.{n}": v for n, v in profile.limits.model_dump().items()}}.items():
        if isinstance(value, float) and not math.isfinite(value):
            yield Problem(code="settings.number", field=name, params={"value": str(value)})
