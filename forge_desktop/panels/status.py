"""How states look: tone and icon, beside their word."""

from __future__ import annotations

from engine.contract.api import RunSummary
from engine.contract.states import RunState
from forge_desktop.models.run_columns import status_text
from forge_desktop.theme.look import tokens

TONES: dict[RunState, tuple[str, str]] = {
    RunState.DRAFT: ("plain", "pencil"),
    RunState.QUEUED: ("plain", "hourglass"),
    RunState.PREPARING: ("info", "loader-circle"),
    RunState.RUNNING: ("info", "play"),
    RunState.FINISHING: ("accent", "flask-conical"),
    RunState.PAUSED: ("warn", "pause"),
    RunState.COMPLETED: ("ok", "check"),
    RunState.FAILED: ("bad", "x"),
    RunState.STOPPED: ("warn", "square"),
}


def chip_of(run: RunSummary) -> tuple[str, str, str]:
    """Text, tone and icon of a run's status."""
    tone, icon = TONES[run.state]
    if run.mark is not None:
        tone, icon = "warn", "triangle-alert"
    elif run.retry_at is not None and run.state is RunState.QUEUED:
        tone, icon = "warn", "rotate-ccw"
    return status_text(run), tone, icon


def fill(state: RunState) -> str:
    """Colour of a state's progress bar and sparkline."""
    t = tokens()
    return {
        RunState.COMPLETED: t.ok_fill,
        RunState.FAILED: t.bad_fill,
        RunState.STOPPED: t.warn_fill,
        RunState.PAUSED: t.warn_fill,
        RunState.FINISHING: t.accent,
    }.get(state, t.info_fill)
