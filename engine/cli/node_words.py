"""How `forge node` reads profiles and shows what is known of nodes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from engine.cli.output import number
from engine.contract.errors import Refused
from engine.contract.nodes import DoctorReport, NodeView

PLAIN = ("kind", "address", "key", "certificate", "ca", "host_key", "docker_socket", "image", "currency", "notes")
MARKS = {"ok": "ok", "warning": "warning", "bad": "BAD", "skipped": "skipped", "waiting": "not done", "running": "…"}


def profile_values(options: argparse.Namespace, known: dict[str, Any]) -> dict[str, Any]:
    """The values of a profile: what is known, changed by what was named. What is wrong with them others say."""
    values = dict(known)
    values |= {name: getattr(options, name) for name in PLAIN if getattr(options, name) is not None}
    for name, word in (("price", "none"), ("max_runs", "auto")):
        given = getattr(options, name)
        if given is not None:
            values[name] = None if given == word else _number(given)
    if options.label is not None:
        values["labels"] = _labels(dict(known.get("labels", {})), options.label)
    if options.mount is not None:
        values["mounts"] = [mount for mount in options.mount if mount]
    return values


def _number(word: str) -> float | int | str:
    """As a number where it is one; else as it is, for the check to name."""
    try:
        return int(word)
    except ValueError:
        try:
            return float(word)
        except ValueError:
            return word


def _labels(labels: dict[str, str], words: list[str]) -> dict[str, str]:
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise Refused("nodes.label_form", word=word)
        labels.pop(key, None)
        if value:
            labels[key] = value
    return labels


def read_profiles(file: str) -> dict[str, Any]:
    """What an export wrote, from a file or the pipe."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        content = json.loads(text)
    except (OSError, ValueError) as error:
        raise Refused("nodes.file_unreadable", file=file, detail=str(error)) from None
    if not isinstance(content, dict):
        raise Refused("nodes.not_an_export")
    return content


def reading(node: NodeView) -> str:
    """GPUs, and how warm the warmest is."""
    gpus = len(node.facts.gpus) or sum(key.endswith(".memory_total") for key in node.values)
    warm = [value for key, value in node.values.items() if key.endswith(".temperature")]
    return f"{gpus} ({number(max(warm), 3)} °C)" if gpus and warm else str(gpus)


def report_table(report: DoctorReport) -> str:
    """A check a line; what is wrong with its fix below it."""
    lines = []
    for check in report.checks:
        facts = ", ".join(
            f"{name} {value}" for name, value in check.facts.items() if isinstance(value, str | int | float)
        )
        lines.append(f"{MARKS[check.state]:<9}{check.name:<16}{facts}".rstrip())
        if check.error is not None and check.state in ("bad", "warning"):
            lines += [f"{'':<9}{text}" for text in (check.error.what, check.error.why, check.error.fix) if text]
    return "\n".join(lines)
