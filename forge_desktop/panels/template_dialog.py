"""Trying another chat template: its text on the left, what it makes of a row of the dataset on the right."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QDialog, QTextEdit, QWidget

from engine.contract.dataset_queries import Rendered
from engine.contract.templates import template_catalogue, template_titles
from forge_desktop.bridge.session import Session
from forge_desktop.models.template_model import OWN, TRIED, TemplateModel
from forge_desktop.models.xray_model import XrayModel
from forge_desktop.panels.code_edit import CodeEdit
from forge_desktop.panels.page import ErrorCard
from forge_desktop.panels.token_view import look_of
from forge_desktop.theme.controls import Card, Chip, Choice, Number, button, column, label, row, set_enabled
from forge_desktop.theme.language import tr
from forge_desktop.theme.measures import percent

WIDTH, HEIGHT = 1180, 720
ROOM = 60
"""Of the screen, around it."""
PARITY = 1
"""All that is learned has one ground here: there are no tokens to be told apart."""


class TemplateDialog(QDialog):
    """Nothing is saved: the X-ray looks through the text, or it is copied."""

    def __init__(self, session: Session, xray: XrayModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("template")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Try another template"))
        room = parent.window().size()
        self.resize(min(WIDTH, room.width() - ROOM), min(HEIGHT, room.height() - ROOM))
        self._xray = xray
        self.model = TemplateModel(session, xray, self)
        self._build_left()
        self._build_right()
        sides = row(self._left, self._right, spacing=16)
        sides.setStretch(0, 1)
        sides.setStretch(1, 1)
        self._why = label("", "hint", wrap=True)
        self._copy = button(tr("Copy the text"), "default", "copy", self._copied, "template.copy")
        self._go = button(tr("Use in the X-ray"), "primary", "check", self._use, "template.use")
        cancel = button(tr("Cancel"), on_click=self.reject, name="template.cancel")
        foot = row(self._why, self._copy, cancel, self._go, spacing=10)
        foot.setStretch(0, 1)
        sentence = tr("Nothing is saved: models and runs keep their templates. Choose one for a run in New run.")
        layout = column(label(self.windowTitle(), "card-title"), label(sentence, "hint", wrap=True), spacing=10,
                        margins=(20, 18, 20, 18))  # fmt: skip
        layout.addLayout(sides, 1)
        layout.addLayout(foot)
        self.setLayout(layout)
        self.model.changed.connect(self._refresh)
        self.model.replaced.connect(self._replaced)
        self._replaced()
        self._refresh()
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def _build_left(self) -> None:
        titles = sorted(template_titles().items(), key=lambda pair: pair[1].casefold())
        tried = [(TRIED, tr("The text that is tried"))] if self._xray.template is not None else []
        self.begin = Choice([*tried, (OWN, tr("The model's own")), *titles], self.model.begun_from)
        self.begin.setObjectName("template.begin")
        self.begin.setAccessibleName(tr("Start from"))
        self.begin.activated.connect(lambda _place: self.model.begin_with(self.begin.value()))
        self._from = label("", "hint", wrap=True)
        self.edit = CodeEdit("template.text", tr("Text of the template"))
        self.edit.setPlaceholderText(tr("The model's template is being read…"))
        self.edit.textChanged.connect(lambda: self.model.write(self.edit.toPlainText()))
        self._left = Card(tr("Template (Jinja)"))
        head = row(label(tr("Start from"), "label"), self.begin, spacing=8)
        head.setStretch(1, 1)
        self._left.body.addLayout(head)
        self._left.body.addWidget(self._from)
        self._left.body.addWidget(self.edit, 1)

    def _build_right(self) -> None:
        self.number = Number(1, max(1, self.model.rows), self.model.row + 1, "template.row")
        self.number.setAccessibleName(tr("Row"))
        self.number.setFixedWidth(90)
        self.number.changed.connect(lambda value: self.model.go(value - 1))
        self._before = button("", "quiet", "chevron-left", lambda: self.model.go(self.model.row - 1),
                              "template.before", tr("Row before"))  # fmt: skip
        self._after = button("", "quiet", "chevron-right", lambda: self.model.go(self.model.row + 1), "template.after",
                             tr("Next row"))  # fmt: skip
        self._facts = label("", "hint", wrap=True)
        self.error = ErrorCard("template.error")
        self.view = QTextEdit()
        self.view.setObjectName("template.rendered")
        self.view.setAccessibleName(tr("The row as the template writes it"))
        self.view.setProperty("role", "tokens")
        self.view.setReadOnly(True)
        self.view.setTabChangesFocus(True)
        self.view.setFont(self.edit.font())
        self._right = Card(tr("The row as the template writes it"))
        legend = row(Chip(tr("learned"), "ok"), Chip(tr("only read"), "plain"), spacing=6)
        head = row(label(tr("Row"), "label"), self._before, self.number, self._after, None, spacing=8)
        head.addLayout(legend)
        self._right.body.addLayout(head)
        self._right.body.addWidget(self._facts)
        self._right.body.addWidget(self.error)
        self._right.body.addWidget(self.view, 1)

    @Slot()
    def _replaced(self) -> None:
        self.edit.blockSignals(True)
        self.edit.set_text(self.model.text)
        self.edit.blockSignals(False)

    @Slot()
    def _refresh(self) -> None:
        model = self.model
        self.number.set_value(model.row + 1, max(1, model.rows))
        set_enabled(self._before, model.row > 0, tr("This is the first row."))
        set_enabled(self._after, model.row + 1 < model.rows, tr("This is the last row."))
        self._from.setText(origin_of(model.begun_from))
        self._from.setVisible(bool(self._from.text()))
        self.error.show_error(model.error)
        self.edit.mark(model.line)
        reasons = {
            "": "", "waiting": tr("The row is being rendered…"), "empty": tr("Write a template, or start from one."),
            "wrong": tr("Mend what is wrong first."),
        }  # fmt: skip
        why = reasons[model.why_not()]
        self._why.setText(why)
        set_enabled(self._go, not why, why)
        set_enabled(self._copy, bool(model.text), tr("Write a template, or start from one."))
        found = model.rendered
        if found is not None:
            self._facts.setText(learned_of(found))
            self._show(found)
        elif not model.looking:
            self._facts.setText("")
            self.view.clear()

    def _show(self, found: Rendered) -> None:
        """The text, what is learned of it marked; scrolling stays where it was."""
        place = self.view.verticalScrollBar().value()
        self.view.clear()
        cursor = QTextCursor(self.view.document())
        cursor.beginEditBlock()
        at = 0
        for begin, end in [*sorted(found.spans), (len(found.text), len(found.text))]:
            cursor.insertText(found.text[at:begin], look_of("masked", 0))
            cursor.insertText(found.text[begin:end], look_of("trained", PARITY))
            at = end
        cursor.endEditBlock()
        self.view.verticalScrollBar().setValue(place)

    def _copied(self) -> None:
        QGuiApplication.clipboard().setText(self.model.text)
        self._why.setText(tr("The text is copied."))

    def _use(self) -> None:
        self._xray.try_template(self.model.result())
        self._xray.go(self.model.row)
        self.accept()


def origin_of(name: str) -> str:
    """Where the form of a template of the catalogue was taken from."""
    info = template_catalogue().get(name)
    if info is None:
        return ""
    return tr("Its form is that of {repository}, {file}.", repository=info.source.repository, file=info.source.file)


def learned_of(found: Rendered) -> str:
    """How much of a text is learned."""
    learned = sum(end - begin for begin, end in found.spans)
    if not learned:
        return tr("Nothing of this row is learned.")
    return tr("{n} of {all} characters are learned ({share}).", n=f"{learned:,}", all=f"{len(found.text):,}",
              share=percent(learned / max(1, len(found.text))))  # fmt: skip
