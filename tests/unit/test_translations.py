"""Everything the program can say has its Chinese: nothing missing, nothing stale, no parameter lost."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from engine.contract.checkpoints import CheckpointConfig
from engine.contract.compute import ComputeConfig, Limits, Placement
from engine.contract.data import DataConfig, DataSource, SelfCognition
from engine.contract.errors import ErrorBody, Problem, UserError
from engine.contract.events import ArtifactSaved
from engine.contract.extra import ExtraConfig
from engine.contract.faults import POINTS
from engine.contract.forensics import ForensicsConfig
from engine.contract.guards import GuardsConfig
from engine.contract.heads import HeadConfig
from engine.contract.messages import MESSAGES
from engine.contract.model import ModelConfig
from engine.contract.objective import ObjectiveConfig
from engine.contract.push import PushConfig
from engine.contract.rollouts import RewardConfig, RolloutConfig
from engine.contract.run_spec import RunConfig
from engine.contract.sampling import SampleJob
from engine.contract.scratch import ScratchConfig
from engine.contract.serving import ServedAdapter, ServeJob
from engine.contract.setting import extra
from engine.contract.states import EndReason, Phase, RunState
from engine.contract.stopping import StoppingConfig
from engine.contract.teacher import TeacherConfig
from engine.contract.training import EvaluationConfig, OutputConfig, TrainingConfig
from engine.contract.tuner import TunerConfig
from engine.contract.watching import WatchingConfig
from forge_desktop.models import (
    adapters_model,
    alert_draft,
    command_table,
    dataset_rows,
    datasets_model,
    instances_model,
    notices,
    row_lines,
    run_columns,
    search_operators,
    servings_model,
    settings_entries,
)
from forge_desktop.pages import dataset_page, nodes_page, run_page, runs_page
from forge_desktop.panels import (
    adapter_dialogs,
    alert_rule_row,
    charts_card,
    dataset_versions_panel,
    device_panel,
    events_panel,
    log_panel,
    node_fields,
    nodes_table,
    onboarding,
    run_search,
    settings_data,
    settings_environment,
    settings_field,
    settings_secrets,
    sidebar,
)
from forge_desktop.theme import language
from forge_desktop.wizard import model_source, wizard_page
from tests.helpers.syntax import ROOT, nodes, syntax_let_go

__all__ = ["syntax_let_go"]

PARTS = ("widgets", "messages", "settings", "words")
GROUPS: tuple[type[BaseModel], ...] = (
    RunConfig,
    ModelConfig,
    DataConfig,
    DataSource,
    SelfCognition,
    TunerConfig,
    ObjectiveConfig,
    HeadConfig,
    RewardConfig,
    RolloutConfig,
    ScratchConfig,
    TeacherConfig,
    TrainingConfig,
    EvaluationConfig,
    CheckpointConfig,
    GuardsConfig,
    StoppingConfig,
    WatchingConfig,
    ForensicsConfig,
    OutputConfig,
    *(ExtraConfig, PushConfig, SampleJob, ServeJob, ServedAdapter),
    *(Placement, ComputeConfig, Limits),
)
READINGS = [reading.title for reading in (*device_panel.GPU, *device_panel.PROCESSOR)]
PAGED_TITLES = [
    title
    for model in (dataset_rows.RowsModel, dataset_rows.ProblemsModel, dataset_versions_panel.DiffModel)
    for _key, title in model.titles
]
COLUMN_TITLES = [column.title for column in run_columns.COLUMNS]
SETTING_LABELS = [entry.label for entry in settings_entries.ENTRIES]
SETTING_SENTENCES = [entry.sentence for entry in settings_entries.ENTRIES]
SETTING_EMPTY = [e.empty for e in settings_entries.ENTRIES if e.empty and not e.empty.startswith("http")]
SETTING_CHOICES = [
    text
    for entry in settings_entries.ENTRIES
    for _key, text in entry.choices
    if text not in settings_field.OWN_NAMES and not text[0].isdigit()
]
SECTION_TITLES = [section.title for section in settings_entries.SECTIONS]
TABLES: dict[tuple[str, str], list[str]] = {
    ("models/commands.py", "entry.text"): [entry.text for entry in command_table.EVERY_KEY],
    ("models/commands.py", "GROUP_TEXTS[group]"): list(command_table.GROUP_TEXTS.values()),
    ("pages/settings_page.py", "one.title"): SECTION_TITLES,
    ("pages/settings_page.py", "one.sentence"): [*SETTING_SENTENCES, *(s.sentence for s in settings_entries.SECTIONS)],
    ("pages/settings_page.py", "one.label"): SETTING_LABELS,
    ("pages/settings_page.py", "next((section.title for section in SECTIONS if section.key == key))"): SECTION_TITLES,
    ("panels/settings_card.py", "entry.label"): SETTING_LABELS,
    ("panels/settings_card.py", "section.title"): SECTION_TITLES,
    ("panels/settings_card.py", "section.sentence"): [section.sentence for section in settings_entries.SECTIONS],
    ("panels/settings_field.py", "entry.label"): SETTING_LABELS,
    ("panels/settings_field.py", "entry.sentence"): SETTING_SENTENCES,
    ("panels/settings_field.py", "empty"): [text for text in SETTING_EMPTY if not text.isdigit()],
    ("panels/settings_field.py", "text"): SETTING_CHOICES,
    ("panels/alert_rule_row.py", "TITLES[kind]"): list(alert_draft.TITLES.values()),
    ("panels/alert_rule_row.py", "SENTENCES[kind]"): list(alert_draft.SENTENCES.values()),
    ("panels/alert_rule_row.py", "HEADS[name]"): list(alert_rule_row.HEADS.values()),
    ("panels/settings_alerts.py", "TITLES[rule.kind]"): list(alert_draft.TITLES.values()),
    ("panels/settings_data.py", "MENDABLE[error.code]"): list(settings_data.MENDABLE.values()),
    ("panels/settings_environment.py", "ORIGINS[one.origin]"): list(settings_environment.ORIGINS.values()),
    ("panels/settings_environment.py", "text"): [text for text, *_look in settings_environment.STATES.values()],
    ("panels/settings_secrets.py", "TITLES[name]"): list(settings_secrets.TITLES.values()),
    ("panels/settings_secrets.py", "PLACES[info.place]"): list(settings_secrets.PLACES.values()),
    ("models/record_model.py", "column.title"): [
        column.title
        for column in (
            *datasets_model.COLUMNS,
            *instances_model.COLUMNS,
            *adapters_model.COLUMNS,
            *servings_model.COLUMNS,
            *adapter_dialogs.MODULE_COLUMNS,
            *row_lines.PLAIN,
            *row_lines.RANKED,
        )
    ],
    ("models/paged_model.py", "self.titles[section][1]"): PAGED_TITLES,
    ("models/paged_model.py", "title"): PAGED_TITLES,
    ("pages/dataset_page.py", "text"): [text for _key, text in dataset_page.TABS],
    ("pages/instances_page.py", "one.title"): [column.title for column in instances_model.COLUMNS],
    ("panels/instances_header.py", "COLUMNS[self._at].title"): [one.title for one in instances_model.COLUMNS],
    ("panels/instances_header.py", "column.title"): [column.title for column in instances_model.COLUMNS],
    ("panels/instances_header.py", "one.title"): [column.title for column in instances_model.COLUMNS],
    ("models/runs_model.py", "COLUMNS[section].title"): COLUMN_TITLES,
    ("panels/runs_header.py", "COLUMNS[logical].title"): COLUMN_TITLES,
    ("panels/runs_header.py", "column.title"): COLUMN_TITLES,
    ("panels/run_search.py", "MEANINGS[operator.name]"): list(search_operators.MEANINGS.values()),
    ("panels/run_search.py", "title"): [title for _key, title in run_search.FACETS],
    ("pages/run_page.py", "text"): [text for _key, text in run_page.TABS],
    ("pages/runs_page.py", "text"): [text for _key, text in runs_page.FILTER_TEXTS],
    ("panels/device_panel.py", "reading.title"): READINGS,
    ("panels/step_rows_dialog.py", "one.title"): READINGS,
    ("panels/events_panel.py", "text"): [text for _key, text in events_panel.KINDS],
    ("panels/log_panel.py", "text"): [text for _bit, text in log_panel.LEVELS],
    ("pages/nodes_page.py", "text"): [text for _key, text in nodes_page.VIEWS],
    ("panels/node_fields.py", "title"): [
        *node_fields.TITLES.values(),
        *(name for name, *_ in node_fields.ADDRESS.values()),
    ],
    ("panels/node_fields.py", "self._sentence"): [
        *node_fields.SENTENCES.values(),
        *(sentence for _name, sentence, _hint in node_fields.ADDRESS.values()),
        node_fields.KEY_OF_TLS,
    ],
    ("panels/nodes_table.py", "COLUMNS[section][1]"): [title for _key, title in nodes_table.COLUMNS],
    ("panels/notice_center.py", "text"): [text for _key, text in notices.KIND_TEXTS],
    ("panels/onboarding.py", "name"): [name for _icon, name, _text in onboarding.POINTS],
    ("panels/onboarding.py", "text"): [
        *(text for _icon, _name, text in onboarding.POINTS),
        *(text for _key, text in onboarding.STEPS),
    ],
    ("panels/sidebar.py", "text"): [
        text
        for *_keys, text in (
            *sidebar.PAGES,
            *sidebar.LIBRARY,
            *sidebar.OPERATIONS,
            *sidebar.LAST_PAGES,
            *sidebar.THEMES,
        )
    ],
    ("wizard/wizard_page.py", "text"): [*(text for _key, text, _paths in wizard_page.STEPS), *wizard_page.ONWARD],
    ("wizard/model_source.py", "text"): [text for _key, text in model_source.WAYS],
}
"""Calls of `tr` whose text comes out of a table: file and argument, and the texts of the table."""
SAME_IN_CHINESE = {
    *("Ctrl+N", "GB", "°C", "GPU {n}", "LoRA alpha", "LoRA dropout", "token"),
    *("LoRA", "QLoRA", "DoRA", "DPO", "KTO", "ORPO", "CPO", "SimPO", "GRPO", "fp32", "bf16", "fp16"),
    *("Hugging Face", "ModelScope", "Eager", "SDPA", "FlashAttention 2", "ChatML", "Alpaca", "ShareGPT", "Docker"),
    *("IA3", "LoHa", "LoKr", "VeRA", "BOFT", "OFT", "FourierFT", "HRA", "RandLoRA", "VB-LoRA", "MiSS", "SHiRA"),
    *("AdamW", "Adafactor", "SGD", "Adagrad", "RMSprop", "Muon", "AdEMAMix", "Lion", "GaLore AdamW"),
    *(
        "GaLore Adafactor",
        "APOLLO AdamW",
        "StableAdamW",
    ),
    *("torch", "llama.cpp", "f32", "f16", "q8_0"),
    *("PiSSA", "OLoRA", "CorDA", "LoftQ", "LoRA-GA", "AdaLoRA", "P-tuning", "MLP", "LSTM"),
}
"""Names and units that Chinese readers know as they are."""
FILE_SUFFIXES = {
    "safetensors",
    "json",
    "jsonl",
    "yaml",
    "log",
    "txt",
    "sock",
    "db",
    "sqlite",
    "bin",
    "pt",
    "lock",
    "py",
    "token",
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff”][,;:?!]|[\u4e00-\u9fff]\.(?![a-z])|[\u4e00-\u9fff] ?\(")


def translated(part: str) -> dict[str, Any]:
    """One part of the translation, read afresh; a key written twice is an error."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _value in pairs]
        assert len(keys) == len(set(keys)), {key for key in keys if keys.count(key) > 1}
        return dict(pairs)

    loaded: dict[str, Any] = {}
    for file in language.files_of("zh_CN", part):
        found = json.loads(file.read_text("utf-8"), object_pairs_hook=once)
        assert not (found.keys() & loaded.keys()), (file, found.keys() & loaded.keys())
        loaded |= found
    return loaded


