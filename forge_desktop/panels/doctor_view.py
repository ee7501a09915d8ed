"""What a doctor found at a node: check after check as they come, each green or with its fix."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from engine.contract.nodes import CHECKS, CheckState, DoctorCheck, DoctorReport, NodeProfile
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, column, label, restyle, row
from forge_desktop.theme.language import count, explain, tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import duration, size

ZERO_WIDTH, LONG_WORD = "\u200b", 22
OF_PROCESS = ("reach", "driver", "gpus", "disk", "clock", "image")
LOOKS: dict[CheckState, str] = {
    "waiting": "circle",
    "running": "loader-circle",
    "ok": "circle-check",
    "warning": "triangle-alert",
    "bad": "circle-x",
    "skipped": "circle-dot",
}


class DoctorView(Card):
    """A line a check; the fix stands below what is wrong."""

    def __init__(self, kind: str = "docker_ssh") -> None:
        super().__init__(margins=(14, 10, 14, 12))
        self.setObjectName("doctor.checks")
        self.body.setSpacing(2)
        self._lines: dict[str, _Line] = {}
        self._checks: dict[str, DoctorCheck] = {}
        self.begin(kind)

    def begin(self, kind: str) -> None:
        """All still to come."""
        for line in self._lines.values():
            self.body.removeWidget(line)
            line.hide()
            line.deleteLater()
        names = OF_PROCESS if kind == "process" else CHECKS
        self._lines = {name: _Line(name) for name in names}
        self._checks = {}
        for line in self._lines.values():
            self.body.addWidget(line)

    def show_check(self, check: DoctorCheck) -> None:
        """One has got on."""
        self._checks[check.name] = check
        if check.name in self._lines:
            self._lines[check.name].show_check(check)

    def show_report(self, report: DoctorReport) -> None:
        """All of them; what the doctor did not look at at all is left out."""
        for check in report.checks:
            self.show_check(check)
        if report.done:
            for name, line in self._lines.items():
                line.setVisible(name in self._checks)

    @property
    def checks(self) -> list[DoctorCheck]:
        """Those that have come."""
        return list(self._checks.values())

    def check(self, name: str) -> DoctorCheck | None:
        """One of them."""
        return self._checks.get(name)

    def state_of(self, name: str) -> str:
        """How a check stands."""
        line = self._lines.get(name)
        return line.state if line is not None else ""


class _Line(QWidget):
    """One check."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(f"doctor.{name}")
        self._name, self.state = name, "waiting"
        self._icon = label()
        self._icon.setFixedWidth(18)
        self._icon.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._icon.setContentsMargins(0, 2, 0, 0)
        self._title = label(word("doctor", name), "strong")
        self._title.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._title.setFixedWidth(150)
        self._title.setWordWrap(True)
        self._facts = label("", wrap=True, select=True)
        self._why = label("", "hint", wrap=True, select=True)
        self._fix = label("", "hint", wrap=True, select=True)
        texts = column(self._facts, self._why, self._fix, spacing=2)
        layout = row(self._icon, self._title, spacing=10, margins=(0, 5, 0, 5))
        layout.addLayout(texts, 1)
        self.setLayout(layout)
        self.show_check(DoctorCheck.model_validate({"name": name}))

    def show_check(self, check: DoctorCheck) -> None:
        """How it stands now."""
        t = tokens()
        self.state = check.state
        ink = {"ok": t.ok_text, "warning": t.warn_text, "bad": t.bad_text, "running": t.info_text}
        self._icon.setPixmap(icons.pixmap(LOOKS[check.state], ink.get(check.state, t.muted), 16))
        self._icon.setAccessibleName(word("doctor_state", check.state))
        what, why, fix = explain(check.error) if check.error is not None else ("", "", "")
        wrong = check.state in ("bad", "warning")
        text = what if wrong else facts_text(check) or (what if check.state == "skipped" else "")
        self._facts.setText(breakable(text) or word("doctor_state", check.state))
        restyle(self._facts, tone={"bad": "bad", "warning": "warn"}.get(check.state, ""))
        self._why.setText(breakable(why) if wrong else "")
        self._why.setVisible(wrong and bool(why))
        self._fix.setText(breakable(f"→ {fix}") if wrong and fix else "")
        self._fix.setVisible(wrong and bool(fix))
        self.setAccessibleName(f"{word('doctor', self._name)}: {word('doctor_state', check.state)}")


def breakable(text: str) -> str:
    """The text with places where its very long words may go on in another line."""
    return " ".join(
        ZERO_WIDTH.join(word[at : at + LONG_WORD] for at in range(0, len(word), LONG_WORD)) for word in text.split(" ")
    )


