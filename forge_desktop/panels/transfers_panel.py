"""The strip of downloads below a page: how far each is, what became of it, and what can be done about it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QVBoxLayout, QWidget

from forge_desktop.models.transfers import Transfer, Transfers
from forge_desktop.theme import icons
from forge_desktop.theme.controls import Bar, Card, Elided, button, clear, column, label, row
from forge_desktop.theme.language import explain, sentences, tr
from forge_desktop.theme.look import tokens
from forge_desktop.theme.measures import size

MAX_SHOWN = 4


class TransfersPanel(QWidget):
    """Hidden while there is nothing to say."""

    def __init__(self, transfers: Transfers) -> None:
        super().__init__()
        self.setObjectName("transfers")
        self._transfers = transfers
        self._rows: dict[int, _Row] = {}
        self._list = QVBoxLayout()
        self._list.setSpacing(10)
        card = Card(margins=(16, 10, 16, 10))
        card.body.addLayout(self._list)
        self.setLayout(column(card, margins=(28, 0, 28, 14)))
        transfers.changed.connect(self._refresh)
        transfers.moved.connect(self._moved)
        self._refresh()

    @Slot()
    def _refresh(self) -> None:
        clear(self._list)
        shown = self._transfers.list[-MAX_SHOWN:]
        self._rows = {transfer.key: _Row(self._transfers, transfer) for transfer in shown}
        for made in self._rows.values():
            self._list.addWidget(made)
        self.setVisible(bool(shown))

    @Slot(object)
    def _moved(self, transfer: Transfer) -> None:
        made = self._rows.get(transfer.key)
        if made is not None:
            made.show_progress()


class _Row(QWidget):
    def __init__(self, transfers: Transfers, transfer: Transfer) -> None:
        super().__init__()
        self.setObjectName(f"transfer.{transfer.key}")
        self._transfers, self._transfer = transfers, transfer
        self._below = Elided("", "hint")
        self._bar = Bar(6)
        self._bar.setVisible(transfer.state in ("waiting", "running"))
        picture = label()
        name, colour = _picture(transfer)
        picture.setPixmap(icons.pixmap(name, colour, 16))
        texts = column(Elided(transfer.title, "strong"), self._bar, self._below, spacing=3)
        layout = row(picture, spacing=12)
        layout.addLayout(texts, 1)
        for made in self._buttons():
            layout.addWidget(made)
        self.setLayout(layout)
        self.show_progress()

    def show_progress(self) -> None:
        """Bytes of bytes, or how it ended."""
        transfer = self._transfer
        if transfer.total:
            self._bar.set(transfer.done / transfer.total)
        self._below.set_text(_text(transfer))

    def _buttons(self) -> list[QWidget]:
        transfers, transfer = self._transfers, self._transfer
        close = button(tr("Close"), "link", on_click=lambda: transfers.forget(transfer), name="transfer.close")
        match transfer.state:
            case "waiting" | "running":
                return [button(tr("Cancel"), "link", "x", lambda: transfers.cancel(transfer), name="transfer.cancel")]
            case "exists":
                return [
                    button(tr("Replace"), "link", on_click=lambda: transfers.again(transfer, "replace"),
                           name="transfer.replace"),
                    button(tr("Keep both"), "link", on_click=lambda: transfers.again(transfer, "keep_both"),
                           name="transfer.keep_both"),
                    button(tr("Cancel"), "link", on_click=lambda: transfers.cancel(transfer), name="transfer.cancel"),
                ]  # fmt: skip
            case "failed" | "cancelled":
                text = tr("Go on") if transfer.state == "cancelled" and transfer.make is None else tr("Try again")
                again = button(
                    text, "link", "rotate-ccw", lambda: transfers.again(transfer), name="transfer.again"
                )  # fmt: skip
                return [again, close]
            case "done":
                show = button(tr("Open folder"), "link", "folder-open", lambda: _open(transfer.path))
                return [show, close]


def _picture(transfer: Transfer) -> tuple[str, str]:
    t = tokens()
    if transfer.state == "done":
        return "circle-check", t.ok_fill
    if transfer.state == "failed":
        return "circle-alert", t.bad_text
    return ("triangle-alert", t.warn_text) if transfer.state == "exists" else ("download", t.secondary)


def _text(transfer: Transfer) -> str:
    match transfer.state:
        case "done":
            return tr("Saved as {path}", path=str(transfer.path))
        case "exists":
            there = str(transfer.error.params.get("target", "")) if transfer.error else ""
            return tr("'{name}' is there already. Replace it, or keep both?", name=Path(there).name)
        case "failed" if transfer.error is not None:
            what, why, _fix = explain(transfer.error)
            return sentences(what, why)
        case "cancelled" if transfer.make is not None:
            return tr("Cancelled. Nothing was saved.")
        case "cancelled":
            return tr("Cancelled; {size} are kept for another try.", size=size(transfer.done))
        case "waiting":
            return tr("Waiting…")
        case _ if transfer.make is not None:
            done, total = f"{transfer.done:,}", f"{transfer.total or 0:,}"
            match transfer.unit:
                case "rows":
                    return tr("{done} of {total} rows", done=done, total=total)
                case "problems":
                    return tr("{done} of {total} problems", done=done, total=total)
                case "bytes":
                    return tr("{done} of {total}", done=size(transfer.done), total=size(transfer.total or 0))
            return tr("{done} of {total} points", done=done, total=total)
        case _:
            return tr("{done} of {total}", done=size(transfer.done), total=size(transfer.total))


def _open(path: Path | None) -> None:
    if path is not None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))
