"""Pictures of the Datasets pages: the library in every state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from engine.contract.data_format import Mapping
from engine.contract.dataset_queries import (
    FormatReason,
    Inspection,
    Rendered,
    ShownRow,
    StatisticsAnswer,
    Turn,
    XrayAnswer,
    XrayRow,
)
from engine.contract.datasets import Column, RowProblem
from engine.contract.errors import UserError
from forge_desktop.app import Desktop
from forge_desktop.bridge import fake_datasets
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.dataset_page import DatasetPage
from forge_desktop.pages.datasets_page import DatasetsPage
from tests.desktop.sheets_nodes import until


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each state."""
    window = desktop.window
    window.go("datasets")
    page = window.page
    assert isinstance(page, DatasetsPage)
    until(lambda: page.model.has_loaded)
    yield "datasets-none"
    fake_datasets.fill(backend, time.time())
    until(lambda: len(page.model.rows) == len(backend.shelves))
    yield "datasets"
    page.search.setText("nothing like it")
    until(lambda: page.state() == "no_match")
    yield "datasets-no-match"
    page.search.clear()
    until(lambda: page.state() == "")
    backend.datasets_error = UserError("history.damaged", path="/home/lin/history.sqlite3", detail="page 12")
    page.model.fetch()
    until(lambda: page._error.isVisibleTo(page))
    yield "datasets-error"
    backend.datasets_error = None
    page.model.fetch()
    yield from importing(desktop, backend)
    uid = next(one.uid for one in page.model.rows if one.name == "support-tickets-zh")
    window.go(f"dataset/{uid}")
    shown = window.page
    assert isinstance(shown, DatasetPage)
    until(lambda: shown.rows.has_loaded and shown.rows_panel.table.current() is not None)
    yield "dataset-rows"
    shown.model.choose(1)
    until(lambda: shown.problems.total > 0)
    shown.show_tab("problems")
    yield "dataset-problems"
    backend.data_answers["xray"] = XRAY.model_dump(mode="json")
    backend.data_answers["data_statistics"] = FIGURES.model_dump(mode="json")
    shown.show_tab("xray")
    until(lambda: shown.tokens.answer is not None)
    yield "dataset-xray"
    yield from trying(desktop, backend, shown)
    shown.show_tab("statistics")
    until(lambda: shown.tokens.figures is not None)
    yield "dataset-statistics"
    shown.show_tab("versions")
    until(lambda: shown.versions_panel.model.has_loaded)
    yield "dataset-versions"


def _tokens() -> XrayRow:
    """A row as a tokenizer might cut it."""
    read = ["<|im_start|>", "system", "\n", "You", " answer", " for", " the", " help", " desk", ".", "<|im_end|>", "\n"]
    read += ["<|im_start|>", "user", "\n", "I", " was", " charged", " twice", " for", " the", " same", " invoice", "."]
    read += ["<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"]
    said = [" ".join(("", word)) if n else word for n, word in enumerate(fake_datasets.ANSWERS[4].split())]
    texts = [*read, *said, "<|im_end|>", "\n"]
    fates = ["s" if text.startswith("<|") else "m" for text in read] + ["t"] * len(said) + ["T", "m"]
    return XrayRow(row=0, line=1, ids=[1000 + 37 * n for n in range(len(texts))], texts=texts, fates="".join(fates),
                   cut_at=len(texts) - 4, tokens=len(texts), trained=len(said) + 1)  # fmt: skip


XRAY = XrayAnswer(rows=[_tokens()], template="tokenizer", template_code="model.template_own", trained_share=0.412,
                  sampled=390, untrained=2)  # fmt: skip
FIGURES = StatisticsAnswer(
    rows=390, measured=390, exact=True, lengths=sorted(int(60 + 900 * (n / 390) ** 3 + n % 17) for n in range(390)),
    tokens=118_000, trained_share=0.41, untrained_rows=2, padding=0.93, packing=0.985,
    tokens_by_role={"system": 9_000, "user": 41_000, "assistant": 68_000}, turns={2: 250, 4: 140},
    languages={"zh": 0.58, "en": 0.41, "?": 0.01},
)  # fmt: skip
FOUND = Inspection(
    kind="jsonl", encoding="utf-8", bytes=48_211_904, rows_estimated=182_000, looked_at=20,
    chosen=FormatReason(format="alpaca", code="inspect.format_by_column", params={"column": "instruction"}),
    others=[FormatReason(format="query_response", code="inspect.format_by_column", params={"column": "output"})],
    mapping=Mapping(columns={"instruction": "instruction", "input": "input", "output": "output"}),
    columns=[Column(name=name, kind="text") for name in ("instruction", "input", "output", "source")],
    shown=[
        ShownRow(row=n, line=n + 1, turns=[Turn(role="user", text=question), Turn(role="assistant", text=answer)],
                 extra={"source": "help desk"})
        for n, (question, answer) in enumerate(zip(fake_datasets.QUESTIONS, fake_datasets.ANSWERS, strict=True))
    ],
    problems=[RowProblem(kind="empty", severity="refused", line=17, column="output", code="data.empty_column",
                         params={"column": "output"})],
    refused=1,
)  # fmt: skip


