"""How datasets are put into words: cells of the library, health, kinds of problems, formats."""

from __future__ import annotations

from engine.contract.datasets import KEEPING_OUT, DatasetView, VersionView
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.measures import ago, count_of, percent, size

NONE = "—"


def format_text(name: str) -> str:
    """A format as people call it."""
    return word("choice", name) if name else NONE


def problem_text(kind: str) -> str:
    """A kind of problem."""
    return word("data_problem", kind)


def health(version: VersionView | None) -> tuple[str, str, str]:
    """Tone, icon and words for how sound a version is."""
    if version is None:
        return "", "circle", tr("Nothing in it yet")
    if not version.present:
        return "bad", "circle-alert", tr("Files are gone")
    remarked = sum(n for kind, n in version.problems.items() if kind not in KEEPING_OUT)
    if version.refused:
        share = percent(version.refused / max(1, version.rows + version.refused), 1)
        return "bad", "circle-x", tr("{n} refused ({share})", n=count_of(version.refused), share=share)
    if remarked:
        return "warn", "triangle-alert", tr("{n} remarks", n=count_of(remarked))
    return "ok", "circle-check", tr("No problems")


def cell_text(one: DatasetView, key: str) -> str:
    """What a cell says."""
    newest = one.newest
    match key:
        case "name":
            return one.name
        case "format":
            return format_text(newest.format if newest else "")
        case "rows":
            return f"{newest.rows:,}" if newest else NONE
        case "tokens":
            return count_of(newest.tokens) if newest and newest.tokens is not None else NONE
        case "bytes":
            return size(newest.bytes) if newest else NONE
        case "health":
            return tr("Importing…") if one.importing else health(newest)[2]
        case "versions":
            return f"v{newest.n}" if newest else NONE
        case "used_by":
            return f"{one.used_by:,}" if one.used_by else NONE
        case "changed":
            return ago(one.changed)
    return ""


def below_name(one: DatasetView) -> str:
    """The small line under a name."""
    return " · ".join(one.tags) if one.tags else one.notes.partition("\n")[0]


def summary(count: int, rows: int, total: int) -> str:
    """What the library holds, in a line."""
    texts = [tr("1 dataset") if count == 1 else tr("{n} datasets", n=f"{count:,}")]
    texts += [tr("{n} rows", n=count_of(rows)), size(total)] if rows else []
    return " · ".join(texts)
