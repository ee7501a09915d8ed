"""What came out of a run: the score before and after, sample answers, and the files to take away."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from engine.contract.api import ArtifactInfo, RunDetail, SampleInfo, ScoreInfo
from engine.contract.run_spec import TrainJob
from engine.contract.states import RunState
from forge_desktop.models.run_model import RunModel
from forge_desktop.panels.run_card import RunCard
from forge_desktop.panels.score_words import MoreFigures, score_text, writes_text
from forge_desktop.theme.controls import Bar, Card, Chip, Elided, button, clear, column, label, row
from forge_desktop.theme.language import tr, word
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import size


class ScoreCard(RunCard):
    """The score on the held-out rows, before and after."""

    def __init__(self, model: RunModel) -> None:
        super().__init__(model, tr("Result on held-out rows"), "run.scores", spacing=10)

    def _key(self, detail: RunDetail | None) -> object:
        return (repr(detail.scores), detail.run.state) if detail else ""

    def _fill(self, detail: RunDetail | None) -> None:
        job = detail.spec.job if detail else None
        asked = isinstance(job, TrainJob) and bool(job.evaluation.data)
        known = detail.scores if detail else []
        latest = {score.when: score for score in known if score.is_share}
        rewards = {score.when: score.value for score in known if not score.is_share}
        self._add_rewards(rewards)
        if rewards and not latest:
            return
        for when, title, colour in (
            ("before", tr("Before"), tokens().border_strong),
            ("after", tr("After"), tokens().ok_fill),
        ):
            self._rows.addWidget(_ScoreRow(when, title, latest.get(when), colour))
        ended = bool(detail and detail.run.state.ended)
        hint = self._hint(latest, asked, ended)
        if hint:
            self._rows.addWidget(label(hint, "hint", wrap=True))
        if any(score.more or score.classes for score in latest.values()):
            self._rows.addWidget(MoreFigures(latest))

    def _add_rewards(self, rewards: dict[str, float]) -> None:
        """Of a run that learns from rewards."""
        if not rewards:
            return
        values = [f"{rewards[when]:.3g}" if when in rewards else "—" for when in ("before", "after")]
        figure = label(" → ".join(values), "strong")
        figure.setObjectName("score.reward")
        made = QWidget()
        made.setLayout(row(label(tr("Mean reward"), "label"), None, figure, spacing=10))
        made.setAccessibleName(f"{tr('Mean reward')}: {figure.text()}")
        self._rows.addWidget(made)

    def _hint(self, latest: dict[str, ScoreInfo], asked: bool, ended: bool) -> str:
        if "after" in latest:
            return score_text(latest["after"])
        if not asked:
            return tr("No held-out rows were named, so nothing is measured.")
        return tr("Not measured.") if ended else tr("Measured when training is over.")


class _ScoreRow(QWidget):
    def __init__(self, when: str, title: str, score: ScoreInfo | None, colour: str) -> None:
        super().__init__()
        bar = Bar(8)
        bar.set(score.value if score else 0.0, colour)
        name = label(title, "label")
        name.setMinimumWidth(56)
        figure = label(f"{100 * score.value:.1f}%" if score else "—", "strong")
        figure.setObjectName(f"score.{when}")
        figure.setMinimumWidth(54)
        layout = row(name, bar, figure, spacing=10)
        layout.setStretch(1, 1)
        self.setLayout(layout)
        self.setAccessibleName(f"{title}: {figure.text()}")


class SamplesPanel(QWidget):
    """Questions with the answers before and after."""

    def __init__(self, model: RunModel) -> None:
        super().__init__()
        self.setObjectName("run.samples")
        self._model = model
        self._list = QVBoxLayout()
        self._list.setSpacing(12)
        self._list.setContentsMargins(0, 0, 0, 0)
        self.setLayout(self._list)
        self._shown = ""
        model.changed.connect(self._refresh)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        detail = self._model.detail
        samples = detail.samples if detail else []
        if self._shown == repr(samples) and self._list.count():
            return
        self._shown = repr(samples)
        clear(self._list)
        by_index: dict[int, dict[str, SampleInfo]] = {}
        asked = [sample for sample in samples if sample.when == "now"]
        for sample in reversed(asked):
            self._list.addWidget(_SampleCard({"now": sample}))
        for sample in samples:
            if sample.when in ("now", "checkpoint"):
                continue
            by_index.setdefault(sample.index, {})[sample.when] = sample
        if not by_index and not asked:
            ended = bool(detail and detail.run.state.ended)
            if not writes_text(detail):
                text = tr("This model writes no text: what it says of held-out rows appears before and after training.")
            elif ended:
                text = tr("This run has no sample answers.")
            else:
                text = tr("Sample answers appear before and after training.")
            card = Card()
            card.body.addWidget(label(text, "hint", wrap=True))
            self._list.addWidget(card)
        for index in sorted(by_index):
            self._list.addWidget(_SampleCard(by_index[index]))
        self._list.addStretch(1)


class _SampleCard(Card):
    """A question; its answers before and after beside each other, one that was asked for by itself."""

    def __init__(self, answers: dict[str, SampleInfo]) -> None:
        super().__init__()
        self.body.setSpacing(10)
        any_one = next(iter(answers.values()))
        self.body.addWidget(label(any_one.prompt, "strong", wrap=True, select=True))
        now = tr("Step {step}", step=f"{any_one.step:,}") if any_one.step is not None else tr("Now")
        if "now" in answers:
            self.body.addWidget(_answer(now, answers["now"]))
        else:
            sides = row(spacing=12)
            for when, title in (("before", tr("Before")), ("after", tr("After"))):
                sides.addWidget(_answer(title, answers.get(when)), 1)
            self.body.addLayout(sides)
        if any_one.expected:
            expected = label(any_one.expected, wrap=True, select=True)
            layout = row(label(tr("Expected"), "hint"), expected, spacing=10)
            layout.setStretch(1, 1)
            self.body.addLayout(layout)


def _answer(title: str, sample: SampleInfo | None) -> QFrame:
    made = QFrame()
    made.setProperty("role", "answer")
    head = row(label(title, "hint"), None, spacing=8)
    if sample is not None and sample.correct is not None:
        head.addWidget(Chip(tr("right"), "ok", "check") if sample.correct else Chip(tr("wrong"), "bad", "x"))
    text = tr("Not measured.") if sample is None else sample.answer.strip() or tr("(empty answer)")
    layout = column(spacing=6, margins=(12, 8, 12, 10))
    layout.addLayout(head)
    layout.addWidget(label(text, "hint" if sample is None else "body", wrap=True, select=True))
    layout.addStretch(1)
    made.setLayout(layout)
    return made


class FilesCard(RunCard):
    """The results that can be downloaded."""

    def __init__(self, model: RunModel, save: Callable[[ArtifactInfo], object]) -> None:
        self._save = save
        super().__init__(model, tr("Files"), "run.files", spacing=6)

    def _key(self, detail: RunDetail | None) -> object:
        return (repr(detail.artifacts), detail.run.state) if detail else ""

    def _fill(self, detail: RunDetail | None) -> None:
        artifacts = detail.artifacts if detail else []
        state = detail.run.state if detail else RunState.DRAFT
        for artifact in sorted(artifacts, key=lambda artifact: artifact.kind == "answers"):
            self._rows.addWidget(self._row(artifact))
        if not artifacts:
            text = tr("Nothing was saved.") if state.ended else tr("The adapter appears here when it is saved.")
            self._rows.addWidget(label(text, "hint", wrap=True))

    def _row(self, artifact: ArtifactInfo) -> QWidget:
        made = QWidget()
        name = Elided(word("artifact", artifact.kind), "strong")
        below = Elided(" · ".join([artifact.name, size(artifact.bytes), f"sha256 {artifact.sha256[:8]}…"]), "hint")
        texts = column(name, below, spacing=0)
        save = button(
            tr("Download"), "link", "download", lambda: self._save(artifact), name=f"download.{artifact.kind}"
        )
        layout = row(spacing=8)
        layout.addLayout(texts, 1)
        layout.addWidget(save)
        made.setLayout(layout)
        return made
