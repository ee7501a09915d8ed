"""Every setting the Settings page shows: label, sentence, unit, default, and where it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from engine.contract.api import Settings

Kind = Literal["switch", "number", "text", "time", "choice", "segments"]
Keeper = Literal["controller", "desktop"]


@dataclass(frozen=True)
class Entry:
    """One setting."""

    key: str
    """Name among the controller's settings (`slots.gpu`: a key inside one), or of a preference."""
    section: str
    label: str
    sentence: str
    kind: Kind = "text"
    unit: str = ""
    keeper: Keeper = "controller"
    default: Any = None
    choices: tuple[tuple[str, str], ...] = ()
    empty: str = ""
    """What it means to leave the field empty; without it, a number is asked for."""
    whole: bool = False
    """Only whole numbers make sense."""
    later: bool = False
    """It holds from the next start of the desktop on."""


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    key: str
    icon: str
    title: str
    sentence: str


SECTIONS = (
    Section("appearance", "sun", "Appearance", "How the window looks."),
    Section("language", "languages", "Language", "The language of the window. Logs stay in English."),
    Section("notifications", "bell", "Notifications", "What you are told about, and when you are left in peace."),
    Section("alerts", "triangle-alert", "Alerts and rules", "What is out of order at nodes and runs, and who is told."),
    Section("workers", "cpu", "Workers", "Where training runs: interpreters with PyTorch in them."),
    Section("queue", "layers", "Slots and queue", "How many runs go at once, and what an hour costs."),
    Section("runs", "clock", "Runs and retention", "How long files stay, and how patient the controller is."),
    Section("tokens", "key-round", "Hubs and tokens", "Where models and datasets come from, and your access to it."),
    Section("network", "globe", "Network", "How hubs are reached."),
    Section("artifacts", "shield", "Second place", "Where checkpoints and results lie besides this computer."),
    Section("data", "hard-drive", "Data location", "Where everything is kept, and what it takes."),
    Section("advanced", "settings", "Advanced", "Logs, and workers that are kept warm."),
    Section("help", "life-buoy", "Help and diagnostics", "Versions, logs, and what to send with a report."),
)
_usual = Settings()
_LEVELS = (("debug", "Everything"), ("info", "Usual"), ("warning", "Warnings"), ("error", "Errors only"))
_THEMES = (("system", "Like the system"), ("light", "Light"), ("dark", "Dark"))
_TONGUES = (("system", "Like the system"), ("en", "English"), ("zh_CN", "简体中文"))
_SCALES = tuple((str(number), f"{number} %") for number in (100, 110, 125, 150, 175, 200))
_SPARES = (("auto", "Automatic"), ("spawn", "New process"))


def _desk(key: str, section: str, label: str, sentence: str, kind: Kind, default: Any, **more: Any) -> Entry:
    return Entry(key, section, label, sentence, kind, keeper="desktop", default=default, **more)


def _ctrl(key: str, section: str, label: str, sentence: str, kind: Kind = "text", unit: str = "", **more: Any) -> Entry:
    default = None if "." in key else getattr(_usual, key)
    return Entry(key, section, label, sentence, kind, unit, default=default, **more)


