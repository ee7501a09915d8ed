"""How instances are put into words: state, address, figures, what the alerts mean, snippets to copy."""

from __future__ import annotations

import json

from engine.contract.api import RunSummary
from engine.contract.errors import ErrorBody
from engine.contract.serving import Instance, Percentiles, ServeJob, ServeKey, ServeStatus
from engine.contract.states import LIVE, Phase, RunState
from forge_desktop.bridge.backend_instance import Seen
from forge_desktop.theme.language import explain, sentences, tr, word
from forge_desktop.theme.measures import ago, percent

NONE = "—"
PLACEHOLDER = "YOUR_KEY"


def state_of(run: RunSummary, seen: Seen | None, job: ServeJob | None = None) -> tuple[str, str, str]:
    """Tone, icon and words for how an instance is."""
    found = seen.instance if seen else None
    restarts = found.restarts if found else 0
    if run.state in LIVE and found is not None and found.ready:
        if seen is not None and seen.error is not None:
            return "warn", "unplug", tr("Does not answer")
        return "ok", "circle-check", tr("Ready")
    if run.retry_at is not None or (restarts and run.state in (*LIVE, RunState.QUEUED)):
        most = job.restarts if job else None
        n = max(restarts, run.retries)
        text = tr("Starting again {n} of {m}", n=n, m=most) if most else tr("Starting again, {n}", n=n)
        return "warn", "rotate-ccw", text
    if run.state in (RunState.RUNNING, RunState.PREPARING):
        phase = word("stage", run.phase) if run.phase and run.phase != Phase.SERVING else ""
        return "info", "loader-circle", tr("Starting · {phase}", phase=phase) if phase else tr("Starting")
    if run.state is RunState.FAILED:
        return "bad", "circle-x", word("state", run.state)
    icons = {RunState.QUEUED: "clock", RunState.DRAFT: "pencil", RunState.PAUSED: "pause", RunState.FINISHING: "square"}
    return "plain", icons.get(run.state, "square"), word("state", run.state)


def why_text(run: RunSummary) -> str:
    """Why it ended, in a sentence."""
    if run.error is not None:
        return sentences(*explain(run.error)[:2])
    return word("reason", run.reason) if run.reason and run.state.ended else ""


def is_live(run: RunSummary) -> bool:
    """It is worth asking."""
    return run.state in LIVE


def models_text(found: Instance | None, job: ServeJob | None) -> str:
    """The base and how many adapters, or their names."""
    names = [name for name in found.models if name != "auto"] if found and found.models else []
    if not names and job is not None:
        names = [job.base_name, *(one.name for one in job.adapters)]
    return ", ".join(names)


def seconds_text(value: float) -> str:
    """`38 ms`, `1.2 s`; a dash where nothing was measured."""
    if value <= 0:
        return NONE
    return f"{1000 * value:,.0f} ms" if value < 1 else f"{value:.1f} s"


def pair_text(times: Percentiles) -> str:
    """The half and all but five of a hundred."""
    return f"{seconds_text(times.p50)} / {seconds_text(times.p95)}" if times.p50 or times.p95 else NONE


def cell_text(run: RunSummary, seen: Seen | None, key: str) -> str:
    """What a cell of the list says."""
    status = seen.status if seen else None
    match key:
        case "name":
            return run.name
        case "state":
            return state_of(run, seen)[2]
        case "address":
            return seen.instance.address if seen and seen.instance and seen.instance.address else NONE
        case "created":
            return ago(run.created)
    return figure_text(status, key) if status is not None and key in FIGURES else NONE if key in FIGURES else ""


FIGURES = ("rate", "first", "tokens", "hits", "queue")


def per_minute(number: float) -> str:
    """`0.5`, `26`, `1,420`: how often something happens."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}".removesuffix(".0")


def figure_text(status: ServeStatus, key: str) -> str:
    """One figure of an instance."""
    match key:
        case "rate":
            return tr("{n}/min", n=per_minute(status.requests_per_minute))
        case "first":
            return pair_text(status.first_token)
        case "tokens":
            return f"{status.tokens_per_second:,.0f}"
        case "hits":
            return percent(status.cache_hit_rate)
        case "queue":
            return f"{status.running:,} + {status.waiting:,}"
    return NONE


def alert_texts(status: ServeStatus) -> list[tuple[str, str]]:
    """What each alert means, and what to do."""
    found = []
    for code in status.alerts:
        what, why, fix = explain(ErrorBody(code=code, what=code))
        found.append((what, sentences(why, fix)))
    return found


def key_state(key: ServeKey, now: float) -> tuple[str, str]:
    """Tone and words for how long a key is good for."""
    if not key.valid(now):
        return "bad", tr("over")
    if key.replaced_by:
        return "warn", tr("replaced · {left} left", left=left_text((key.expires or now) - now))
    if key.expires is not None:
        return "info", tr("{left} left", left=left_text(key.expires - now))
    return "ok", tr("until revoked")


def left_text(seconds: float) -> str:
    """`3 d`, `5 h`, `12 min`."""
    if seconds >= 48 * 3600:
        return tr("{n} d", n=round(seconds / 86_400))
    if seconds >= 3600:
        return tr("{n} h", n=round(seconds / 3600))
    return tr("{n} min", n=max(1, round(seconds / 60)))


def curl_text(address: str, model: str, is_open: bool) -> str:
    """A request that can be pasted into a shell."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
    header = [] if is_open else [f"  -H 'Authorization: Bearer {PLACEHOLDER}' \\"]
    return "\n".join([f"curl {address}/v1/chat/completions \\", *header, "  -H 'Content-Type: application/json' \\",
                      f"  -d '{body}'"])  # fmt: skip


def python_text(address: str, model: str, is_open: bool) -> str:
    """The same with the openai package."""
    key = "none" if is_open else PLACEHOLDER
    return (
        "from openai import OpenAI\n\n"
        "client = OpenAI(\n"
        f'    base_url="{address}/v1",\n'
        f'    api_key="{key}",\n'
        ")\n"
        "made = client.chat.completions.create(\n"
        f'    model="{model}",\n'
        '    messages=[{"role": "user", "content": "Hello"}],\n'
        ")\n"
        "print(made.choices[0].message.content)"
    )
