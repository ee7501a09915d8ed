"""What comes of a computer that has too little of something: room, rights, threads, files, shared memory."""

from __future__ import annotations

import os
import resource
import signal
import ssl
import subprocess
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset


class _Rows(Dataset):
    """Rows that a loader's process fetches."""

    def __init__(self, numbers: int, deadly: bool = False) -> None:
        self.numbers, self.deadly = numbers, deadly

    def __len__(self) -> int:
        return 64

    def __getitem__(self, place: int) -> torch.Tensor:
        if self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(self.numbers)


def shared_memory_full() -> None:
    """A loader's processes hand over batches through /dev/shm, which is small (see record_failures)."""
    for _ in DataLoader(_Rows(1 << 20), batch_size=8, num_workers=2):
        pass


def loader_killed() -> None:
    """The system kills a loader's process."""
    for _ in DataLoader(_Rows(8, deadly=True), batch_size=8, num_workers=1):
        pass


def no_room() -> None:
    """A small disk (see record_failures) is full."""
    from safetensors.torch import save_file

    save_file({"weights": torch.zeros(1 << 22)}, os.environ["SMALL_DISK"] + "/model.safetensors")


def no_room_for_torch() -> None:
    """A small disk is full, and torch writes."""
    torch.save({"weights": torch.zeros(1 << 22)}, os.environ["SMALL_DISK"] + "/optimizer.pt")


def read_only() -> None:
    """A disk that may only be read (see record_failures)."""
    Path(os.environ["SMALL_DISK"], "adapter").mkdir()


def not_permitted() -> None:
    """A file of somebody else."""
    file = Path("rows.jsonl")
    file.write_text("{}\n")
    file.chmod(0o600)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        file.open().read()
    finally:
        os.seteuid(0)
        os.setegid(0)


def too_many_files() -> None:
    """More open files than a process may have."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    kept = [open("/dev/null") for _ in range(100)]  # noqa: SIM115
    assert kept


def too_many_threads() -> None:
    """More threads than a person may have."""
    resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    os.setresuid(65534, 65534, 0)
    try:
        threading.Thread(target=print).start()
    finally:
        os.setresuid(0, 0, 0)


def missing_file() -> None:
    """A path that is not there."""
    Path("/data/rows/train.jsonl").read_text()


def missing_package() -> None:
    """A package that is not installed."""
    import sentencepiece  # noqa: F401


def missing_library() -> None:
    """A library of the system that is not installed."""
    import ctypes

    try:
        ctypes.CDLL("libcudart.so.12")
    except OSError as error:
        raise ImportError(str(error)) from error


def other_processor() -> None:
    """A program made for another kind of processor."""
    program = Path("worker")
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)
    program.write_bytes(head)
    program.chmod(0o755)
    subprocess.run([str(program.absolute())], check=True)


def memory_used_up() -> None:
    """Python itself gets no more memory."""
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    bytearray(1 << 36)


class _Greets(BaseHTTPRequestHandler):
    """A server that answers."""

    def do_GET(self) -> None:
        """Greet."""
        self.send_response(200)
        self.end_headers()


def certificate_unknown() -> None:
    """A hub, or a proxy in front of it, whose certificate nobody here vouches for."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
         "1", "-subj", "/CN=localhost"], check=True, capture_output=True
    )  # fmt: skip
    server = HTTPServer(("127.0.0.1", 0), _Greets)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        urllib.request.urlopen(f"https://localhost:{server.server_port}/")
    finally:
        server.shutdown()
        server.server_close()
