"""The rewards of a run as a list that can be edited, and a look at what they give the first rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QWidget

from engine.contract.errors import ErrorBody
from engine.contract.reward_preview import RewardsPreview
from engine.contract.rewards import REWARDS
from engine.contract.rollouts import RewardConfig
from forge_desktop.models.draft_model import DraftModel
from forge_desktop.theme.controls import Choice, Field, button, column, label, row
from forge_desktop.theme.language import explain, labelled, sentences, tr, word
from forge_desktop.wizard.fields import SettingField, read, sign_of, written
from forge_desktop.wizard.tuner_fields import listed

ROWS = 3
KIND_WIDTH, WEIGHT_WIDTH = 150, 64


class RewardLine(QWidget):
    """One reward: what is rewarded, its weight, its file or model, its options."""

    def __init__(self, place: int, value: dict[str, Any], edited: Callable[[], None], gone: Callable[[], None]) -> None:
        super().__init__()
        name = f"rewards.{place}"
        self._edited, self._typed = edited, False
        self.kind = Choice([(one, word("choice", one)) for one in REWARDS])
        self.weight, self.path, self.options = Field(), Field(), Field()
        texts = (
            (self.kind, tr("Reward"), "kind"), (self.weight, tr("Weight"), "weight"),
            (self.path, tr("File or model"), "path"), (self.options, tr("Options"), "options"),
        )  # fmt: skip
        for made, text, end in texts:
            made.setObjectName(f"{name}.{end}")
            made.setAccessibleName(text)
        self.kind.setMinimumWidth(KIND_WIDTH)
        self.weight.setFixedWidth(WEIGHT_WIDTH)
        self.path.setPlaceholderText(tr("File or model"))
        self.options.setPlaceholderText(tr("Options"))
        self._hint = label("", "hint", wrap=True)
        away = button("", "quiet", "trash-2", gone, f"{name}.remove", tr("Take this reward out"))
        head = row(self.kind, self.weight, self.path, self.options, away)
        head.setStretch(2, 1)
        head.setStretch(3, 1)
        whole = column(spacing=3)
        whole.addLayout(head)
        whole.addWidget(self._hint)
        self.setLayout(whole)
        self.kind.set_value(str(value.get("kind", "accuracy")))
        self.weight.setText(written(value.get("weight", 1.0)))
        self.path.setText(str(value.get("path", "")))
        self.options.setText(written(value.get("options", {})))
        self.kind.activated.connect(self._chosen)
        for made in (self.weight, self.path, self.options):
            made.textEdited.connect(lambda _text: edited())
        self._show()

    def value(self) -> dict[str, Any]:
        """As the config has it; what cannot be read is left for the checks to refuse."""
        return {
            "kind": self.kind.value(), "weight": read(self.weight.text(), float),
            "path": self.path.text().strip(), "options": options_of(self.kind.value(), self.options.text()),
        }  # fmt: skip

    @Slot()
    def _chosen(self) -> None:
        self.options.setText("")
        self._show()
        self._edited()

    def _show(self) -> None:
        reward = REWARDS[self.kind.value()]
        self.path.setVisible(bool(reward.path))
        self.options.setVisible(bool(reward.options))
        known = tr("Options and their usual values: {options}.", options=listed(reward.options))
        self._hint.setText(word("reward", reward.name) + (f" {known}" if reward.options else ""))


class RewardsField(SettingField):
    """All rewards; one is there at first, for without any nothing is learned."""

    def _make_control(self) -> tuple[QWidget, Callable[[Any], object]]:
        box = QWidget()
        self._lines: list[RewardLine] = []
        self._rows = column(spacing=10)
        add = button(tr("Add a reward"), "default", "plus", self._add, "rewards.add")
        look = button(tr("Try on first rows"), "quiet", "", self._look, "rewards.try")
        self._found = label("", "hint", wrap=True)
        self._found.setObjectName("rewards.found")
        self._found.hide()
        self._asked = 0
        whole = column(spacing=10)
        whole.addLayout(self._rows)
        whole.addLayout(row(add, look, None))
        whole.addWidget(self._found)
        box.setLayout(whole)
        return box, self._fill

    def _fill(self, value: Any) -> None:
        wanted = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
        if [line.value() for line in self._lines] == wanted:
            return
        for line in self._lines:
            self._rows.removeWidget(line)
            line.setParent(None)  # gone at once, also for whoever looks for it by name
            line.deleteLater()
        self._lines = []
        for one in wanted:
            place = len(self._lines)
            made = RewardLine(place, one, self._take, lambda place=place: self._remove(place))  # type: ignore[misc]
            self._lines.append(made)
            self._rows.addWidget(made)

    def _take(self) -> None:
        self._write([line.value() for line in self._lines])

    @Slot()
    def _add(self) -> None:
        kinds = {line.kind.value() for line in self._lines}
        kind = next((one for one in REWARDS if one not in kinds), "accuracy")
        values = [line.value() for line in self._lines]
        self._put([*values, RewardConfig(kind=kind).model_dump()])  # type: ignore[arg-type]
        self._lines[-1].kind.setFocus()

    def _remove(self, place: int) -> None:
        self._put([line.value() for at, line in enumerate(self._lines) if at != place])

    def _put(self, values: list[dict[str, Any]]) -> None:
        self._fill(values)
        self._write(values)

    # A look before the start.

    @Slot()
    def _look(self) -> None:
        self._asked += 1
        number = self._asked
        document, draft = self._draft.document, self._draft
        params = {
            "model": {name: draft.get(f"model.{name}") for name in ("path", "hub")},
            "source": {name: draft.get(f"data.train.0.{name}") for name in ("path", "hub", "format", "version")},
            "rollouts": document["rollouts"], "rows": ROWS,
        }  # fmt: skip
        self._say(tr("Trying …"), "")
        draft.session.ask(
            lambda backend: backend.query("preview_rewards", params),
            lambda found: self._got(number, found),
            lambda error: self._got(number, {}, error),
            owner=self,
        )

    def _got(self, number: int, found: dict[str, Any], error: ErrorBody | None = None) -> None:
        if number != self._asked:
            return
        if error is not None:
            self._say(sentences(*explain(error)), "bad")
            return
        seen, lines = RewardsPreview.model_validate(found), list[str]()
        broken = next((one.error for one in seen.rows if one.error is not None), None)
        if broken is not None:
            self._say(sentences(*explain(broken)), "bad")
            return
        for one in seen.rows:
            lines.append(one.prompt[:90])
            for answer in one.answers:
                parts = [f"{_name(name)} {_number(value)}" for name, value in answer.rewards.items()]
                said = answer.answer[:60] or tr("(nothing)")
                lines.append(f"    {said} → {_number(answer.total)}  ({tr(', ').join(parts)})")
        if seen.left_out:
            lines.append(labelled(tr("Left out, for they need a model"), tr(", ").join(map(_name, seen.left_out))))
        self._say("\n".join(lines), "")

    def _say(self, text: str, tone: str) -> None:
        self._found.setText(sign_of(tone) + text)
        self._found.show()


def options_of(kind: str, text: str) -> Any:
    """`name=value, name=value`, where a pattern may hold commas; the text itself where it is no such list."""
    known, found = REWARDS[kind].options, dict[str, Any]()
    for part in filter(str.strip, re.split(r"[,，](?=\s*\w+\s*[=＝])", text)):
        name, sign, value = part.replace("＝", "=", 1).partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not name:
            return text
        of_text = known.get(name, {}).get("type") == "str"
        found[name] = value if of_text else read(value, int | float)
    return found


def _name(name: str) -> str:
    kind, _, number = name.partition("_")
    return f"{word('choice', kind)} {number}".strip()


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def default_rewards(draft: DraftModel) -> None:
    """A stage that learns from rewards has one at first."""
    if not draft.get("rollouts.rewards"):
        draft.set("rollouts.rewards", [RewardConfig().model_dump(mode="json")])
