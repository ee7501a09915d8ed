"""Every rule on the log of a real failure: it alone speaks, what it advises is valid, and nothing takes long."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import logfile
from engine.contract.advice import STATED, UNKNOWN, with_changes
from engine.contract.config_file import check_spec
from engine.contract.errors import UserError
from engine.contract.messages import MESSAGES
from engine.contract.run_spec import RunConfig, RunSpec
from engine.contract.states import EndReason
from engine.control.jobs.diagnosis import Evidence, diagnose, excerpt, read_log
from engine.control.jobs.diagnosis.registry import RULES
from engine.control.jobs.diagnosis.rule import RECORDED, Rule
from tests.helpers.diagnosis_logs import FOLDER, Case, cases, healthy, spec_with
from tests.helpers.provoked.runs import RUNS
from tests.helpers.record_failures import PROVOKED

CASES = cases()
BY_NAME = {rule.name: rule for rule in RULES}
PLACE = {rule.name: place for place, rule in enumerate(RULES)}
DEMO = spec_with({})
VARIED = {"killed_memory", "loss_not_finite_fp16", "out_of_memory_smallest"}
"""The log of another case, with other readings or another config."""


def below(rule: Rule) -> set[str]:
    """The rules that come after it in a log they share, and those after these."""
    found: set[str] = set()
    waiting = [*rule.over]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += BY_NAME[name].over
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_that_the_rule_of_a_log_speaks_first_and_overlaps_are_named(case: Case):
    found = diagnose(case.evidence)
    assert found.rule == case.rule
    speaking = {rule.name for rule in RULES if rule.find(case.evidence) is not None}
    assert speaking - {case.rule} <= below(BY_NAME[case.rule])
    assert 0 < len(found.lines) <= excerpt.SHOWN_LINES or not case.evidence.log


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_that_the_texts_of_a_finding_are_whole(case: Case):
    found = diagnose(case.evidence)
    for text in (found.what, found.why, found.fix):
        assert text
        assert not re.search(r"\{\w+\}", text), f"a parameter is missing in: {text}"
    message = MESSAGES[f"diagnosis.{found.rule}"]
    named = {
        name for part in (message.what, message.why, message.fix) for _, name, _, _ in Formatter().parse(part) if name
    }
    assert named <= found.params.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_that_advice_is_a_valid_config_that_can_be_started(case: Case):
    found = diagnose(case.evidence)
    for change in found.changes:
        assert change.value != change.was
        assert re.sub(r"\.\d+\.", ".0.", change.field) in BY_NAME[case.rule].settings
    better = with_changes(case.evidence.spec, found.changes)
    document = RunConfig.from_spec(better).document()
    for change in found.changes:
        value = document
        for part in change.field.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert value == change.value
    before = {(problem.code, problem.field) for problem in check_spec(case.evidence.spec)}
    assert {(problem.code, problem.field) for problem in check_spec(better)} <= before


def test_that_every_rule_with_advice_gives_some_on_its_log():
    advising = {rule.name for rule in RULES if rule.settings}
    assert len(advising) > 30
    given_some = {case.rule for case in CASES if diagnose(case.evidence).changes}
    assert advising - given_some == NOTHING_TO_CHANGE


NOTHING_TO_CHANGE: set[str] = set()
"""Rules whose advice is the usual setting already in every log here."""


def test_that_there_are_enough_rules_each_with_a_log_and_an_honest_source():
    assert len(RULES) >= 40
    assert len(BY_NAME) == len(RULES)
    sources: dict[str, set[str]] = {}
    for case in CASES:
        sources.setdefault(case.rule, set()).add(case.source)
    assert sources.keys() == BY_NAME.keys()
    for rule in RULES:
        assert rule.source in sources[rule.name], rule.name
        assert rule.source == RECORDED or re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/issues/\d+", rule.source)
    assert sum(rule.source == RECORDED for rule in RULES) >= 12


def test_that_every_recorded_log_can_be_recorded_again():
    recorded = {case.name for case in CASES if case.source == RECORDED}
    again = {name for rule, names in PROVOKED.items() for name in (rule, *(f"{rule}-{one}" for one in names))}
    assert recorded - again - RUNS.keys() == VARIED
    logs = {file.stem for file in FOLDER.glob("*.log")}
    assert logs == {case.name for case in CASES} - VARIED | {"healthy"}
    assert max(file.stat().st_size for file in FOLDER.glob("*.log")) < 12_000


def test_that_the_order_of_rules_keeps_to_what_they_say():
    for rule in RULES:
        for name in rule.over:
            assert PLACE[rule.name] < PLACE[name], f"{rule.name} must stand before {name}"


def test_that_a_healthy_runs_log_means_nothing():
    bug = UserError("worker.bug", detail="").body()
    for reason in (EndReason.WORKER_ERROR, None):
        assert diagnose(Evidence(DEMO, reason, bug, healthy())).rule == UNKNOWN


@pytest.mark.parametrize("code", ["hub.gated", "checkpoint.none_good", "config.targets_mixed"])
def test_that_an_error_that_says_what_to_do_is_not_called_unknown(code: str):
    error = UserError(code, path="a/b", page="https://example.org", detail="none").body()
    noisy = "\n".join(case.evidence.log for case in CASES[:20])
    found = diagnose(Evidence(DEMO, EndReason.BAD_MODEL, error, noisy))
    assert (found.rule, found.what, found.fix) == (STATED, error.what, error.fix)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_that_the_same_failure_of_an_import_gets_no_advice_on_training(case: Case):
    job = {"kind": "import", "dataset": "rows", "source": {"place": "/rows.jsonl"}}
    spec = RunSpec.model_validate({"name": "an import", "job": job})
    evidence = Evidence(spec, case.evidence.reason, case.evidence.error, case.evidence.log)
    assert diagnose(evidence).changes == []


# what is shown of a log


TRACE = """12:00:01 INFO Reading rows
\x1b[31m12:00:02 ERROR Could not reach tracker: token=abcdef0123456789\x1b[0m
12:00:02 ERROR Could not reach tracker: token=abcdef0123456789
12:00:03 INFO loss 1.25
Traceback (most recent call last):
  File "/app/engine/compute/worker/session.py", line 77, in _guarded
    _carry_out(order, folder, worker)
  File "/app/.venv-worker/lib/python3.11/site-packages/torch/nn/modules/module.py", line 1, in _call_impl
    return forward_call(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/ada/reward.py", line 7, in score
    return table[answer]
           ~~~~~^^^^^^^^
KeyError: 'blue'
"""


def test_that_the_lines_that_matter_are_frames_of_ones_own_and_the_last_words():
    lines = excerpt.telling_lines(TRACE)
    assert lines == [
        "12:00:02 ERROR Could not reach tracker: token=<hidden>",
        '  File "/app/engine/compute/worker/session.py", line 77, in _guarded',
        "    _carry_out(order, folder, worker)",
        '  File "/home/ada/reward.py", line 7, in score',
        "    return table[answer]",
        "KeyError: 'blue'",
    ]


def test_that_a_log_without_a_traceback_shows_what_speaks_of_errors_or_its_end():
    log = "begin\n" + "".join(f"step {n} of 100, loss 1.0\n" for n in range(100)) + "fatal: the kernel went away\nbye\n"
    assert excerpt.telling_lines(log) == ["fatal: the kernel went away"]
    assert excerpt.telling_lines("one\ntwo\n") == ["one", "two"]
    assert excerpt.telling_lines("") == []


def test_that_a_progress_bar_shows_its_last_state_only():
    assert excerpt.plain("0%\r50%\r100%\r\nnext\n") == "100%\nnext"


def test_that_a_log_of_100_mb_is_read_at_its_ends_only(tmp_path: Path):
    log = tmp_path / "worker.log"
    with log.open("wb") as file:
        file.write(b"first words\n")
        file.seek(100_000_000)
        file.write(b"\nRuntimeError: CUDA error: unspecified launch failure\n")
    text = read_log(log)
    assert len(text) < 2 * (excerpt.HEAD_BYTES + excerpt.TAIL_BYTES)
    assert text.startswith("first words")
    assert diagnose(Evidence(DEMO, EndReason.WORKER_ERROR, None, text)).rule == "cuda_error"
    assert logfile.size(log) > 100_000_000


LONG = [
    "a" * 200_000,
    "File " * 40_000,
    "size mismatch for " + "a." * 90_000,
    "Target module " + "x" * 80 + "(" * 100_000,
    "CUDA error: " + "\t" * 150_000,
    "port: 1" + "1" * 150_000,
    ('  File "' + "a" * 500 + '", line 1\n') * 300,
    "Column(" * 25_000,
    "\x1b[" * 90_000,
    "://" + "a" * 150_000,
    "error" * 40_000,
    "(" * 150_000 + " shapes cannot be multiplied",
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", range(len(LONG)))
def test_that_no_log_makes_a_rule_think_for_long(number: int):
    """A pattern that goes back and forth would never come to an end here."""
    log = LONG[number]
    found = diagnose(Evidence(DEMO, EndReason.WORKER_ERROR, UserError("worker.bug", detail=log[:2000]).body(), log))
    assert f"diagnosis.{found.rule}" in MESSAGES


PIECES = st.sampled_from(
    [
        *(line for case in CASES for line in case.evidence.log.splitlines()[-3:]),
        "\x1b[0m",
        "\r",
        "{",
        "'",
        '"',
        "\x00",
        "…",
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=40)), max_size=40))
@settings(max_examples=150, deadline=None)
def test_that_any_log_gets_a_diagnosis_with_valid_advice(lines: list[str]):
    error = UserError("worker.bug", detail=lines[-1] if lines else "").body()
    found = diagnose(Evidence(DEMO, EndReason.WORKER_ERROR, error, "\n".join(lines)))
    assert f"diagnosis.{found.rule}" in MESSAGES
    assert len(found.lines) <= excerpt.SHOWN_LINES
    assert all("\x1b" not in line and len(line) <= excerpt.SHOWN_LETTERS + 1 for line in found.lines)
    with_changes(DEMO, found.changes)


WARNED = (
    "not_permitted",
    "disk_read_only",
    "hub_away",
    "hub_certificate",
    "hub_too_many_requests",
    "too_many_files",
    "too_many_threads",
    "missing_file",
    "import_error",
    "not_utf8",
)


@pytest.mark.parametrize("name", WARNED)
def test_that_a_warning_before_does_not_speak_louder_than_the_failure(name: str):
    """A tracker out of reach, a cache that cannot be written: training goes on, and fails of something else."""
    said = next(case.evidence.log for case in CASES if case.name == name).rstrip().splitlines()[-1]
    steps = "".join(f"12:00:{n:02d} INFO Step {n}\n" for n in range(60))
    log = f"12:00:00 WARNING {said}\n{steps}{TRACE[TRACE.index('Traceback') :]}"
    error = UserError("worker.bug", detail="KeyError: 'blue'").body()
    assert diagnose(Evidence(DEMO, EndReason.WORKER_ERROR, error, log)).rule == UNKNOWN
