"""The values of a node's profile as somebody types them, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.contract.errors import Problem
from engine.contract.node_check import problems_of
from engine.contract.nodes import NodeKind, NodeProfile

KINDS: tuple[NodeKind, ...] = ("docker_local", "docker_ssh", "docker_tls")
WAY: dict[str, tuple[str, ...]] = {
    "process": (),
    "docker_local": ("address",),
    "docker_ssh": ("address", "key", "host_key", "docker_socket"),
    "docker_tls": ("address", "ca", "certificate", "key"),
}
"""What each kind needs to be reached."""
MORE = ("price", "currency", "max_runs", "labels", "image", "mounts", "mirror_minutes")
LIMITS = ("limits.cpus", "limits.memory_gb", "limits.shm_gb", "limits.pids")
OF_LOCAL = ("price", "currency", "max_runs", "labels", "notes")
NUMBERS = ("price", "max_runs", "mirror_minutes", *LIMITS)
WHOLE = ("max_runs", "limits.pids")
EMPTY_IS_NONE = ("price", "max_runs", "limits.cpus", "limits.memory_gb")
SEPARATORS = str.maketrans({"，": ",", "；": ",", ";": ",", "\n": ","})


@dataclass(frozen=True)
class Form:
    """Texts by field, as they stand in the form."""

    texts: dict[str, str]
    kind: NodeKind = "docker_ssh"

    def values(self) -> dict[str, Any]:
        """What they mean: numbers where they are numbers, else the text, for the check to name."""
        made: dict[str, Any] = {"kind": self.kind, "limits": {}}
        used = self.fields()
        for field, text in self.texts.items():
            if field not in used:
                continue
            value = _read(field, text.strip())
            if value == "" and field in NUMBERS:
                continue  # empty: as usual
            group, dot, name = field.partition(".")
            if dot:
                made[group][name] = value
            else:
                made[field] = value
        return made

    def fields(self) -> tuple[str, ...]:
        """Those that this kind has."""
        if self.kind == "process":
            return ("name", *OF_LOCAL)
        return ("name", *WAY[self.kind], *MORE, *LIMITS, "notes")

    def problems(self) -> list[Problem]:
        """Everything that is wrong; whether files are there is the controller's to say."""
        return problems_of(self.values(), look=False)

    def profile(self, before: NodeProfile | None = None) -> NodeProfile:
        """The profile; what the form does not show stays as it was."""
        kept = before.model_dump() if before is not None and before.kind == self.kind else {}
        shown, values = self.fields(), self.values()
        limits = {name: value for name, value in kept.pop("limits", {}).items() if f"limits.{name}" not in shown}
        limits |= values.pop("limits")
        kept = {name: value for name, value in kept.items() if name not in shown}
        return NodeProfile.model_validate({**kept, **values, "limits": limits})


def texts_of(profile: NodeProfile) -> dict[str, str]:
    """A profile as the form shows it."""
    values = profile.model_dump()
    made = {name: _written(value) for name, value in values.items() if name not in ("kind", "limits")}
    usual = NodeProfile(name="node")
    made |= {f"limits.{name}": _written(value) for name, value in values["limits"].items()}
    for field in ("mirror_minutes", "limits.shm_gb", "limits.pids"):
        if made[field] == _written(_usual(usual, field)):
            made[field] = ""
    return made


def usual_text(field: str) -> str:
    """What an empty field means, as a number; empty where there is none."""
    return _written(_usual(NodeProfile(name="node"), field)) if field in NUMBERS else ""


def _usual(profile: NodeProfile, field: str) -> Any:
    group, dot, name = field.partition(".")
    return getattr(getattr(profile, group), name) if dot else getattr(profile, field)


def _read(field: str, text: str) -> Any:
    if field in EMPTY_IS_NONE and not text:
        return None
    if field in NUMBERS:
        plain = text.replace(",", "").replace("\u202f", "")
        for kind in (int, float):
            try:
                return kind(plain) if field not in WHOLE or kind is int else text
            except ValueError:
                continue
        return text
    if field == "labels":
        return _labels(text)
    if field == "mounts":
        return [part.strip() for part in text.translate(SEPARATORS).split(",") if part.strip()]
    return text.upper() if field == "currency" else text


def _labels(text: str) -> dict[str, str]:
    pairs = [part.strip().partition("=") for part in text.translate(SEPARATORS).split(",") if part.strip()]
    return {key.strip(): value.strip() for key, _equals, value in pairs}


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key}={text}" if text else key for key, text in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