def calls(*rooms: str) -> Iterator[tuple[Path, ast.Call, str]]:
    """Every call in these rooms, with the last part of the name that is called."""
    for file, found in (pair for room in rooms for pair in nodes(room).items()):
        for node in found:
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
                yield file, node, name


def literals(node: ast.expr | None) -> list[str] | None:
    """The texts an argument can be, if that can be read off."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        one, other = literals(node.body), literals(node.orelse)
        return one + other if one is not None and other is not None else None
    return None


def widget_calls() -> Iterator[tuple[str, ast.expr]]:
    """File and text argument of every `tr(…)` and `count(…)` of the desktop."""
    own = ROOT / "forge_desktop" / "theme" / "language.py"
    for file, call, name in calls("forge_desktop"):
        if file == own or name not in ("tr", "count"):
            continue
        if not (isinstance(call.func, ast.Name) or ast.unparse(call.func).startswith("language.")):
            continue
        where = f"{file.relative_to(ROOT / 'forge_desktop').as_posix()}"
        if name == "tr":
            yield where, call.args[0]
        elif name == "count":
            yield from ((where, argument) for argument in call.args[1:3])


def widget_texts() -> set[str]:
    """Every English text of the desktop's own."""
    found = {text for texts in TABLES.values() for text in texts}
    for _where, argument in widget_calls():
        found.update(literals(argument) or [])
    return found


