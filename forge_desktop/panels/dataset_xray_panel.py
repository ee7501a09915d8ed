"""The X-ray: a row as the chosen model's tokens, what is learned of it, and what is learned of all rows."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QCheckBox, QWidget

from engine.contract.dataset_queries import XrayAnswer, XrayRow
from forge_desktop.bridge.preferences import Preferences
from forge_desktop.bridge.session import Session
from forge_desktop.models.xray_model import XrayModel
from forge_desktop.panels.model_choice import ModelChoice
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.template_dialog import TemplateDialog
from forge_desktop.panels.token_view import TokenView
from forge_desktop.theme.controls import Card, Chip, Number, Segments, button, column, label, row, set_enabled
from forge_desktop.theme.flow import FlowLayout
from forge_desktop.theme.language import note_text, tr, word
from forge_desktop.theme.measures import percent

MOST_TOKENS = 1_048_576
CONTROL = 34


class DatasetXrayPanel(QWidget):
    """Asks only while it is shown."""

    def __init__(self, model: XrayModel, preferences: Preferences, session: Session) -> None:
        super().__init__()
        self.model, self._session = model, session
        self.choice = ModelChoice(model, preferences, self)
        self.length = Number(8, MOST_TOKENS, model.max_length, "xray.length")
        self.length.setAccessibleName(tr("Maximum length"))
        self.length.changed.connect(model.set_length)
        self._only = QCheckBox(tr("Learn answers only"))
        self._only.setObjectName("xray.answers")
        self._only.setChecked(model.answers_only)
        self._only.toggled.connect(model.set_answers_only)
        holder = QWidget()
        self._controls = FlowLayout(holder, 10)
        for part in (self.choice, label(tr("cut at"), "hint"), self.length, label(tr("tokens"), "hint"), self._only):
            part.setFixedHeight(CONTROL)
            self._controls.addWidget(part)
        self._try = button(tr("Try another template…"), "default", "pencil", self.try_template, "xray.template")
        self._own = button(tr("Back to the model's own"), "link", "", lambda: model.try_template(None), "xray.own")
        self._controls.addWidget(self._try)
        self._controls.addWidget(self._own)
        self._all = label("", "body", wrap=True)
        self._template = label("", "hint", wrap=True)
        self._error = ErrorCard("xray.error")
        self.tokens = TokenView()
        self._build_row()
        about = Card()
        about.body.addWidget(holder)
        about.body.addWidget(self._all)
        about.body.addWidget(self._template)
        layout = column(about, self._error, spacing=12)
        layout.addWidget(self._card, 1)
        self.setLayout(layout)
        model.changed.connect(self._refresh)
        model.seen.connect(self._refresh)
        self._refresh()

    def _build_row(self) -> None:
        self._number = Number(1, 1, 1, "xray.row")
        self._number.setAccessibleName(tr("Row"))
        self._number.changed.connect(lambda value: self.model.go(value - 1))
        self._before = button("", "quiet", "chevron-left", lambda: self.model.go(self.model.row - 1), "xray.before",
                              tr("Row before"))  # fmt: skip
        self._after = button("", "quiet", "chevron-right", lambda: self.model.go(self.model.row + 1), "xray.after",
                             tr("Next row"))  # fmt: skip
        self._facts = label("", "hint", wrap=True)
        self._sides = Segments([("chosen", word("side", "chosen")), ("rejected", word("side", "rejected"))], "chosen")
        self._sides.setAccessibleName(tr("Side"))
        self._sides.chosen.connect(lambda _side: self._show_row())
        legend = row(spacing=6)
        for text, tone in ((tr("learned"), "ok"), (tr("only read"), "plain"), (tr("special"), "warn")):
            legend.addWidget(Chip(text, tone))
        cut = label(tr("cut off"), "hint")
        font = cut.font()
        font.setStrikeOut(True)
        cut.setFont(font)
        legend.addWidget(cut)
        self._pointed = label("", "hint", wrap=True)
        self._pointed.setMinimumHeight(20)
        self.tokens.pointed.connect(self._pointed.setText)
        self._card = Card()
        head = row(label(tr("Row"), "label"), self._before, self._number, self._after, self._sides, None, spacing=8)
        head.addLayout(legend)
        self._card.body.addLayout(head)
        self._card.body.addWidget(self._facts)
        self._card.body.addWidget(self.tokens, 1)
        self._card.body.addWidget(self._pointed)

    @Slot()
    def _refresh(self) -> None:
        model = self.model
        self._number.set_value(model.row + 1, model.rows)
        self.length.set_value(model.max_length)
        set_enabled(self._before, model.row > 0, tr("This is the first row."))
        set_enabled(self._after, model.row + 1 < model.rows, tr("This is the last row."))
        self._error.show_error(model.error)
        answer = model.answer
        self._all.setText(summary_of(answer) if answer else tr("The rows are being read…") if model.looking else "")
        why = note_text(answer.template_code, answer.template_params) if answer and answer.template_code else ""
        if model.template is not None:
            why = tr("You look through a template that you are trying; runs do not use it.")
        self._own.setVisible(model.template is not None)
        set_enabled(self._try, model.source is not None and model.stage == "sft", tr("Plain text passes no template."))
        self._template.setText(why)
        self._template.setVisible(bool(why))
        self._show_row()

    @Slot()
    def try_template(self) -> TemplateDialog:
        """The editor."""
        dialog = TemplateDialog(self._session, self.model, self)
        dialog.open()
        return dialog

    def _show_row(self) -> None:
        answer = self.model.answer
        rows = answer.rows if answer else []
        sided = any(one.side for one in rows)
        self._sides.setVisible(sided)
        found = next((one for one in rows if not sided or one.side == self._sides.value()), None)
        self._facts.setText(facts_of(found) if found else "")
        self.tokens.show_row(found)


def summary_of(answer: XrayAnswer) -> str:
    """What is learned of all rows, from the sample."""
    if answer.trained_share is None or not answer.sampled:
        return ""
    share = percent(answer.trained_share, 1)
    text = tr("{share} of all tokens are learned (seen on {n} rows).", share=share, n=f"{answer.sampled:,}")
    if answer.untrained >= answer.sampled:
        return text + " " + tr("Nothing is learned: a run of this could not start.")
    if answer.untrained:
        text += " " + tr("{n} of these rows teach nothing.", n=f"{answer.untrained:,}")
    return text


def facts_of(found: XrayRow) -> str:
    """What is to be said of a row."""
    share = percent(found.trained / max(1, found.tokens))
    parts = [tr("line {n}", n=f"{found.line:,}"), tr("{n} tokens", n=f"{found.tokens:,}"),
             tr("{n} learned ({share})", n=f"{found.trained:,}", share=share)]  # fmt: skip
    if found.cut_at is not None:
        parts.append(tr("{n} cut off", n=f"{found.tokens - found.cut_at:,}"))
    if found.tokens > len(found.ids):
        parts.append(tr("the first {n} are shown", n=f"{len(found.ids):,}"))
    return " · ".join(parts)
