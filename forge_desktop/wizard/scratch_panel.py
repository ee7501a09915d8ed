"""The form of a model that begins with fresh weights: sizes to start from, and how many parameters it has."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from engine.contract.scratch import HUB, SIZES, ScratchConfig
from engine.contract.setting import extra
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.models.draft_scratch import counted, form_of
from forge_desktop.theme.controls import Segments, button, column, label, row
from forge_desktop.theme.language import tr
from forge_desktop.theme.later import Later
from forge_desktop.wizard.fields import FoldedForm, Form, SettingField

BASIC = [f"scratch.{name}" for name, field in ScratchConfig.model_fields.items() if extra(field)["basic"]]
MORE = [f"scratch.{name}" for name in ScratchConfig.model_fields if f"scratch.{name}" not in BASIC]
OF_MIXTURES = ("experts", "experts_per_token", "expert_size", "balance")
OF_DEEPSEEK = ("shared_experts", "dense_layers", "kv_rank", "q_rank", "rope_size", "value_size")


class ScratchPanel(QWidget):
    """Changes nothing before its button is pressed; then the form stands in its place."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        self._draft = draft
        self._said = label(tr("The run makes a model of its own and teaches it from plain text."), "hint", wrap=True)
        self._take = button(tr("Begin with fresh weights"), "primary", name="wizard.scratch.take")
        self._take.clicked.connect(draft.set_scratch)
        self._form = Later(lambda: ScratchForm(draft))
        layout = column(self._said, spacing=10)
        layout.addLayout(row(self._take, None))
        layout.addWidget(self._form)
        self.setLayout(layout)
        draft.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        chosen = self._draft.get("model.hub") == HUB
        self._take.setVisible(not chosen)
        self._said.setVisible(not chosen)
        if chosen:
            self._form.made()
        self._form.setVisible(chosen)


class ScratchForm(QWidget):
    """Sizes, the settings most people touch, the count, and the rest folded."""

    def __init__(self, draft: DraftModel) -> None:
        super().__init__()
        self._draft = draft
        self._sizes = Segments([(size, size.upper()) for size in SIZES], name="wizard.scratch.size")
        self._sizes.chosen.connect(draft.set_size)
        self._count = label("", "strong", wrap=True)
        self._count.setObjectName("wizard.scratch.count")
        more = FoldedForm(draft, tr("More of its form"), MORE, "wizard.scratch.more", counts=self._counts)
        layout = column(spacing=12)
        layout.addLayout(row(label(tr("Begin with"), "label"), self._sizes, None, spacing=10))
        for part in (SettingField(draft, "model.path"), Form(draft, BASIC), self._count, more):
            layout.addWidget(part)
        self.setLayout(layout)
        draft.checked.connect(self._refresh)
        self._refresh()

    def _counts(self, path: str) -> bool:
        """Whether a setting is of use in the family that is chosen."""
        name, family = path.rpartition(".")[2], str(self._draft.get("scratch.family"))
        if name in OF_DEEPSEEK:
            return family == "deepseek_v3"
        return name not in OF_MIXTURES or family in ("qwen3_moe", "deepseek_v3")

    @Slot()
    def _refresh(self) -> None:
        """As long as the form is whole; else its problems are said at its fields."""
        form = form_of(self._draft.document)
        if form is None:
            self._count.setText("—")
            return
        found = counted(form)
        if found is None:
            self._count.setText(tr("Its parameters are known once the tokenizer is read."))
        elif found.active == found.total:
            self._count.setText(tr("{total} parameters", total=f"{found.total:,}"))
        else:
            text = tr("{total} parameters, {active} work on each token", total=f"{found.total:,}",
                      active=f"{found.active:,}")  # fmt: skip
            self._count.setText(text)