OWN = """{%- for message in messages -%}
  {{- '<|im_start|>' + message['role'] + '\\n' -}}
  {%- if message['role'] == 'assistant' -%}
    {%- generation -%}{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}
  {%- else -%}
    {{- message['content'] + '<|im_end|>' -}}
  {%- endif -%}
  {{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def rendering(params: dict[str, Any]) -> dict[str, Any]:
    """What a helper makes of a row; a template without an end is refused at its last line."""
    template = params["template"] or OWN
    if "{%" in template and "endfor" not in template:
        line = template.count("\n") + 1
        raise UserError("template.syntax", line=line, detail="Unexpected end of template.")
    parts = [("system", "You answer for the help desk."), ("user", fake_datasets.QUESTIONS[params["row"] % 6]),
             ("assistant", fake_datasets.ANSWERS[params["row"] % 6])]  # fmt: skip
    text, spans = "", list[tuple[int, int]]()
    for role, said in parts:
        text += f"<|im_start|>{role}\n"
        if role == "assistant":
            spans.append((len(text), len(text) + len(said) + 10))
        text += f"{said}<|im_end|>\n"
    return Rendered(text=text, spans=spans, template=template).model_dump(mode="json")


def trying(desktop: Desktop, backend: ReplayBackend, shown: DatasetPage) -> Iterator[str]:
    """The editor of templates, what it says of a mistake, and the X-ray through another one."""
    backend.data_answers["render_template"] = rendering
    dialog = shown.xray_panel.try_template()
    until(lambda: dialog.model.rendered is not None)
    yield "template"
    dialog.edit.setPlainText("{%- for message in messages -%}\n  {{- message['content'] -}}\n")
    until(lambda: dialog.model.error is not None)
    yield "template-wrong"
    dialog.begin.set_value("llama3")
    dialog.model.begin_with("llama3")
    until(lambda: dialog.model.rendered is not None)
    yield "template-catalogue"
    dialog._go.click()
    until(lambda: shown.tokens.answer is not None)
    yield "dataset-xray-tried"
    shown.tokens.try_template(None)


def importing(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """The dialog that brings one in."""
    backend.data_answers["inspect_data"] = FOUND.model_dump(mode="json")
    page = desktop.window.page
    assert isinstance(page, DatasetsPage)
    dialog = page.import_one()
    yield "import-empty"
    dialog.take("/data/med-qa-instruct.jsonl")
    until(lambda: dialog.model.found is not None)
    yield "import"
    dialog.reject()
    turns = {"chosen": FormatReason(format="sharegpt", code="inspect.format_by_column", params={"column": "talk"}),
             "mapping": Mapping(columns={"messages": "talk"}, role_key="speaker", content_key="utterance"),
             "columns": [Column(name=name, kind="text") for name in ("talk", "topic")],
             "problems": [], "refused": 0}  # fmt: skip
    backend.data_answers["inspect_data"] = FOUND.model_copy(update=turns).model_dump(mode="json")
    dialog = page.import_one()
    dialog.take("/data/talks.jsonl")
    until(lambda: dialog.model.found is not None)
    yield "import-turns"
    dialog._area.ensureWidgetVisible(dialog._languages)
    yield "import-turns-below"
    dialog.reject()
    dialog = page.import_all(["/data/one.jsonl", "/data/two.csv", "/data/three"])
    until(lambda: dialog.model.found is not None)
    yield "import-several"
    desktop.session._is_online = False
    dialog.model._look_again(True)
    yield "import-offline"
    desktop.session._is_online = True
    dialog.reject()
    dialog = page.import_one()
    dialog._kinds.set_value("huggingface")
    dialog._typed()
    dialog.place.setText("tatsu-lab/alpaca")
    yield "import-hub"
    dialog.reject()
