"""Rows that cannot be read or learned from."""

from __future__ import annotations

from engine.contract.api import ConfigChange
from engine.control.jobs.diagnosis.changes import changed, longer_rows
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Finding, Rule, signs

FORMAT_CODES = {"data.missing_column", "data.other_format"}


def wrong_format(evidence: Evidence) -> Finding | None:
    """Not one row fits the form that was chosen: the choice is at fault, not the rows."""
    job, error = evidence.job, evidence.error
    if evidence.code != "data.refused" or error is None or job is None or len(error.problems) < 2:
        return None
    if error.problems[0].line != 1 or not {p.code for p in error.problems} <= FORMAT_CODES:
        return None
    for number, source in enumerate(job.data.train):
        if source.format != "auto":
            change = ConfigChange(field=f"data.train.{number}.format", value="auto", was=source.format)
            return Finding({"format": source.format}, (change,))
    return None


def bad_rows(evidence: Evidence) -> Finding | None:
    """Rows that cannot be used."""
    if evidence.code != "data.refused" or evidence.error is None or not evidence.error.problems:
        return None
    first = evidence.error.problems[0]
    return Finding({"count": evidence.param("count"), "line": first.line or 0, "reason": first.reason})


def nothing_trained(evidence: Evidence) -> Finding | None:
    """No answer within the length at which rows are cut."""
    if evidence.code != "data.nothing_trained" or evidence.job is None:
        return None
    params = {"rows": evidence.param("rows"), "length": evidence.job.data.max_length}
    return Finding(params, longer_rows(evidence))


def text_needs_pretrain(evidence: Evidence) -> Finding | None:
    """Plain text, and a stage that learns from answers."""
    if evidence.code != "data.text_needs_pretrain":
        return None
    return Finding({"line": evidence.param("line")}, changed(evidence, ("stage", "pretrain")))


DATA: tuple[Rule, ...] = (
    Rule(
        "wrong_format",
        "data",
        wrong_format,
        "not one row fits the format that was given",
        settings=("data.train.0.format",),
        over=("bad_rows",),
    ),
    Rule("bad_rows", "data", bad_rows, "rows that cannot be used"),
    Rule(
        "nothing_trained",
        "data",
        nothing_trained,
        "no row has an answer before it is cut",
        settings=("data.max_length",),
    ),
    Rule(
        "text_needs_pretrain",
        "data",
        text_needs_pretrain,
        "plain text in a stage that learns from answers",
        settings=("stage",),
    ),
    signs(
        "column_changes_type",
        "data",
        (
            r"JSON parse error: (?P<detail>Column\([^)\n]{1,80}\) changed from [^\n]{1,80})",
            r"ArrowTypeError: (?P<detail>[^\n]{1,160})",
            r"ArrowInvalid: Could not convert (?P<detail>[^\n]{1,160})",
        ),
        "a column that has values of two types",
        at_end=True,
    ),
    signs(
        "not_utf8",
        "data",
        r"'utf-8' codec can't decode byte (?P<byte>0x[0-9a-f]{2})",
        "a text that is not UTF-8",
        at_end=True,
    ),
    signs(
        "parquet_broken",
        "data",
        (r"Parquet magic bytes not found", r"Could not open Parquet input source '(?P<path>[^'\n]{1,160})'"),
        "a Parquet file that is cut off, or is none",
        params={"path": "?"},
        at_end=True,
    ),
)
