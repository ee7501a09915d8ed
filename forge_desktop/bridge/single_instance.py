"""One window a home: a second start asks the first to come forward, and ends."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtNetwork import QLocalServer, QLocalSocket

log = logging.getLogger(__name__)
WAIT_MS = 1000
ASK, YES = b"raise\n", b"yes\n"


class SingleInstance(QObject):
    """The first of a home listens; any further one asks."""

    asked = Signal()
    """Another start wants this window to come forward."""

    def __init__(self, home: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = "loraforge-" + hashlib.sha256(str(home).encode()).hexdigest()[:16]
        self._server: QLocalServer | None = None
        self._sockets: list[QLocalSocket] = []

    def hand_over(self) -> bool:
        """Ask a window that is open already to come forward; False if there is none that answers."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(WAIT_MS):
            return False
        socket.write(ASK)
        heard = socket.waitForReadyRead(WAIT_MS) and bytes(socket.readAll().data()) == YES
        socket.disconnectFromServer()
        return bool(heard)

    def listen(self) -> None:
        """Be the one that is asked; what a crash left behind is cleared away."""
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._connected)
        if not self._server.listen(self._name):
            QLocalServer.removeServer(self._name)
            if not self._server.listen(self._name):
                log.warning("a second start will open a second window: %s", self._server.errorString())

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    @Slot()
    def _connected(self) -> None:
        if self._server is None:
            return
        socket = self._server.nextPendingConnection()
        self._sockets.append(socket)
        socket.readyRead.connect(self._read)
        socket.disconnected.connect(self._forget)
        self._read()  # it may have spoken before we listened

    @Slot()
    def _read(self) -> None:
        for socket in self._sockets:
            if socket.bytesAvailable() and bytes(socket.readAll().data()) == ASK:
                socket.write(YES)
                socket.flush()
                self.asked.emit()

    @Slot()
    def _forget(self) -> None:
        gone = [socket for socket in self._sockets if socket.state() == QLocalSocket.LocalSocketState.UnconnectedState]
        for socket in gone:
            self._sockets.remove(socket)
            socket.deleteLater()