def setting_keys() -> dict[str, dict[str, str]]:
    """`Group.field` to its English label and sentence."""
    return {
        f"{group.__name__}.{name}": {"label": extra(field).get("label", ""), "sentence": field.description or ""}
        for group in GROUPS
        for name, field in group.model_fields.items()
        if name != "kind" or group not in (SampleJob, ServeJob)
    }


@cache
def english(part: str) -> dict[str, dict[str, str]]:
    """Key to the English texts under it, in the form all four parts share here."""
    if part == "widgets":
        return {text: {"text": text} for text in widget_texts()}
    if part == "messages":
        return {code: {"what": m.what, "why": m.why, "fix": m.fix} for code, m in MESSAGES.items()}
    if part == "settings":
        return setting_keys()
    return {key: {"text": language.word(*key.split(".", 1))} for key in language.words()}


def chinese(part: str) -> dict[str, dict[str, str]]:
    """The same for the translation."""
    return {key: value if isinstance(value, dict) else {"text": value} for key, value in translated(part).items()}


def pairs(part: str) -> Iterator[tuple[str, str, str]]:
    """Key, English and Chinese of every text that is there in both."""
    there = chinese(part)
    for key, texts in english(part).items():
        for name, text in texts.items():
            yield f"{key} {name}", text, there.get(key, {}).get(name, "")


