"""How adapters are put into words: cells of the library, what is the matter with one, the lines of its card."""

from __future__ import annotations

from collections.abc import Sequence

from engine.contract.adapter_library import AdapterEntry
from engine.contract.lora_card import LoRACard
from forge_desktop.theme.language import count, tr, word
from forge_desktop.theme.measures import ago, figure, moment, percent, size

NONE = "—"
HASH = 12
"""Characters of a hash that are shown."""


def base_of(one: AdapterEntry) -> str:
    """The base model's own name."""
    return last_part(one.card.base_model or one.model)


def last_part(path: str) -> str:
    """The last part of a path or a hub id."""
    return path.rstrip("/").rpartition("/")[2]


def method_text(card: LoRACard) -> str:
    """Tuner and rank: `LoRA · 16`, with the span where patterns give others."""
    ranks = sorted({card.rank_of(path) for path in card.targets} or {card.rank})
    span = str(ranks[0]) if len(ranks) == 1 else f"{ranks[0]}–{ranks[-1]}"
    return f"{word('choice', card.tuner)} · {span}"


def others_of(entries: Sequence[AdapterEntry]) -> set[str]:
    """Ids of adapters made for other weights than the newest adapter of a base of that name."""
    newest: dict[str, str] = {}
    found = set[str]()
    for one in sorted(entries, key=lambda entry: -entry.created):
        base, weights = base_of(one), one.card.base_hash
        if weights and base and newest.setdefault(base, weights) != weights:
            found.add(one.id)
    return found


def mark_of(one: AdapterEntry, others: set[str]) -> tuple[str, str, str, str]:
    """Tone, icon, words and sentence of what is the matter with one; empty where nothing is."""
    if one.missing:
        return "bad", "circle-alert", tr("File is gone"), tr("Its file is no longer at {path}.", path=one.path)
    if one.id in others:
        sentence = tr("It was made for other weights than the newest adapters of {base}: what it answers there may be "
                      "worth nothing.", base=base_of(one))  # fmt: skip
        return "warn", "triangle-alert", tr("Other base"), sentence
    return "", "", "", ""


def cell_text(one: AdapterEntry, key: str) -> str:
    """What a cell says."""
    match key:
        case "name":
            return one.name
        case "base":
            return base_of(one) or NONE
        case "method":
            return method_text(one.card)
        case "bytes":
            return size(one.bytes)
        case "run":
            return one.run_name or tr("brought in")
        case "dataset":
            return ", ".join(map(last_part, datasets_of(one))) or NONE
        case "score":
            return percent(one.score, 1)
        case "loss":
            return figure(one.loss)
        case "created":
            return ago(one.created)
    return ""


def below_name(one: AdapterEntry) -> str:
    """The small line under a name."""
    if one.origin == "run":
        step = tr("step {step}", step=f"{one.step:,}") if one.step is not None else ""
        return " · ".join(part for part in (one.run_name if one.run_name != one.name else "", step) if part)
    return one.card.description.partition("\n")[0] or tr("brought in")


def datasets_of(one: AdapterEntry) -> list[str]:
    """Names of what it was trained on."""
    return list(one.card.datasets) or [part.strip() for part in one.dataset.split(",") if part.strip()]


def summary(entries: Sequence[AdapterEntry]) -> str:
    """What the library holds, in a line."""
    bases = {base_of(one) for one in entries} - {""}
    texts = [count(len(entries), "1 adapter", "{n} adapters")]
    texts += [count(len(bases), "1 base model", "{n} base models")] if bases else []
    return " · ".join([*texts, size(sum(one.bytes for one in entries))] if entries else texts)


Line = tuple[str, str, str]
"""Name, value, and what the value says in full."""


def lines_of(one: AdapterEntry) -> list[Line]:
    """What is worth a line of its card."""
    card = one.card
    leaves = sorted({last_dot(path) for path in card.targets})
    lines = [
        (tr("Method"), method_text(card), ""),
        (tr("Alpha"), f"{card.alpha:g}", ""),
        (tr("Scaling"), "α/√r" if card.scaling == "rslora" else "α/r", scaling_tip(card)),
        (tr("Ranks by pattern"), patterns_text(card.rank_pattern), ""),
        (tr("Alphas by pattern"), patterns_text(card.alpha_pattern), ""),
        (tr("Targets"), ", ".join(leaves), "\n".join(card.targets)),
        (tr("Modules"), f"{len(card.targets):,}" if card.targets else "", ""),
        (tr("Stored as"), card.dtype, ""),
        (tr("Error of storing"), percent(card.storage_error, 2) if card.storage_error else "", ""),
        (tr("On disk"), size(one.bytes), tr("{n} bytes", n=f"{one.bytes:,}")),
        (tr("Score"), percent(one.score, 1) if one.score is not None else "", ""),
        (tr("Loss"), figure(one.loss) if one.loss is not None else "", ""),
        *((name, figure(value), "") for name, value in card.metrics.items() if name not in ("score", "loss")),
        (tr("Step"), f"{one.step:,}" if one.step is not None else "", ""),
        (tr("Licence"), card.licence, ""),
        (tr("Created"), ago(one.created), moment(one.created)),
    ]
    return [line for line in lines if line[1]]


def hashes_of(one: AdapterEntry) -> list[tuple[str, str, str]]:
    """Key, name and whole hash of what can be compared."""
    card = one.card
    hashes = [("file", tr("File"), card.file_hash), ("base", tr("Base weights"), card.base_hash)]
    hashes += [("dataset", last_part(name), value) for name, value in card.datasets.items()]
    return [entry for entry in hashes if entry[2]]


def patterns_text(patterns: dict[str, int] | dict[str, float]) -> str:
    """`q_proj: 8, v_proj: 4`."""
    return ", ".join(f"{pattern}: {value:g}" for pattern, value in patterns.items())


def scaling_tip(card: LoRACard) -> str:
    """What its change is multiplied by."""
    factor = card.scaling_of(card.targets[0] if card.targets else "")
    return tr("Its change is multiplied by {factor}.", factor=figure(factor))


def last_dot(path: str) -> str:
    """The last part of a module's path."""
    return path.rpartition(".")[2]
