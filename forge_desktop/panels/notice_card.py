"""What a person should know about a run now: it does not respond, it goes on by itself soon, its files will go."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import Slot

from engine.contract.api import RunSummary
from engine.contract.run_spec import RunSpec
from engine.contract.states import Mark, RunState
from forge_desktop.models.run_model import RunModel
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Card, button, label, restyle, row
from forge_desktop.theme.language import sentences, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import duration, moment


class Countdown:
    """Seconds until a moment the controller named, counted on this computer's steady clock from when it was heard."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._moment: float | None = None
        self._due = 0.0

    def left(self, moment_named: float) -> float:
        """How long it still is; a clock that is set meanwhile changes nothing."""
        if moment_named != self._moment:
            self._moment = moment_named
            self._due = self._steady() + moment_named - self._wall()
        return max(0.0, self._due - self._steady())


class NoticeCard(Card):
    """One line with what can be done; hidden when there is nothing to say."""

    def __init__(self, model: RunModel, deed: Callable[[str], object]) -> None:
        super().__init__(margins=(14, 8, 10, 8))
        self.setObjectName("run.notice")
        self.setProperty("role", "banner")
        self._model = model
        self._countdown = Countdown()
        self._icon = label()
        self._text = label("", wrap=True, select=True)
        self._text.setObjectName("run.notice.text")
        self._now = button(tr("Now"), "link", on_click=lambda: deed("retry_now"), name="run.retry.now")
        self._never = button(tr("Don't"), "link", on_click=lambda: deed("cancel_retry"), name="run.retry.never")
        self._pin = button(tr("Pin"), "link", "flag", lambda: deed("pin"), name="run.notice.pin")
        layout = row(self._icon, self._text, self._now, self._never, self._pin, spacing=10)
        layout.setStretch(1, 1)
        self.body.addLayout(layout)
        self.hide()
        model.changed.connect(self.refresh)

    def text(self) -> str:
        """What it says."""
        return self._text.text()

    @Slot()
    def refresh(self) -> None:
        """Say what holds now."""
        detail = self._model.detail
        if detail is None:
            return
        run = detail.run
        retry = run.retry_at is not None and run.state in (RunState.QUEUED, RunState.FAILED)
        text, icon, tone = self._notice(run, detail.spec, retry)
        self.setVisible(bool(text))
        if self._text.text() != text:
            self._text.setText(text)
        t = tokens()
        self._icon.setPixmap(icons.pixmap(icon, t.warn_text if tone == "warn" else t.info_text, 18))
        restyle(self, tone=tone)
        self._now.setVisible(retry)
        self._never.setVisible(retry)
        self._pin.setVisible(not retry and run.expires is not None and run.cleaned is None and not run.pinned)

    def _notice(self, run: RunSummary, spec: RunSpec, retry: bool) -> tuple[str, str, str]:
        if retry and run.retry_at is not None:
            left = self._countdown.left(run.retry_at)
            most = spec.limits.retries
            said = tr("It goes on by itself in {time}, retry {n} of {most}.", time=duration(left), n=run.retries,
                      most=most) if left > 0 else tr("It goes on by itself now, retry {n} of {most}.", n=run.retries,
                                                     most=most)  # fmt: skip
            return said, "clock", "warn"
        if run.mark is Mark.NOT_RESPONDING:
            said = tr("It is ended after {time} of silence.", time=duration(60 * spec.limits.hang_minutes))
            return sentences(tr("The worker is not responding."), said), "triangle-alert", "warn"
        if run.mark is Mark.UNREACHABLE:
            return tr("Its computer cannot be reached; the run may well go on there."), "wifi-off", "warn"
        if run.cleaned is not None:
            when = moment(run.cleaned)
            text = tr("Its working files (checkpoints, log, journal) were deleted on {when}.", when=when)
            return sentences(text, tr("Results are kept.")), "info", "info"
        if run.expires is not None and not run.pinned and run.state.ended:
            text = tr("Its working files go on {when}. Pin the run to keep them.", when=moment(run.expires)[:16])
            return text, "clock", "info"
        return "", "info", "info"