def fields(text: str) -> list[str]:
    """The parameters a text names."""
    return sorted({name for _text, name, _form, _how in Formatter().parse(text) if name is not None})


def bare(text: str) -> str:
    """A text without its parameters."""
    return "".join(part for part, _name, _form, _how in Formatter().parse(text))


@pytest.fixture
def speak() -> Iterator[Any]:
    """Sets the language for a test."""
    before = language.language()
    yield language.set_language
    language.set_language(before)


def test_every_widget_text_can_be_read_off_the_code() -> None:
    unread = {
        (where, ast.unparse(argument)) for where, argument in widget_calls() if literals(argument) is None
    } - TABLES.keys()
    assert not unread, "give tr() and count() a literal, or name the table of these in TABLES"


def test_no_table_is_named_in_vain() -> None:
    used = {(where, ast.unparse(argument)) for where, argument in widget_calls()}
    assert TABLES.keys() <= used


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_missing(part: str) -> None:
    assert sorted(english(part).keys() - chinese(part).keys()) == []


@pytest.mark.parametrize("part", PARTS)
def test_nothing_is_stale(part: str) -> None:
    assert sorted(chinese(part).keys() - english(part).keys()) == []


@pytest.mark.parametrize("part", PARTS)
def test_a_text_is_there_exactly_where_the_english_has_one(part: str) -> None:
    assert [where for where, source, target in pairs(part) if bool(source.strip()) != bool(target.strip())] == []
    known = {name for texts in english(part).values() for name in texts}
    assert {name for texts in chinese(part).values() for name in texts} <= known


@pytest.mark.parametrize("part", PARTS)
def test_parameters_are_the_same(part: str) -> None:
    differ = {where: target for where, source, target in pairs(part) if fields(source) != fields(target)}
    assert differ == {}


@pytest.mark.parametrize("part", PARTS)
def test_texts_are_chinese(part: str) -> None:
    foreign = {
        where: target
        for where, _source, target in pairs(part)
        if not CHINESE.search(target) and re.search(r"[^\W\d_]", bare(target)) and target not in SAME_IN_CHINESE
    }
    assert foreign == {}


@pytest.mark.parametrize("part", PARTS)
def test_punctuation_after_chinese_is_full_width(part: str) -> None:
    assert {where: target for where, _source, target in pairs(part) if HALF_WIDTH.search(target)} == {}


def test_names_that_stay_latin_are_used() -> None:
    texts = {target for part in PARTS for _where, _source, target in pairs(part)}
    assert texts >= SAME_IN_CHINESE


def choices_of(group: type[BaseModel]) -> Iterator[str]:
    """Every choice a form can show for the settings of a group."""
    for field in group.model_fields.values():
        if get_origin(field.annotation) is Literal:
            yield from (value for value in get_args(field.annotation) if isinstance(value, str))


def test_every_choice_and_unit_of_a_setting_is_a_word() -> None:
    shown = {f"choice.{value}" for group in GROUPS for value in choices_of(group)}
    units = {extra(field).get("unit") for group in GROUPS for field in group.model_fields.values()} - {None, ""}
    shown |= {f"unit.{unit}" for unit in units}
    assert shown <= set(language.words())