def facts_text(check: DoctorCheck) -> str:
    """What was measured, in words."""
    if check.state in ("waiting", "running"):
        return ""
    facts = check.facts
    if check.state == "skipped":
        because = str(facts.get("because", ""))
        return tr("left out: '{check}' comes first", check=word("doctor", because)) if because else ""
    parts = _parts(check.name, facts)
    return " · ".join(part for part in parts if part)


def _parts(name: str, facts: dict[str, Any]) -> list[str]:
    match name:
        case "reach" if "milliseconds" in facts:
            return [tr("answers in {ms} ms", ms=f"{facts['milliseconds']:.1f}"),
                    tr("connected in {ms} ms", ms=f"{facts.get('opening', 0):.0f}")]  # fmt: skip
        case "reach":
            return [str(facts.get("system") or facts.get("address") or "")]
        case "authentication":
            way = word("doctor_way", str(facts.get("way", "")))
            return [way, tr("its host key is the known one") if facts.get("pinned") else ""]
        case "version":
            return [f"Docker {facts.get('version', '')}", str(facts.get("system", ""))]
        case "live_restore":
            return [tr("runs go on while Docker is restarted") if facts.get("on") else ""]
        case "runtime":
            return [tr("containers can have GPUs")] if facts.get("runtime") else []
        case "driver":
            return [str(facts.get("version", ""))]
        case "gpus":
            return _gpus(facts)
        case "disk" if "free" in facts:
            free, total = (f"{float(facts.get(key) or 0) / 1e9:,.0f} GB" for key in ("free", "total"))
            return [tr("{free} of {total} free", free=free, total=total), str(facts.get("folder", ""))]
        case "bandwidth" if "up" in facts:
            return [tr("{up} MB/s there, {down} MB/s back", up=f"{facts['up'] / 1e6:,.0f}",
                       down=f"{facts.get('down', 0) / 1e6:,.0f}")]  # fmt: skip
        case "clock" if "skew" in facts:
            return [tr("off by {ms} ms", ms=f"{1000 * abs(facts['skew']):,.0f}")]
        case _:
            return _more_parts(name, facts)


def _more_parts(name: str, facts: dict[str, Any]) -> list[str]:
    match name:
        case "clock":
            return [tr("it is set")]
        case "image" if "image" in facts:
            return [str(facts["image"]), tr("version {version}", version=facts["version"]) if facts.get("version")
                    else "", size(float(facts.get("bytes") or 0))]  # fmt: skip
        case "image":
            python = f"Python {facts['python']}" if facts.get("python") else ""
            versions = facts.get("versions") or {}
            return [python, *(f"{one} {versions[one]}" for one in ("torch", "transformers") if versions.get(one))]
        case "isolation":
            return [name for name in ("seccomp", "apparmor", "selinux", "userns", "rootless") if facts.get(name)]
        case "owner":
            ours = int(facts.get("ours") or 0)
            return [count(ours, "1 container of ours", "{n} containers of ours"), tr("nobody else uses it")]
        case _:
            return []


def _gpus(facts: dict[str, Any]) -> list[str]:
    found = facts.get("gpus") or []
    if not found:
        return [tr("none")]
    first = found[0]
    memory = f"{float(first.get('memory') or 0) / 1e9:,.0f} GB" if first.get("memory") else ""
    ecc = tr("with ECC") if first.get("ecc") else ""
    return [f"{len(found)} × {first.get('name', '')}", memory, ecc]


def verdict(checks: list[DoctorCheck]) -> tuple[str, str]:
    """What all of it comes to, and its tone."""
    bad = sum(check.state == "bad" for check in checks)
    warnings = sum(check.state == "warning" for check in checks)
    if bad:
        return count(bad, "1 thing keeps runs from working there", "{n} things keep runs from working there"), "bad"
    if warnings:
        return count(warnings, "Usable, with 1 remark", "Usable, with {n} remarks"), "warn"
    return tr("All is well"), "ok"


def report_text(title: str, checks: list[DoctorCheck]) -> str:
    """The whole of it as text, for the clipboard."""
    lines = [title]
    for check in checks:
        state = word("doctor_state", check.state)
        text = facts_text(check)
        if check.error is not None and check.state in ("bad", "warning"):
            text = " ".join(part for part in (*explain(check.error), f"[{check.error.code}]") if part)
        took = f" ({duration(check.seconds)})" if check.seconds >= 1 else ""
        lines.append(f"{state:<10} {word('doctor', check.name)}: {text}{took}".rstrip(": "))
    return "\n".join(lines)


def subject_of(profile: NodeProfile) -> str:
    """What is examined: name, way and address."""
    return " · ".join(part for part in (profile.name, word("node_kind", profile.kind), profile.address) if part)
