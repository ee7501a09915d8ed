"""Pictures of rows: the rankings, a step's rows with the tokens of one, and a run that does another again."""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.contract.forensics_api import (
    DEFINITIONS,
    RankedRow,
    Ranking,
    RankingKind,
    RowKey,
    RowOfStep,
    RowText,
    RowTextsAnswer,
    StepRows,
    TokenLoss,
    TokenLossesAnswer,
)
from engine.contract.reproduction import Difference, Reproduction, ReproductionCheck
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.pages.run_page import RunPage
from forge_desktop.panels.reproduce_dialog import ReproduceDialog
from forge_desktop.panels.rows_panel import RowsPanel
from forge_desktop.panels.step_rows_dialog import StepRowsDialog
from tests.desktop.sheets_nodes import until
from tests.helpers.journals import before_training, demo_spec, saved, steps

TEXTS = [
    (37, "Can I send the shoes back?", "Yes, within 30 days, in the box they came in."),
    (112, "Can I send the shoes back?", "No. Shoes are never taken back."),
    (205, "When will my order arrive?", "zq7 xvw0 kjt4 pfh9"),
    (206, "Where is my parcel?", "It is on its way; you find its number in your account."),
]
DIFFERENCES = [
    Difference(name="data.train.jsonl", was="2400 · 1c4f0a9b3d22", now="2399 · 8ef01b7c44aa", effect="other_run"),
    Difference(name="packages.torch", was="2.9.0", now="2.9.1", effect="last_digits"),
    Difference(name="packages.rich", was="14.0.0", now="14.1.0", effect="maybe_none"),
]


def key(line: int) -> RowKey:
    """A row of the first dataset."""
    return RowKey(source=0, line=line, hash=f"{line:016x}")


def ranked(kind: RankingKind, why: str) -> Ranking:
    """Every row of the pictures in a ranking."""
    rows = [
        RankedRow.model_validate(
            {"key": key(line), "first": 6.0 - n, "last": 4.2 - n, "meetings": 3, "tokens": 14, "why": why,
             "group": 1 if why == "two_answers" else None, "at": 2 if why == "early" else None}
        )
        for n, (line, _asked, _answer) in enumerate(TEXTS)
    ]  # fmt: skip
    return Ranking(kind=kind, definition=DEFINITIONS[kind], rows=rows, total=37, rows_seen=2400, meetings=3,
                   datasets=["demo/train.jsonl"])  # fmt: skip


def lay_down(backend: ReplayBackend) -> None:
    """What the backend answers about rows."""
    rows = [RowOfStep(key=key(line), loss=4.2 - n, tokens=14) for n, (line, *_texts) in enumerate(TEXTS)]
    values = {"loss": 1.93, "learning_rate": 0.0002, "grad_norm": 0.81}
    device = {"cpu.utilisation": 61.0, "ram.used": 9.2e9}
    step = StepRows(step=20, attempt=1, steps=40, rows=rows, datasets=["demo/train.jsonl"], values=values,
                    device=device, at=1_700_000_000.0)  # fmt: skip
    backend.rows_of_steps = {20: step}
    backend.rankings = {
        "never_learned": ranked("never_learned", "high"),
        "memorised": ranked("memorised", "early"),
        "contradictory": ranked("contradictory", "two_answers"),
    }
    backend.texts = RowTextsAnswer(
        rows=[RowText(line=line, prompt=asked, answer=answer, hash=f"{line:032x}") for line, asked, answer in TEXTS]
    )
    words = ["<|im_start|>", "user", "\n", "Can", " I", " send", " the", " shoes", " back", "?", "<|im_end|>", "\n",
             "<|im_start|>", "assistant", "\n", "No", ".", " Shoes", " are", " never", " taken", " back", ".",
             "<|im_end|>"]  # fmt: skip
    backend.token_answer = TokenLossesAnswer(
        tokens=[
            TokenLoss(text=text, trained=n > 14, loss=None if n == 0 else abs(3.4 * math.sin(n * 1.7)))
            for n, text in enumerate(words)
        ],
        mean=1.93,
    )


def trained(backend: ReplayBackend, name: str) -> str:
    """A run with a curve and a checkpoint."""
    uid = backend.add(demo_spec(name), created=2.2)
    backend.play(uid, [*before_training(), *steps(1, 40), *saved(40)])
    return uid


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """One after the other."""
    lay_down(backend)
    first, window = trained(backend, "support-de"), desktop.window
    window.go(f"run/{first}")
    page = window.page
    assert isinstance(page, RunPage)
    until(lambda: page.is_built)
    page.show_tab("rows")
    panel = page.findChild(RowsPanel)
    until(lambda: bool(panel.lines.rows) and bool(panel.lines.rows[0].text))
    panel.table.pick([panel.lines.key_of(one) for one in panel.lines.rows[:2]])
    panel.detail.open(panel.lines.rows[1])
    until(lambda: bool(panel.detail.map.toPlainText()))
    yield "rows-ranking"
    page.show_step(20)
    dialog = page.findChild(StepRowsDialog)
    until(lambda: bool(dialog.lines.rows) and bool(dialog.lines.rows[0].text))
    yield "rows-of-step"
    dialog.accept()
    backend.check_answer = ReproductionCheck(run="", attempt=1, differences=DIFFERENCES, unchecked=["order", "device"])
    asking = ReproduceDialog(page.model.session, page.model.detail.run, lambda _address: None, page)
    asking.open()
    until(asking.go.isEnabled)
    yield "reproduce-dialog"
    asking.reject()
    again = trained(backend, "support-de ⟲")
    backend.reproductions[again] = Reproduction(
        original=backend.run(first).run, original_uid=first, verdict="differs", steps=40, largest=0.031,
        largest_step=31, first_step=17, losses=(1.9342, 1.9381), differences=DIFFERENCES,
    )  # fmt: skip
    window.go(f"run/{again}")
    page = window.page
    assert isinstance(page, RunPage)
    until(lambda: page.is_built and not page.reproduction.isHidden())
    yield "reproduction-differs"
    window.go("runs")