def test_every_state_reason_phase_artifact_and_metric_is_a_word() -> None:
    enums: dict[str, type[StrEnum]] = {"state": RunState, "reason": EndReason, "phase": Phase}
    shown = {f"{kind}.{value}" for kind, enum in enums.items() for value in enum}
    shown |= {f"artifact.{value}" for value in get_args(ArtifactSaved.model_fields["artifact"].annotation)}
    shown |= {f"metric.{value}" for value in (*charts_card.METRICS, *charts_card.PREFERENCES)}
    assert shown <= set(language.words())


def test_every_word_asked_for_by_name_is_known() -> None:
    asked = set()
    for _file, call, name in calls("forge_desktop"):
        if name == "word" and len(call.args) == 2:
            kinds, values = literals(call.args[0]), literals(call.args[1])
            asked |= {f"{kind}.{value}" for kind in kinds or [] for value in values or []}
    assert asked <= set(language.words())


def codes_used() -> Iterator[tuple[str, str]]:
    """File and code of every error, problem and note that the program makes."""
    dotted = re.compile(r"[a-z_]+\.[a-z_]+")
    for file, call, name in calls("engine", "forge_desktop"):
        where = file.relative_to(ROOT).as_posix()
        arguments: list[ast.expr] = []
        if name in ("UserError", "NotFound", "Conflict", "Refused", "Unreachable", "BadRow"):
            arguments += call.args[:1]
        if name.strip("_") in ("note", "remark"):
            arguments += call.args
        if name in ("Problem", "Note", "ErrorBody"):
            arguments += [keyword.value for keyword in call.keywords if keyword.arg == "code"]
        for argument in arguments:
            yield from ((where, text) for text in literals(argument) or [] if dotted.fullmatch(text))


def codes_spelt() -> Iterator[tuple[str, str]]:
    """File and text of every literal in the engine that looks like a code, however it is passed on."""
    rooms = "|".join(sorted({code.partition(".")[0] for code in MESSAGES}))
    form = re.compile(rf"(?:{rooms})\.([a-z_]+)")
    groups = {name: field.annotation for name, field in RunConfig.model_fields.items()}
    settings = {
        f"{name}.{inner}"
        for name, group in groups.items()
        if isinstance(group, type) and issubclass(group, BaseModel)
        for inner in group.model_fields
    }
    for file, found_in in nodes("engine").items():
        for node in found_in:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = form.fullmatch(node.value)
                if found and found[1] not in FILE_SUFFIXES and node.value not in settings:
                    yield file.relative_to(ROOT).as_posix(), node.value


def test_every_code_that_is_raised_or_noted_has_its_message() -> None:
    assert {(where, code) for where, code in codes_used() if code not in MESSAGES} == set()
    assert len(set(codes_used())) > 50


def test_every_literal_that_looks_like_a_code_has_its_message() -> None:
    assert {(where, code) for where, code in codes_spelt() if code not in MESSAGES and code not in POINTS} == set()


def test_chinese_is_spoken_when_it_is_asked_for(speak: Any) -> None:
    speak("zh_CN")
    assert language.tr("New run") == "新建运行"
    assert language.tr("Saved as {path}", path="/a/b") == "已保存为 /a/b"
    assert language.count(1, "1 run at work", "{n} runs at work") == "1 个运行进行中"
    assert language.count(1234, "1 run at work", "{n} runs at work") == "1,234 个运行进行中"
    assert language.word("state", "running") == "运行中"
    assert language.setting_label(TrainingConfig, "learning_rate") == "学习率"
    assert CHINESE.search(language.setting_sentence(TrainingConfig, "learning_rate"))
    what, why, fix = language.explain(UserError("data.no_rows", path="x.jsonl").body())
    assert (what, why, fix) == ("数据集没有样本。", "“x.jsonl”是空的。", "请选择有数据的文件。")
    problem = Problem(code="data.not_an_object", line=3, params={"found": "list"})
    assert '{"name": value}' in language.problem_text(problem)


def test_english_is_spoken_otherwise(speak: Any) -> None:
    speak("en")
    assert language.tr("New run") == "New run"
    assert language.word("choice", "cosine") == "Cosine"
    assert language.setting_label(TrainingConfig, "learning_rate") == "Learning rate"
    assert language.explain(UserError("data.no_rows", path="x").body())[0] == "The dataset has no rows."


def test_every_message_can_be_filled_in(speak: Any) -> None:
    speak("zh_CN")
    for code, message in MESSAGES.items():
        names = fields(message.what + message.why + message.fix)
        body = ErrorBody(code=code, what="", params={name: f"<{name}>" for name in names})
        said = " ".join(language.explain(body))
        assert CHINESE.search(said), code
        assert all(f"<{name}>" in said for name in names), code