ENTRIES: tuple[Entry, ...] = (
    _desk("theme", "appearance", "Theme", "Light, dark, or as the computer has it.", "segments", "system",
          choices=_THEMES),
    _desk("scale", "appearance", "Size", "How large texts and controls are, besides the screen's own scale.", "choice",
          "100", choices=_SCALES, later=True),
    _desk("reduced_motion", "appearance", "Reduced motion", "Nothing slides or fades; things appear where they are.",
          "switch", False),
    _desk("language", "language", "Language", "Changes at once, without a restart.", "segments", "system",
          choices=_TONGUES),
    _desk("notices.on_start", "notifications", "A run starts", "Tell me when a waiting run begins.", "switch", False),
    _desk("notices.on_completion", "notifications", "A run completes", "Tell me when a run is done.", "switch", True),
    _desk("notices.on_failure", "notifications", "A run fails", "Tell me when a run fails or has to wait.", "switch",
          True),
    _desk("notices.on_alert", "notifications", "Something needs me",
          "Tell me when a worker is silent, a disk fills up, or files will go.", "switch", True),
    _desk("notices.quiet_from", "notifications", "Quiet from", "From this time of day on nothing pops up.", "time", "",
          empty="never"),
    _desk("notices.quiet_to", "notifications", "Quiet until", "Until this time of day, on the next day if need be.",
          "time", "", empty="never"),
    _desk("notices.sound", "notifications", "Sound", "Play a short sound with each notice.", "switch", False),
    _ctrl("budget", "alerts", "Budget", "What may be spent on runs in so many days, in the currency of the prices.",
          "number", empty="not watched"),
    _ctrl("budget_days", "alerts", "Days of the budget", "Spending of the last days counts.", "number", "days",
          whole=True),
    _ctrl("worker_python", "workers", "Interpreter",
          "The Python that workers run with; it needs PyTorch, transformers and peft.", empty="found by itself"),
    _ctrl("slots.gpu", "queue", "Training on a GPU", "Runs at once that use a GPU, or train on the processor.",
          "number", "runs", empty="one a GPU", whole=True),
    _ctrl("slots.cpu", "queue", "Work on the processor", "Exports and evaluations at once.", "number", "runs",
          empty="4", whole=True),
    _ctrl("slots.light", "queue", "Light work", "Imports and checks at once.", "number", "runs", empty="8",
          whole=True),
    _ctrl("prices.gpu", "queue", "Price of a GPU", "What an hour of one such run costs.", "number", "per_hour",
          empty="unknown"),
    _ctrl("prices.cpu", "queue", "Price of the processor", "What an hour of one such run costs.", "number", "per_hour",
          empty="unknown"),
    _ctrl("prices.light", "queue", "Price of light work", "What an hour of one such run costs.", "number", "per_hour",
          empty="unknown"),
    _ctrl("currency", "queue", "Currency", "Of the prices, in three letters: USD, EUR, CNY."),
    _ctrl("keep_days", "runs", "Keep working files",
          "Checkpoints and logs of ended runs go after so long. Results stay, and so does what is pinned.", "number",
          "days", empty="for ever"),
    _ctrl("retry_seconds", "runs", "First retry after",
          "Wait before a run goes on by itself after a fault that was not its own; each further wait is twice as long.",
          "number", "s"),
    _ctrl("stop_grace_seconds", "runs", "Grace when stopping", "A worker that was asked to stop may save for so long.",
          "number", "s"),
    _ctrl("idle_minutes", "runs", "Idle time",
          "The controller ends after so long with no window open and nothing to do.", "number", "min"),
    _ctrl("endpoints.huggingface", "tokens", "Address of Hugging Face", "A mirror, or a copy in your own network.",
          empty="https://huggingface.co"),
    _ctrl("endpoints.modelscope", "tokens", "Address of ModelScope", "A mirror, or a copy in your own network.",
          empty="https://modelscope.cn"),
    _ctrl("offline", "network", "Offline", "Never ask a hub; only what is on this computer already is used.", "switch"),
    _ctrl("proxy", "network", "Proxy", "What hubs are reached through, as http://host:port.", empty="none"),
    _ctrl("no_proxy", "network", "Without proxy", "Hosts that are reached directly, with commas between.",
          empty="none"),
    _ctrl("artifact_place", "artifacts", "Place", "A folder, such as one of another disk or computer, or a bucket.",
          empty="none"),
    _ctrl("artifact_endpoint", "artifacts", "Address of the S3 service", "Where the bucket is not Amazon's.",
          empty="Amazon's"),
    _ctrl("artifact_region", "artifacts", "Region", "Of the bucket, where its service has regions.",
          empty="the service's usual one"),
    _ctrl("artifact_minutes", "artifacts", "Checkpoints every",
          "Those of a run at work go there at most so often; at its end all of them do.", "number", "min"),
    _ctrl("log_level", "advanced", "Log level", "How much the controller and workers write down.", "choice",
          choices=_LEVELS),
    _ctrl("log_json", "advanced", "Logs as JSON", "One JSON object a line, for programs that read logs.", "switch"),
    _ctrl("spare_workers", "advanced", "Spare workers", "Workers kept ready, so that a run begins at once.", "number",
          "processes", whole=True),
    _ctrl("spare_memory_gb", "advanced", "Memory for spares", "Spares are given up while less than this is free.",
          "number", "gigabytes"),
    _ctrl("spare_method", "advanced", "How spares work",
          "Automatic copies a warm process where that is safe; the other way is slower and always possible.",
          "segments", choices=_SPARES),
)  # fmt: skip
BY_KEY = {entry.key: entry for entry in ENTRIES}


def of_section(key: str) -> list[Entry]:
    """The settings of a section."""
    return [entry for entry in ENTRIES if entry.section == key]
