"""`docs/diagnosis.md`, made from the rules."""

from __future__ import annotations

from engine.contract.messages import MESSAGES
from engine.control.jobs.diagnosis.registry import RULES
from engine.control.jobs.diagnosis.rule import RECORDED, Rule

HEAD = """# Why runs fail

Made by `make docs`; do not edit. When a run has failed, its page, `forge advice` and the notice say why and what to do.
{count} rules look at how the worker ended, at its error, at the first and last part of its log and at the config; the
first that finds something speaks, in the order in which they stand here, and offers *New run with this change* where
settings help. An error that says itself what to do is shown as it is. Of a failure that no rule knows the lines that
matter are shown, and *Copy report* puts them, the config, versions and device on the clipboard, without anything that
tells who or where somebody is.

Each rule is tested on the log of a real failure in `tests/unit/control/diagnosis_logs`: *recorded* ones were provoked
on a processor and can be recorded again with `python -m tests.helpers.record_failures`; the others are quoted from the
thread that is named.
"""
AREAS = {
    "data": "Data",
    "numerics": "Numbers",
    "torch": "torch",
    "peft": "Adapters (peft)",
    "trl": "Recipes (trl)",
    "bitsandbytes": "bitsandbytes",
    "transformers": "Models (transformers)",
    "tokenizer": "Tokenizers and templates",
    "nccl": "Several processes",
    "docker": "Containers and nodes",
    "cuda": "GPUs",
    "memory": "Memory",
    "processes": "Processes",
    "hub": "Hubs",
    "packages": "Packages",
    "disk": "Files and disks",
}


def reference() -> str:
    """The page."""
    parts = [HEAD.format(count=len(RULES))]
    for area, title in AREAS.items():
        rows = [_row(rule) for rule in RULES if rule.area == area]
        if rows:
            parts.append(
                f"\n## {title}\n\n| Rule | Recognises | What to do | Changes | Log |\n| --- | --- | --- | --- | --- |\n"
            )
            parts += rows
    return "".join(parts)


def _row(rule: Rule) -> str:
    settings = "<br>".join(f"`{name}`" for name in rule.settings)
    source = rule.source
    if source != RECORDED:
        owner, name, _issues, number = source.removeprefix("https://github.com/").split("/")
        source = f"[{owner}/{name}#{number}]({source})"
    fix = MESSAGES[f"diagnosis.{rule.name}"].fix.replace("|", "\\|")
    return f"| `{rule.name}` | {rule.looks_for.replace('|', chr(92) + '|')} | {fix} | {settings} | {source} |\n"
