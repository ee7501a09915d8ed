"""Adding a node, or changing one: what its kind needs, the rest folded, and a test that shows the doctor at work."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal, Slot
from PySide6.QtWidgets import QDialog, QGridLayout, QVBoxLayout, QWidget

from engine.contract.errors import ErrorBody, Problem
from engine.contract.nodes import NodeProfile, NodeView
from forge_desktop.bridge.backend import Backend
from forge_desktop.bridge.session import Session
from forge_desktop.models.node_form import KINDS, LIMITS, MORE, OF_LOCAL, WAY, Form, texts_of
from forge_desktop.models.node_words import title_of
from forge_desktop.panels.node_fields import NodeField
from forge_desktop.panels.node_test import NodeTest
from forge_desktop.panels.page import ErrorCard
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Segments, button, column, label, line, restyle, row, scrolled, set_enabled
from forge_desktop.theme.language import count, labelled, problem_text, tr, word
from forge_desktop.theme.look import tokens

ADVANCED_OF_SSH = ("docker_socket",)
WIDTH, HEIGHT, FORM_WIDTH = 1000, 660, 452
LOCAL_WIDTH = 500
GAP = 8


class NodeDialog(QDialog):
    """Nothing is kept before Save; what is wrong stands beside its field and beside Save."""

    saved = Signal(str)
    """The node's name."""

    def __init__(
        self, session: Session, parent: QWidget, profile: NodeProfile | None = None, editing: str = ""
    ) -> None:
        """`editing`: the name of the node that is changed; without it one is added, like `profile` if there is one."""
        super().__init__(parent)
        self.setObjectName("node")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._session, self._before, self._editing, self._busy = session, profile, editing, False
        self._texts = texts_of(profile) if profile is not None else {"currency": "USD"}
        self._kind = profile.kind if profile is not None else "docker_ssh"
        self._answered: list[Problem] = []
        title = tr("Edit '{node}'", node=title_of(editing)) if editing else tr("Add a node")
        self.setWindowTitle(title)
        self.resize(LOCAL_WIDTH if self._kind == "process" else WIDTH, HEIGHT)
        self.fields: dict[str, NodeField] = {}
        self._kinds = Segments([(key, word("node_kind_short", key)) for key in KINDS], self._kind, "node.kind")
        self._kinds.setAccessibleName(tr("How it is reached"))
        self._kinds.setVisible(self._kind != "process")
        self._kinds.chosen.connect(self._choose_kind)
        self._what = label("", "hint", wrap=True)
        self._form = QWidget()
        self._lines = QVBoxLayout(self._form)
        self._lines.setContentsMargins(0, 0, 10, 0)
        self._lines.setSpacing(12)
        self._error = ErrorCard("node.error")
        self.test = NodeTest(session)
        self.test.trusted.connect(self._trust)
        self.test.ended.connect(self._refresh)
        self._build(title)
        self._fill()

    def _build(self, title: str) -> None:
        left = column(spacing=10)
        left.addWidget(self._kinds)
        left.addWidget(self._what)
        self._area = scrolled(self._form)
        self._area.setFixedWidth(FORM_WIDTH)
        left.addWidget(self._area, 1)
        middle = row(spacing=20)
        middle.addLayout(left)
        middle.addWidget(self.test, 1)
        self._said = button("", "link", on_click=self._to_first, name="node.problems")
        self._cancel = button(tr("Cancel"), on_click=self.reject, name="node.cancel")
        self._try = button(tr("Test"), "default", "stethoscope", self._start_test, "node.try")
        self._save = button(tr("Save") if self._editing else tr("Add node"), "primary", on_click=self._send,
                            name="node.save")  # fmt: skip
        layout = column(label(title, "card-title"), spacing=12, margins=(20, 18, 20, 16))
        layout.addLayout(middle, 1)
        layout.addWidget(self._error)
        layout.addWidget(line())
        layout.addLayout(row(self._said, None, self._cancel, self._try, self._save, spacing=10))
        self.setLayout(layout)

    def _fill(self) -> None:
        """The fields of the kind; what was typed stays."""
        while self._lines.count():
            item = self._lines.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        touched = {name for name, field in self.fields.items() if field.touched}
        self.fields = {}
        self._what.setText(word("node_kind_hint", self._kind))
        basic = ["name", *(field for field in WAY[self._kind] if field not in ADVANCED_OF_SSH)]
        for field in basic:
            self._lines.addWidget(self._make(field))
        self._fold = button("", "fold", "chevron-right", self._toggle, "node.advanced")
        self._lines.addWidget(self._fold)
        self._more = self._advanced()
        self._lines.addWidget(self._more)
        self._lines.addStretch(1)
        for name in touched & self.fields.keys():
            self.fields[name].touched = True
        if self._editing:
            self.fields["name"].set_fixed(tr("A node keeps its name. Duplicate it to have another."))
        self._show_fold(self._kind == "process")
        self._refresh()
        (self.fields["name"] if not self._editing else self.fields[basic[-1]]).control.setFocus()

    def _make(self, field: str) -> NodeField:
        made = NodeField(field, self._kind)
        made.set_text(self._texts.get(field, ""))
        made.edited.connect(self._edited)
        self.fields[field] = made
        return made

    def _advanced(self) -> QWidget:
        made = QWidget()
        grid = QGridLayout(made)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(14)
        grid.setVerticalSpacing(12)
        local = self._kind == "process"
        names = (
            OF_LOCAL if local else (*MORE, *LIMITS, *(ADVANCED_OF_SSH if self._kind == "docker_ssh" else ()), "notes")
        )
        place = 0
        for name in names:
            wide = name in ("labels", "image", "mounts", "notes", "docker_socket", "mirror_minutes")
            place += place % 2 if wide else 0
            grid.addWidget(self._make(name), place // 2, 0 if wide else place % 2, 1, 2 if wide else 1)
            place += 2 if wide else 1
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        return made

    def _toggle(self) -> None:
        self._show_fold(not self._more.isVisibleTo(self._form))
        if self._more.isVisibleTo(self._form):
            QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
            self._area.verticalScrollBar().setValue(self._fold.y() - GAP)

    def _show_fold(self, is_open: bool) -> None:
        self._more.setVisible(is_open)
        self._fold.setIcon(icons.icon("chevron-down" if is_open else "chevron-right", tokens().secondary))
        changed = sum(
            bool(self._texts.get(name, "").strip()) for name in (*MORE, *LIMITS, "notes") if name != "currency"
        )
        more = f" · {count(changed, '1 set', '{n} set')}" if changed and not is_open else ""
        text = tr("Price, limits and more")
        self._fold.setText(f" {text}{more}")
        self._fold.setAccessibleName(text)

    @Slot(str)
    def _choose_kind(self, kind: str) -> None:
        self._note()
        self._kind = next((one for one in KINDS if one == kind), self._kind)
        self._answered = []
        self._kinds.set_value(self._kind)
        self._fill()

    def _note(self) -> None:
        self._texts |= {name: field.text() for name, field in self.fields.items()}

    def form(self) -> Form:
        """What stands there now."""
        self._note()
        return Form(dict(self._texts), self._kind)

    @Slot()
    def _edited(self) -> None:
        self._answered = []
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        problems = self.form().problems() or self._answered
        for name, field in self.fields.items():
            mine = [p for p in problems if p.field == name or p.field.startswith(f"{name}.")]
            field.show_problem(problem_text(mine[0]) if mine and field.touched else "")
        many = count(len(problems), "1 problem", "{n} problems")
        said = labelled(many, self._line(problems[0])) if problems else ""
        self._said.setText(said if len(said) < 64 else f"{said[:62]}…")
        self._said.setToolTip("\n".join(self._line(problem) for problem in problems))
        self._said.setAccessibleName(said or tr("Problems"))
        self._said.setVisible(bool(problems))
        busy = tr("It is being examined.") if self.test.busy else tr("It is being saved.") if self._busy else ""
        why = busy or tr("Mend what is wrong first; it stands at the left.")
        for made in (self._try, self._save):
            set_enabled(made, not problems and not busy, why)
        self._try.setVisible(self._kind != "process")
        self.test.setVisible(self._kind != "process")

    def _line(self, problem: Problem) -> str:
        field = self.fields.get(problem.field) or self.fields.get(problem.field.partition(".")[0])
        return labelled(field.title, problem_text(problem)) if field is not None else problem_text(problem)

    def _to_first(self) -> None:
        """Every field says now what is wrong with it; the keyboard goes to the first."""
        problems = self.form().problems() or self._answered
        for field in self.fields.values():
            field.touched = True
        self._refresh()
        for problem in problems:
            name = problem.field if problem.field in self.fields else problem.field.partition(".")[0]
            if name in self.fields:
                if self._more.isAncestorOf(self.fields[name]):
                    self._show_fold(True)
                self.fields[name].control.setFocus()
                return

    def problems_text(self) -> str:
        """What stands beside Save."""
        return self._said.toolTip() if self._said.isVisibleTo(self) else ""

    def _start_test(self) -> None:
        form = self.form()
        if form.problems():
            self._to_first()
            return
        self._error.show_error(None)
        self.test.start(form.profile(self._before))
        self._refresh()

    @Slot(str)
    def _trust(self, fingerprint: str) -> None:
        """Somebody says that the key is right: it is written down, and tried."""
        if "host_key" in self.fields:
            self.fields["host_key"].set_text(fingerprint)
            self._start_test()

    def _send(self) -> None:
        form = self.form()
        if form.problems() or self._busy:
            self._to_first()
            return
        profile, editing = form.profile(self._before), self._editing
        self._busy = True
        self._error.show_error(None)
        self._refresh()

        def work(backend: Backend) -> NodeView:
            return backend.edit_node(editing, profile) if editing else backend.add_node(profile)

        self._session.ask(work, self._done, self._failed, owner=self)

    def _done(self, node: NodeView) -> None:
        self._busy = False
        self.accept()
        self.saved.emit(node.profile.name)

    def _failed(self, error: ErrorBody) -> None:
        self._busy = False
        self._answered = list(error.problems)
        named = [problem for problem in error.problems if problem.field.partition(".")[0] in self.fields]
        for problem in named:
            self.fields[problem.field.partition(".")[0]].touched = True
        self._error.show_error(None if named else error)
        self._refresh()
        restyle(self._error, tone="bad")
